// SPDX-License-Identifier: MIT
/// What an optimiser works on: ranges of values and gradients with one rule each, whoever owns them.
#pragma once
#include <binllm/nn/parameter_block.hpp>
#include <binllm/nn/step_scalars.hpp>
#include <binllm/ranks/communicator.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace binllm {

template <class T, class Device>
struct TrainedRange {
  View<T, Device> value, gradient;
  ParameterRule rule;
  Index offset;  ///< of its numbers in what the optimiser keeps
};
/// A weight of a linear layer (out, in), for what treats it as a matrix.
template <class T, class Device>
using TrainedMatrix = TrainedRange<T, Device>;
template <class T, class Device>
struct TrainedRanges {
  std::vector<TrainedRange<T, Device>> ranges;
  std::vector<TrainedMatrix<T, Device>> matrices;  ///< parameters of ParameterKind::linear, which lie in the ranges too
  Index size = 0;                                  ///< elements of what mirrors them
  bool cut = false;                                ///< where they are shares of ranks there are no matrices
};

/// The runs of a model's block: what an optimiser keeps mirrors the block.
template <class T, class Device>
[[nodiscard]] TrainedRanges<T, Device> trained_ranges(ParameterBlock<T, Device>& block) {
  using Block = ParameterBlock<T, Device>;
  TrainedRanges<T, Device> all;
  all.size = block.trained;
  for (const ParameterRun& run : block.runs)
    all.ranges.push_back({Block::part(block.values, run), Block::part(block.gradients, run), run.rule, run.begin});
  for (const BlockMatrix& m : block.matrices) {
    const auto matrix = [&](Tensor<T, Device>& tensor) {
      return Block::part(tensor, m).reshaped(Shape{m.rows, m.size() / m.rows});
    };
    all.matrices.push_back({matrix(block.values), matrix(block.gradients), m.rule, m.begin});
  }
  return all;
}
/// Where the share of each unit begins (ranks/communicator.hpp), in memory that holds one rank's one behind the other.
template <class T, class Device>
[[nodiscard]] std::vector<Index> shares_begin(const ParameterBlock<T, Device>& block, Index rank, Index ranks) {
  std::vector<Index> all;
  Index next = 0;
  for (const ParameterUnit& unit : block.units) {
    all.push_back(next);
    next += share_of(unit.size(), rank, ranks).size;
  }
  return all;
}
/// What one of several ranks updates of a block: of each unit its share. What an optimiser keeps for it are the shares
/// one behind the other. Values and gradients are those of the block, or other memory for the share of each unit.
template <class T, class Device>
[[nodiscard]] TrainedRanges<T, Device> trained_ranges(ParameterBlock<T, Device>& block, Index rank, Index ranks,
                                                      const std::vector<View<T, Device>>& values = {},
                                                      const std::vector<View<T, Device>>& gradients = {}) {
  using Block = ParameterBlock<T, Device>;
  const std::vector<Index> offsets = shares_begin(block, rank, ranks);
  TrainedRanges<T, Device> all;
  all.cut = true;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const ParameterUnit& unit = block.units[i];
    const Share share = share_of(unit.size(), rank, ranks);
    const Index begin = unit.begin + share.begin, end = begin + share.size;
    for (const ParameterRun& run : block.runs) {
      const BlockRange part{std::max(run.begin, begin), std::min(run.end, end)};
      if (part.size() <= 0) continue;
      const Index within = part.begin - begin;
      const auto of = [&](const std::vector<View<T, Device>>& shares, Tensor<T, Device>& whole) {
        if (shares.empty()) return Block::part(whole, part);
        return View<T, Device>(shares[i].data + within, Shape{part.size()});
      };
      all.ranges.push_back({of(values, block.values), of(gradients, block.gradients), run.rule, offsets[i] + within});
    }
    all.size += share.size;
  }
  return all;
}
/// Parameters from anywhere, but for those without gradient. They must outlive the ranges' use.
template <class T, class Device>
[[nodiscard]] TrainedRanges<T, Device> trained_ranges(const std::vector<const Parameter<T, Device>*>& parameters) {
  TrainedRanges<T, Device> all;
  for (const auto* parameter : parameters) {
    if (!parameter->gradient) continue;
    const Shape flat{parameter->size()};
    all.ranges.push_back(
        {parameter->value.reshaped(flat), parameter->gradient.reshaped(flat), parameter->rule, all.size});
    if (parameter->rule.kind == ParameterKind::linear)
      all.matrices.push_back({parameter->value, parameter->gradient, parameter->rule, all.size});
    all.size += ParameterBlock<T, Device>::aligned(parameter->size());
  }
  return all;
}

/// Errors: config_inconsistent unless the weights of linear layers are there as whole matrices.
template <class T, class Device>
void check_whole_matrices(std::string_view operation, const TrainedRanges<T, Device>& trained) {
  if (!trained.cut) return;
  throw Error(ErrorId::config_inconsistent, operation, "sharding", "none: it works on whole matrices",
              "an optimiser that is divided among ranks");
}

namespace detail {
struct AnyState {  // not a lambda: nvcc cannot read one in a concept
  template <class X>
  void operator()(std::string_view, X&) const {}
};
}  // namespace detail

/// What the trainer asks of an optimiser over a model's block. It adds its numbers to the step scalars when it is made.
template <class O>
concept Optimiser = requires(O& optimiser, Index step, double number) {
  typename O::Options;
  optimiser.prepare(step, number);       // what the step number, counted from 1, and the learning rate say
  optimiser.clip(number);                // the factor of this step's gradients
  optimiser.update();                    // work for the device, the same at every step
  optimiser.states(detail::AnyState{});  // what it keeps beside the values, by name
};

/// What all optimisers share: ranges, two of the step scalars, and steps by hand.
template <class Self, class T, class Device>
class OptimiserBase {
 public:
  OptimiserBase(const OptimiserBase&) = delete;
  OptimiserBase& operator=(const OptimiserBase&) = delete;

  /// The next update by hand, with the gradients that are there; then those are zero.
  void step(double learning_rate, double factor = 1) {
    auto& self = static_cast<Self&>(*this);
    self.prepare(++steps_, learning_rate);
    clip(factor);
    self.update();
    zero_gradients();
  }
  /// The gradients of this step are multiplied with a factor first.
  void clip(double factor) { scalars_.set(clip_, factor); }
  void zero_gradients() {
    for (const auto& range : trained_.ranges)
      Backend<Device>::zero(range.gradient.data, static_cast<std::size_t>(range.gradient.size()) * sizeof(T));
  }

 protected:
  using Slot = typename StepScalars<Device>::Slot;

  /// Without scalars, it has some of its own.
  OptimiserBase(TrainedRanges<T, Device> trained, StepScalars<Device>* scalars)
      : trained_(std::move(trained)),
        scalars_(scalars == nullptr ? own_.emplace() : *scalars),
        learning_rate_(scalars_.add("learning_rate")),
        clip_(scalars_.add("clip")) {}
  ~OptimiserBase() = default;
  [[nodiscard]] Tensor<T, Device> mirror() const { return Tensor<T, Device>(Shape{trained_.size}); }
  [[nodiscard]] static View<T, Device> part(Tensor<T, Device>& tensor, const TrainedRange<T, Device>& range) {
    return {tensor.view().data + range.offset, range.value.shape};
  }

  TrainedRanges<T, Device> trained_;
  std::optional<StepScalars<Device>> own_;
  StepScalars<Device>& scalars_;
  Slot learning_rate_, clip_;

 private:
  Index steps_ = 0;
};

}  // namespace binllm
