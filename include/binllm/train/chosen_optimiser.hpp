// SPDX-License-Identifier: MIT
/// The optimiser that options name, chosen while a program runs: one type, so that a trainer is compiled once.
#pragma once
#include <binllm/optim/muon.hpp>

#include <optional>

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
};

template <class T, class Device = Cpu>
class ChosenOptimiser {
 public:
  using Options = ChosenOptimiserOptions;

  ChosenOptimiser(ParameterBlock<T, Device>& block, StepScalars<Device>& scalars, const Options& options = {}) {
    if (options.choice == OptimiserChoice::muon) {
      muon_.emplace(block, scalars, options.muon);
    } else {
      adamw_.emplace(block, scalars, options.muon.others);
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
