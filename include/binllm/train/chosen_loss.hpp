// SPDX-License-Identifier: MIT
/// The objective that settings describe, chosen while a program runs: the one place where their terms become a loss.
#pragma once
#include <binllm/methods/loss_settings.hpp>
#include <binllm/models/config.hpp>
#include <binllm/train/teacher_cache.hpp>
#include <binllm/train/weighted_sum.hpp>

#include <numeric>
#include <vector>

namespace binllm {

/// The loss of LossSettings; next-token cross-entropy where they want no teacher. With a cache the predictions come from
/// there, and the teacher is needed for hidden states alone.
template <class T, class Device>
struct ChosenLoss {
  static constexpr std::string_view name = "chosen", summary = "what settings describe";

  LossSettings settings{};
  TeacherPointer<T, Device> teacher{};
  TeacherCachePointer cache{};

  /// Errors: option_out_of_range without the teacher that the settings want; those of the terms.
  template <class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    const LossSettings& s = settings;
    const auto with_states = [&](const auto& predictions) {
      if (!s.wants_states()) return predictions.loss(pass, model, batch);
      const HiddenStates<T, Device> states = compared(model.blocks());
      const auto count = static_cast<double>(states.layers.size() + (states.final_state ? 1 : 0));
      return sum(Weighted{1.0, predictions}, Weighted{s.hidden_states * count, states}).loss(pass, model, batch);
    };
    if (s.distillation == 0) return with_states(NextToken{});
    if (cache) return with_states(cached());
    return with_states(Distillation<T, Device>{teacher, s.temperature, s.distillation, s.distillation_weight,
                                               s.ambiguity, s.per_sequence});
  }
  [[nodiscard]] std::vector<TokenDataShape> token_data() const {
    return cache ? cached().token_data() : std::vector<TokenDataShape>{};
  }
  void fill(const HostBatch& batch) const {
    if (cache) cached().fill(batch);
  }

 private:
  [[nodiscard]] CachedDistillation cached() const {
    return {cache, settings.distillation, settings.distillation_weight, settings.ambiguity, settings.per_sequence};
  }
  /// As published: OneBit compares the embedding and all blocks but the last, BinaryMoS all blocks but the last and the
  /// final norm.
  [[nodiscard]] HiddenStates<T, Device> compared(Index blocks) const {
    const bool squares = settings.hidden_distance == hidden_squares;
    std::vector<Index> layers(static_cast<std::size_t>(squares ? blocks - 1 : blocks));
    std::iota(layers.begin(), layers.end(), squares ? Index{1} : Index{0});
    return {teacher, std::move(layers), squares ? HiddenDistance::squares : HiddenDistance::directions, squares};
  }
};

/// Refuses settings, a teacher (where there is one) and a cache (where there is one) from which a student of this
/// configuration, trained on windows of `context` tokens, cannot learn. Errors: option_out_of_range (a number, a distance,
/// no teacher); config_inconsistent (another vocabulary, width or depth, too few positions; a cache of another context or
/// temperature).
inline void check_loss(const LossSettings& settings, const ModelConfig& student, const ModelConfig* teacher,
                       const TeacherCache* cache, Index context) {
  check_options("loss", settings);
  if (settings.hidden_distance != hidden_directions && settings.hidden_distance != hidden_squares) {
    throw Error(ErrorId::option_out_of_range, "loss", "hidden_distance", "directions or squares",
                settings.hidden_distance);
  }
  const auto same = [](std::string_view what, auto wanted, auto found) {
    if (wanted == found) return;
    throw Error(ErrorId::config_inconsistent, "loss", "teacher", fmt::format("{} {}, as the student has", wanted, what),
                fmt::format("{}", found));
  };
  const bool enough = settings.wants_states() || !cache ? teacher != nullptr : true;
  if (settings.wants_teacher() && !enough) {
    throw Error(ErrorId::option_out_of_range, "loss", "teacher",
                settings.wants_states() ? "a model: its hidden states are compared" : "a model to learn from",
                cache ? "what one once predicted" : "none");
  }
  if (settings.wants_teacher() && teacher != nullptr) {
    same("tokens", student.vocab_size, teacher->vocab_size);
    if (teacher->max_position_embeddings < context) {
      throw Error(ErrorId::config_inconsistent, "loss", "teacher", fmt::format("{} positions, the context", context),
                  fmt::format("{}", teacher->max_position_embeddings));
    }
  }
  if (settings.wants_states() && teacher != nullptr) {
    same("numbers wide hidden states", student.hidden_size, teacher->hidden_size);
    same("layers", student.num_hidden_layers, teacher->num_hidden_layers);
  }
  if (settings.distillation > 0 && cache != nullptr) {
    same("tokens a sequence", context, cache->context());
    same("temperature", settings.temperature, cache->temperature());
  }
}

}  // namespace binllm
