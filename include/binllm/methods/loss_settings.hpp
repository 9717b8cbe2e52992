// SPDX-License-Identifier: MIT
/// What a method learns from beside the next token: numbers, from which train/chosen_loss.hpp makes the objective.
#pragma once
#include <binllm/core/options.hpp>

#include <string_view>

namespace binllm {

/// Distances of hidden states by name.
inline constexpr std::string_view hidden_directions = "directions", hidden_squares = "squares";

/// With a the share of the teacher, s and c its weights (ops/distillation.hpp), and a sum over hidden states:
///
///     (1 - a) next token  +  a s T^2 c KL(teacher || student)  +  w sum over states of  distance(student, teacher)
///
/// The divergence is the mean over tokens, or the sum over a sequence's tokens. What a loss published as: LossSettings of
/// FBI-LLM is {.distillation = 1}; of OneBit {.distillation = 1, .distillation_weight = 0.01, .per_sequence = true,
/// .hidden_states = 1}; of BinaryMoS {.distillation = 1, .per_sequence = true, .hidden_states = 10, .hidden_distance =
/// hidden_squares}; of DB-LLM, approximately, {.distillation = 1, .ambiguity = 1}.
struct LossSettings {
  double distillation = 0, temperature = 1, distillation_weight = 1;
  bool per_sequence = false;
  double ambiguity = 0, hidden_states = 0;
  std::string_view hidden_distance = hidden_directions;

  /// Whether there is anything to learn from a teacher; whether that takes the teacher itself, not only what it said.
  [[nodiscard]] constexpr bool wants_teacher() const noexcept { return distillation > 0 || hidden_states > 0; }
  [[nodiscard]] constexpr bool wants_states() const noexcept { return hidden_states > 0; }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("distillation", self.distillation, "share of a teacher's predictions in the loss; 0: none, 1: all of it",
      between(0, 1));
    v("temperature", self.temperature, "softens both predictions", above(0));
    v("distillation_weight", self.distillation_weight, "factor of the teacher's predictions", at_least(0));
    v("per_sequence", self.per_sequence, "predictions add up over a sequence instead of being averaged", any);
    v("ambiguity", self.ambiguity, "exponent of the cross-entropy to the teacher that weights a token", at_least(0));
    v("hidden_states", self.hidden_states, "weight of the sum of distances to the teacher's hidden states",
      at_least(0));
    v("hidden_distance", self.hidden_distance,
      "of hidden states: directions (embedding and all blocks but the last) or squares (all blocks, and the last norm)",
      any);
  }
};

}  // namespace binllm
