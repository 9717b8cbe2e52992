// SPDX-License-Identifier: MIT
// Methods after training on a GPU: the Hessian, its factor and the sweep give what the CPU gives.
#include "cuda/gpu.hpp"
#include "support/any_model.hpp"
#include "support/tensors.hpp"

#include <binllm/device/cuda.hpp>
#include <binllm/methods/post_training/awq.hpp>
#include <binllm/methods/post_training/quantise_blockwise.hpp>
#include <binllm/models/llama.hpp>

#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// The share of codes in which both stored layers differ.
double difference(const Grid::Matrix<float, Cpu>& a, const Grid::Matrix<float, Cpu>& b) {
  std::vector<std::uint8_t> one(static_cast<std::size_t>(a.cols)), other(one.size());
  double count = 0;
  const Index rows = a.scale.shape().rows();
  for (Index i = 0; i < rows; ++i) {
    a.get_codes(i, one);
    b.get_codes(i, other);
    for (std::size_t j = 0; j < one.size(); ++j) count += one[j] != other[j];
  }
  return count / static_cast<double>(rows * a.cols);
}

}  // namespace

TEST_CASE("cuda: GPTQ on the GPU: the Hessian, its factor, and the codes") {
  if (!gpu()) return;
  for (const Index n : {5, 150, 400}) {
    CAPTURE(n);
    Tensor<float> x = normal_tensor<float>({2 * n, n}, 1, 1, 0.3);
    x.view().matrix().col(2).setZero();
    const Tensor<float> w = normal_tensor<float>({70, n}, 2);
    const auto calibrated = [&]<class Device>(Device) {
      const Tensor<float, Device> there = on_device<Device>(x);
      HessianSum<float, Device> sum(n);
      sum.add(read(there.view()).middle_rows(0, n));
      sum.add(read(there.view()).middle_rows(n, n));
      return sum.calibration(2);
    };
    const Calibration on_gpu = calibrated(Cuda{}), on_cpu = calibrated(Cpu{});
    REQUIRE(on_gpu.on_device() != nullptr);
    CHECK(largest_difference(on_gpu.hessian(), on_cpu.hessian()) < 1e-3);
    for (const bool ordered : {false, true}) {
      const FactorOptions options{.activation_order = ordered};
      const InverseFactor& found = on_gpu.inverse_factor(options);
      // The same Hessian on the CPU: products of floats differ in their last bits.
      const InverseFactor wanted = inverse_factor(on_gpu.hessian(), options);
      CHECK(found.order == wanted.order);
      CHECK(found.dead == std::vector<Index>{2});
      CHECK(largest_difference(found.upper.view(), wanted.upper.view()) <
            1e-9 * static_cast<double>(wanted.upper.view().flat().abs().maxCoeff()));

      for (const GridOptions grid : {GridOptions{.bits = 4},
                                     {.bits = 1},
                                     {.bits = 1.58, .group = 32},
                                     {.bits = 3, .group = 50},
                                     {.bits = 1, .group = 64, .centred = true}}) {
        CAPTURE(grid.bits);
        const Gptq method{.grid = grid, .hessian = options};
        const LinearShape shape{.out = 70, .in = n};
        Grid::Matrix<float, Cpu> of_gpu(method.form(), shape), of_cpu(method.form(), shape);
        method({"layer", 0, Role::mlp_in, w.view(), on_gpu}, of_gpu);
        Tensor<double> h = host(on_gpu.hessian());
        const Calibration same(std::move(h), 2, 2 * n);
        method({"layer", 0, Role::mlp_in, w.view(), same}, of_cpu);
        CHECK(difference(of_gpu, of_cpu) == 0);
        CHECK(largest_difference(of_gpu.scale.view(), of_cpu.scale.view()) < 1e-6);
        Tensor<float> q(w.shape());
        of_gpu.restore(q.view());
        const double lost = on_gpu.on_device()->quadratic(w.view(), q.view());
        const double exact = detail::quadratic(70, on_gpu.hessian(), [&](Index i, Index j) {
          return static_cast<double>(w.view().data[i * n + j]) - static_cast<double>(q.view().data[i * n + j]);
        });
        CHECK(lost == doctest::Approx(exact).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("cuda: a Hessian that is singular or not finite, and sums of bf16") {
  if (!gpu()) return;
  Tensor<float> x = normal_tensor<float>({3, 8}, 1);
  HessianSum<float, Cuda> sum(8);
  sum.add(read(on_device<Cuda>(x).view()));
  CHECK(sum.calibration(1).inverse_factor({.damping = 0}).damping > 0);
  x.view().data[5] = std::nanf("");
  HessianSum<float, Cuda> bad(8);
  bad.add(read(on_device<Cuda>(x).view()));
  CHECK(!bad.calibration(1).is_finite());

  const Tensor<float> whole = whole_tensor<float>({40, 24}, 3);
  Tensor<bf16> rounded(whole.shape());
  for (Index i = 0; i < whole.size(); ++i) rounded.view().data[i] = bf16(whole.view().data[i]);
  HessianSum<bf16, Cuda> halves(24);
  halves.add(read(on_device<Cuda>(rounded).view()));
  HessianSum<float, Cpu> floats(24);
  floats.add(whole.view());
  CHECK(largest_difference(halves.calibration(4).hessian(), floats.calibration(4).hessian()) == 0);
}

TEST_CASE("cuda: a model quantised on the GPU is that of the CPU; in bf16 it is near to it") {
  if (!gpu()) return;
  const auto ids = random_ids({4, 16}, 37, 1);
  const auto quantised = [&]<class T, class Device>(T, Device, const auto& method) {
    Llama<float> host_model(tiny_config());
    initialise(host_model, 3, 0.3);
    if constexpr (std::is_same_v<Device, Cpu>) {
      return quantise_blockwise(host_model, read(ids.view()), method);
    } else {
      auto model = binllm::on_device<Device, T>(host_model);
      return quantise_blockwise(model, read(ids.view()), method);
    }
  };
  const auto compare = [&](const auto& method) {
    const auto wanted = logits_of(quantised(0.0F, Cpu{}, method), read(ids.view()));
    const auto found = logits_of(quantised(0.0F, Cuda{}, method), read(ids.view()));
    const auto coarse = logits_of(quantised(bf16(), Cuda{}, method), read(ids.view()));
    CHECK(largest_difference(found.view(), wanted.view()) < 0.05);
    CHECK((coarse.view().flat() - wanted.view().flat()).abs().mean() < 0.2);
  };
  compare(Gptq{.grid = {.bits = 8}});
  compare(Awq{.grid = {.bits = 8, .group = 4}});
}
