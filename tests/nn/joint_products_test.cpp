// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/nn/erased_format.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/packed/kernels.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class F>
using Layer = LinearLayer<float, Cpu, F>;

constexpr Index channels = 70;

/// Random signs and scales.
void fill(PackedMatrix<float>& matrix, std::uint64_t seed) {
  matrix.set_signs(read(normal_tensor<float>({matrix.rows(), matrix.cols}, seed).view()));
  for (Index i = 0; i < matrix.rows(); ++i) matrix.scale.view().data[i] = 0.5f + static_cast<float>(i % 5);
}

/// Layers of a packed format, behind its interface or not.
template <class F>
struct Layers {
  std::vector<Layer<F>> all;

  explicit Layers(const F& format = {}) {
    for (const Index out : {65, 8, 33}) all.emplace_back(format, LinearShape{out, channels, Role::attention_in});
    std::uint64_t seed = 1;
    for (auto& layer : all) fill(layer_as<Packed>(layer).weight, seed++);
  }
};

/// The products, and whether they were made at once.
template <class F>
std::vector<Tensor<float>> multiplied(const Layers<F>& layers, bool record, Index tokens, bool& at_once) {
  Tape<> tape;
  std::optional<NoGrad<Cpu>> pause;
  if (!record) pause.emplace(tape);
  StepScalars<Cpu> scalars;
  Pass<float, Cpu> pass{tape, scalars};
  const auto values = normal_tensor<float>({1, tokens, channels}, 9);
  const auto x = tape.constant(read(values.view()));
  const NoInput<float, Cpu> site;
  const auto products = products_of_input(pass, site, x, layers.all[0], layers.all[1], layers.all[2]);
  at_once = products.at_once();
  std::vector<Tensor<float>> made;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto y = products(i);
    made.push_back(host(y.value()));
    CHECK(same_bits(made.back().view(), layers.all[i](pass, site, x).value()));
  }
  return made;
}

}  // namespace

TEST_CASE("packed layers with one input multiply at once, and give what each alone gives") {
  bool at_once = false;
  for (const Index tokens : {1, 5}) {
    const auto known = multiplied(Layers<Packed>(), false, tokens, at_once);
    CHECK(at_once);
    using Erased = AnyKind<float, Cpu>;
    const auto erased = multiplied(Layers<Erased>(any_kind<float, Cpu>(Packed{})), false, tokens, at_once);
    CHECK(at_once);
    for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(known[i].view(), erased[i].view()));
  }
}

TEST_CASE("one by one while a tape records, and where a layer scales the input for itself") {
  bool at_once = true;
  static_cast<void>(multiplied(Layers<Packed>(), true, 2, at_once));
  CHECK(!at_once);
  Layers<Packed> scaled;
  scaled.all[1].weight.input_scale = normal_tensor<float>({channels}, 7);
  static_cast<void>(multiplied(scaled, false, 2, at_once));
  CHECK(!at_once);
}

TEST_CASE("a layer of another format makes all multiply one by one") {
  using Erased = AnyKind<float, Cpu>;
  Layers<Erased> mixed(any_kind<float, Cpu>(Packed{}));
  mixed.all[1].any = any_kind<float, Cpu>(PackedFormat<FloatActivations>{}).chosen->make(mixed.all[1].shape);
  bool at_once = true;
  static_cast<void>(multiplied(mixed, false, 1, at_once));
  CHECK(!at_once);
}
