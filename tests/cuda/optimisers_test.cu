// SPDX-License-Identifier: MIT
// Optimisers of whole matrices on the GPU against the CPU.
#include "cuda/gpu.hpp"
#include "support/tensors.hpp"

#include <binllm/binllm.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const ParameterRule linear{.kind = ParameterKind::linear};

template <class Device>
void fill(View<float, Device> block, std::uint64_t seed) {
  const auto numbers = normal_tensor<float>(block.shape, seed);
  copy_to_device(read(numbers.view()), block);
}

/// A weight of a linear layer, and another one, after two steps; with `started` from normal numbers, else from zeros.
template <template <class, class> class Optimiser, class Device, class Options>
std::array<Tensor<float>, 2> stepped(const Shape& shape, bool started, const Options& options) {
  OwnedParameter<float, Device> weight(shape, linear), table(Shape{5, 8});
  if (started) fill(weight.value, 1);
  if (started) fill(table.value, 2);
  Optimiser<float, Device> optimiser({&weight, &table}, options);
  for (const std::uint64_t seed : {3U, 5U}) {
    fill(weight.gradient, seed);
    fill(table.gradient, seed + 1);
    optimiser.step(/*learning_rate=*/0.02, /*factor=*/0.5);
  }
  return {host(weight.value), host(table.value)};
}

/// |found - wanted| / |wanted|
double distance(const Tensor<float>& found, const Tensor<float>& wanted) {
  const auto a = read(found.view()).flat(), b = read(wanted.view()).flat();
  return static_cast<double>((a - b).matrix().norm() / b.matrix().norm());
}

const std::array shapes{Shape{48, 80}, Shape{80, 48}};  // the iteration multiplies from either side

}  // namespace

TEST_CASE("cuda: Muon of wide and tall weights, as far as products in bf16 allow") {
  if (!gpu()) return;
  for (const Shape& shape : shapes) {
    CAPTURE(to_string(shape));
    const MuonOptions options{.others = {.weight_decay = 0.1, .linear_rate = 0.5}};
    const auto found = stepped<Muon, Cuda>(shape, false, options), wanted = stepped<Muon, Cpu>(shape, false, options);
    CHECK(distance(found[0], wanted[0]) < 0.1);  // rounding to bf16 alone moves an update by 3 to 5 %
    CHECK(distance(found[1], wanted[1]) < 5e-6);
  }
}

TEST_CASE("cuda: decay to signs, and a rate of linear layers of their own") {
  if (!gpu()) return;
  for (const Shape& shape : shapes) {
    CAPTURE(to_string(shape));
    const AdamWOptions options{.weight_decay = 0.3, .linear_rate = 0.5, .decay_to = DecayTarget::signs};
    const auto found = stepped<AdamW, Cuda>(shape, true, options), wanted = stepped<AdamW, Cpu>(shape, true, options);
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(distance(found.at(i), wanted.at(i)) < 1e-6);
  }
}
