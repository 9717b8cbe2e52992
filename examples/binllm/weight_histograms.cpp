// SPDX-License-Identifier: MIT
/// Histograms of the weights that a linear layer multiplies with, out of a training's state. (Figure 7)
#include "records.hpp"

#include <binllm/autodiff/variable.hpp>
#include <binllm/interop/histogram.hpp>
#include <binllm/methods/formats.hpp>
#include <binllm/nn/any_kind.hpp>

#include <algorithm>
#include <array>

namespace program {

namespace {

using binllm::Cpu;
using binllm::Index;
using binllm::Parameter;
using binllm::Shape;
using binllm::Tensor;
using binllm::View;

constexpr Index bins = 64;

const binllm::TrainingState::Block* block_named(const binllm::TrainingState& state, const std::string& name) {
  const auto found =
      std::find_if(state.blocks.begin(), state.blocks.end(), [&](const auto& block) { return block.name == name; });
  return found == state.blocks.end() ? nullptr : &*found;
}

/// Points the leaves of a layer at the state's memory, or copies buffers from it.
class FromState final : public binllm::LeafVisitor<float, Cpu> {
 public:
  FromState(const binllm::TrainingState& state, std::string layer) : state_(state), layer_(std::move(layer)) {}
  [[nodiscard]] bool complete() const noexcept { return complete_; }

  void parameter(const std::string& name, Parameter<float, Cpu>& leaf) override {
    if (leaf.value.shape.size() == 0) return;
    if (void* const data = data_of("values/", name, leaf.value.shape, sizeof(float)))
      leaf.value.data = static_cast<float*>(data);
  }
  void tensor(const std::string& name, Tensor<float, Cpu>& leaf) override { copy(name, leaf); }
  void tensor(const std::string& name, Tensor<std::uint8_t, Cpu>& leaf) override { copy(name, leaf); }
  void tensor(const std::string& name, Tensor<std::int32_t, Cpu>& leaf) override { copy(name, leaf); }
  void packed(const std::string&, binllm::PackedMatrix<float, Cpu>&) override { complete_ = false; }

 private:
  [[nodiscard]] void* data_of(const std::string& kind, const std::string& name, const Shape& shape, std::size_t size) {
    const auto* const block = block_named(state_, kind + layer_ + "." + name);
    const bool found = block != nullptr && block->bytes == static_cast<std::size_t>(shape.size()) * size;
    complete_ = complete_ && found;
    return found ? block->data : nullptr;
  }
  template <class X>
  void copy(const std::string& name, Tensor<X, Cpu>& leaf) {
    if (leaf.size() == 0) return;
    const void* const data = data_of("buffers/", name, leaf.shape(), sizeof(X));
    if (data != nullptr) std::copy_n(static_cast<const X*>(data), leaf.size(), leaf.view().data);
  }

  const binllm::TrainingState& state_;
  std::string layer_;
  bool complete_ = true;
};

/// What a layer makes of the unit vectors, which is W_b transposed: some of them at a time.
std::vector<float> weights_at(const binllm::AnyLinear<float, Cpu>& layer, Index in, Index out, double t) {
  constexpr Index slab = 32;
  std::vector<float> weights;
  weights.reserve(static_cast<std::size_t>(in * out));
  binllm::Tape<Cpu> tape;
  const binllm::NoGrad<Cpu> pause(tape);
  binllm::StepScalars<Cpu> scalars;
  scalars.set(binllm::StepScalars<Cpu>::sharpness, t);
  for (Index first = 0; first < in; first += slab) {
    tape.reset();
    Tensor<float> units(Shape{std::min(slab, in - first), in});
    units.view().flat() = 0;
    for (Index row = 0; row < units.view().rows(); ++row) units.view().row(row)(first + row) = 1;
    binllm::Pass<float, Cpu> pass{tape, scalars};
    const auto made = layer.run(pass, tape.constant(binllm::read(units.view())), nullptr);
    const auto values = made.value();
    weights.insert(weights.end(), values.data, values.data + values.size());
  }
  return weights;
}

}  // namespace

bool count_weights(const binllm::TrainingState& state, const ChosenLayer& chosen, binllm::WeightHistogram& histogram) {
  const auto* const weight = block_named(state, "values/" + histogram.layer + ".weight");
  const Index out = chosen.out;
  if (weight == nullptr || out < 1) return false;
  const Index in = static_cast<Index>(weight->bytes / sizeof(float)) / out;
  const auto layer = binllm::format_named<float, Cpu>(chosen.format, chosen.words).chosen->make({.out = out, .in = in});
  FromState leaves(state, histogram.layer);
  layer->visit(leaves);
  if (!leaves.complete()) return false;
  const std::vector<float> weights = weights_at(*layer, in, out, histogram.t);
  const View<const float> view(weights.data(), Shape{static_cast<Index>(weights.size())});
  // A few weights far out would leave the others in one bin.
  const auto range = binllm::quantiles(view, std::array{0.001, 0.999});
  histogram.high = std::max({std::abs(range.front()), std::abs(range.back()), 1e-12}) * 1.25;
  histogram.low = -histogram.high;
  histogram.counts = binllm::histogram(view, bins, histogram.low, histogram.high).counts;
  return true;
}

std::string_view no_histograms() { return {}; }

}  // namespace program
