// SPDX-License-Identifier: MIT
/// The optimiser that options name, chosen while a program runs: one type, so that a trainer is compiled once.
#pragma once
#include <binllm/optim/muon.hpp>

#include <optional>
#include <utility>

namespace binllm {

enum class OptimiserChoice { adamw, muon };

template <class T, class Device>
class ChosenOptimiser;

struct ChosenOptimiserOptions {
  OptimiserChoice choice = OptimiserChoice::adamw;
  MuonOptions muon{};  ///< with those of AdamW in it

  template <class T, class Device>
  using Optimiser = ChosenOptimiser<T, Device>;
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("adamw", self.muon.others, "AdamW", any);
    v("muon", self.muon, "Muon", any);
  }
  /// Whether it works on whole matrices, so that it cannot be divided among ranks.
  [[nodiscard]] bool needs_matrices() const noexcept {
    const AdamWOptions& others = muon.others;
    return choice == OptimiserChoice::muon || (others.decay_to == DecayTarget::signs && others.weight_decay > 0);
  }
};

template <class T, class Device = Cpu>
class ChosenOptimiser {
 public:
  using Options = ChosenOptimiserOptions;

  ChosenOptimiser(ParameterBlock<T, Device>& block, StepScalars<Device>& scalars, const Options& options = {})
      : ChosenOptimiser(trained_ranges(block), scalars, options) {}
  /// Of what one rank updates. Errors: config_inconsistent where that is a share, of options that work on matrices.
  ChosenOptimiser(TrainedRanges<T, Device> trained, StepScalars<Device>& scalars, const Options& options = {}) {
    if (options.choice == OptimiserChoice::muon) {
      muon_.emplace(std::move(trained), scalars, options.muon);
    } else {
      adamw_.emplace(std::move(trained), scalars, options.muon.others);
    }
  }
  void prepare(Index step, double learning_rate) {
    with([&](auto& chosen) { chosen.prepare(step, learning_rate); });
  }
  void clip(double factor) {
    with([&](auto& chosen) { chosen.clip(factor); });
  }
  void update() {
    with([](auto& chosen) { chosen.update(); });
  }
  template <class F>
  void states(const F& f) {
    with([&](auto& chosen) { chosen.states(f); });
  }

 private:
  template <class Body>
  void with(const Body& body) {
    if (muon_) return body(*muon_);
    body(*adamw_);
  }

  std::optional<AdamW<T, Device>> adamw_;
  std::optional<Muon<T, Device>> muon_;
};

}  // namespace binllm
