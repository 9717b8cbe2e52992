// SPDX-License-Identifier: MIT
/// What is minimised. An objective is a value with
///
///     template <class T, class Device, class Model>
///     Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model, const Batch<Device>& batch) const;
///
/// which may call model.hidden, model.head, hidden_states(pass, model, ...), and for_each_parameter for terms over
/// weights. It runs inside the step that a GPU records: what differs from step to step must be data on the device.
/// Gradients of parameters hold nothing that is defined before backward: the pass's tape alone writes them.
/// Beside `loss` it may have
///
///     std::vector<TokenDataShape> token_data() const;     // more data that it wants for each token
///     void fill(const HostBatch& batch) const;            // and writes, after ids and targets are there
#pragma once
#include <binllm/ops/distillation.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/normalized_squared_error.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/train/batch.hpp>
#include <binllm/train/teacher.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace binllm {

/// The mean cross-entropy of the next token, natural log.
struct NextToken {
  static constexpr std::string_view name = "next-token", summary = "cross-entropy of the next token";

  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    const auto h = model.hidden(pass, batch.ids);
    return cross_entropy(h, model.head(pass), batch.targets);
  }
};

namespace detail {
template <class Pointer>
void check_teacher(std::string_view objective, const Pointer& teacher) {
  if (!teacher) throw Error(ErrorId::option_out_of_range, objective, "teacher", "a teacher", "none");
}
}  // namespace detail

/// A teacher's predictions (ops/distillation.hpp).
///
///     (1 - mix) next-token loss  +  mix weight temperature^2 KL(teacher || student), both softened by the temperature
///
/// The divergence is the mean over tokens, or with `per_sequence` the sum over a sequence's tokens; `ambiguity` weights
/// tokens by a power of the cross-entropy.
template <class T, class Device>
struct Distillation {
  static constexpr std::string_view name = "distillation", summary = "next tokens as a teacher predicts them";

  TeacherPointer<T, Device> teacher;
  double temperature = 1, mix = 0.5, weight = 1, ambiguity = 0;
  bool per_sequence = false;

  /// Errors: option_out_of_range without a teacher; those of the op.
  template <class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    detail::check_teacher("Distillation", teacher);
    const auto theirs = teacher->rows(pass.tape, batch.ids);
    const auto h = model.hidden(pass, batch.ids);
    const double whole = per_sequence ? static_cast<double>(batch.ids.shape[1]) : 1;
    return distillation(h, model.head(pass), batch.targets, theirs, {temperature, mix, weight * whole, ambiguity});
  }
};
template <class T, class Device, class... Numbers>
Distillation(TeacherPointer<T, Device>, Numbers...) -> Distillation<T, Device>;

namespace detail {

/// y = sum_i w_i x_i of scalars, computed when somebody asks: losses are, too. Empty where there are none.
template <class M, class Device, std::size_t count>
[[nodiscard]] Variable<M, Device> weighted_sum(const std::array<Variable<M, Device>, count>& x,
                                               const std::array<double, count>& w) {
  using K = Kernel<Scaling, Device>;
  Tape<Device>& tape = x.front().tape();
  auto y = tape.template deferred<M>({1}, [=](View<M, Device> out) {
    K::forward(read(x[0].value()), static_cast<M>(w[0]), out);
    for (std::size_t i = 1; i < count; ++i) K::backward(read(x[i].value()), static_cast<M>(w[i]), out);
  });
  const struct {
    bool any;
    [[nodiscard]] bool needs_gradient() const { return any; }
  } inputs{std::any_of(x.begin(), x.end(), [](const auto& one) { return one.needs_gradient(); })};
  tape.on_backward(
      y,
      [=] {
        for (std::size_t i = 0; i < count; ++i) {
          if (x[i].needs_gradient()) K::backward(read(y.gradient()), static_cast<M>(w[i]), x[i].gradient());
        }
      },
      inputs);
  return y;
}
template <class M, class Device>
[[nodiscard]] Variable<M, Device> plus(Variable<M, Device> a, double weight, Variable<M, Device> b) {
  return weighted_sum(std::array{a, b}, std::array{1.0, weight});
}

}  // namespace detail

/// How far hidden states are from a teacher's: the mean over N tokens of a distance between h and g (C).
enum class HiddenDistance {
  directions,  ///< | h / |h| - g / |g| |^2    (OneBit, arXiv 2402.11295)
  squares      ///< (1/C) | h - g |^2          (BinaryMoS, arXiv 2406.12311)
};

/// Hidden states, as a teacher has them.
///
///     mean over the states of  distance(h, g)
///
/// A layer is named by the number of blocks before the state: 0 is the embedding. The final state is the one behind the
/// last norm. Student and teacher are equally wide.
template <class T, class Device>
struct HiddenStates {
  static constexpr std::string_view name = "hidden-states", summary = "hidden states as a teacher has them";

  TeacherPointer<T, Device> teacher;
  std::vector<Index> layers;
  HiddenDistance distance = HiddenDistance::directions;
  bool final_state = false;

  /// Errors: empty_tensor without states, option_out_of_range without a teacher, index_out_of_range, shape_mismatch.
  template <class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    const std::size_t count = layers.size() + (final_state ? 1 : 0);
    check_not_empty("HiddenStates", "layers", Shape{static_cast<Index>(count)});
    detail::check_teacher("HiddenStates", teacher);
    const auto theirs = teacher->hidden_states(pass.tape, batch.ids, layers);
    const auto ours = hidden_states(pass, model, batch.ids, std::span<const Index>(layers));
    const auto state = [&](const auto& states, std::size_t i) {
      return i < layers.size() ? states.behind[i] : states.final;
    };
    const auto apart = [&](std::size_t i) {
      const auto h = state(ours, i), g = state(theirs, i);
      return distance == HiddenDistance::directions ? normalized_squared_error(h, g) : mean_squared_error(h, g);
    };
    const double weight = 1 / static_cast<double>(count);
    auto total = detail::weighted_sum(std::array{apart(0)}, std::array{weight});
    for (std::size_t i = 1; i < count; ++i) total = detail::plus(total, weight, apart(i));
    return total;
  }
};

/// Half the squared length of the matrices, times a factor: an example of a term over weights.
///
///     (factor / 2) sum over parameters that decay  |w|^2
struct SquaredWeights {
  static constexpr std::string_view name = "squared-weights", summary = "the squared length of the weights";

  double factor = 1e-4;

  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model, const Batch<Device>&) const {
    std::optional<Variable<master_t<T>, Device>> total;
    for_each_parameter(model, [&](const std::string&, const auto& parameter) {
      if (!parameter.rule.decays || !parameter.gradient) return;
      const auto w = pass.tape.use(parameter);
      const auto square = multiply(w, w);
      const auto length = sum(square);
      forget(square);
      total = total ? detail::plus(*total, 1, length) : length;
    });
    check_not_empty("SquaredWeights", "model", Shape{total ? 1 : 0});
    return detail::weighted_sum(std::array{*total}, std::array{factor / 2});
  }
};

}  // namespace binllm
