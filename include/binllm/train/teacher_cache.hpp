// SPDX-License-Identifier: MIT
/// What a teacher once said of a corpus, looked up while a student learns.
#pragma once
#include <binllm/ops/top_distillation.hpp>
#include <binllm/train/objective.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace binllm {

/// Where the words and numbers of TopPredictions lie. The teacher read the corpus in windows of `context` tokens, as
/// `Batches` cuts them, and its predictions are softened by the temperature.
class TeacherCache {
 public:
  virtual ~TeacherCache() = default;
  [[nodiscard]] virtual Index top() const = 0;
  [[nodiscard]] virtual Index context() const = 0;
  [[nodiscard]] virtual double temperature() const = 0;
  /// The predictions for `rest.size()` tokens of the corpus from `first_token` on; token i predicts token i + 1.
  virtual void read(Index first_token, View<std::int32_t> words, View<float> log_probabilities,
                    View<float> rest) const = 0;
};
using TeacherCachePointer = std::shared_ptr<const TeacherCache>;

/// Distillation from a cache (ops/top_distillation.hpp): no teacher runs.
struct CachedDistillation {
  static constexpr std::string_view name = "cached-distillation",
                                    summary = "next tokens as a teacher once predicted them";
  static constexpr std::string_view top = "teacher.top", rest = "teacher.rest";

  TeacherCachePointer teacher_cache;
  double mix = 0.5, weight = 1, ambiguity = 0;
  bool per_sequence = false;

  [[nodiscard]] std::vector<TokenDataShape> token_data() const {
    detail::check_teacher("CachedDistillation", teacher_cache);
    const Index k = teacher_cache->top();
    return {{std::string(top), k, k}, {std::string(rest), 1, 0}};
  }
  void fill(const HostBatch& batch) const {
    const auto named = [&](std::string_view wanted) -> const TokenData<Cpu>& {
      return *std::find_if(batch.data.begin(), batch.data.end(), [&](const auto& one) { return one.name == wanted; });
    };
    const TokenData<Cpu>&predictions = named(top), &others = named(rest);
    for (std::size_t row = 0; row < batch.first_token.size(); ++row) {
      const auto i = static_cast<Index>(row);
      teacher_cache->read(batch.first_token[row], predictions.ids.slice(i), predictions.numbers.slice(i),
                          others.numbers.slice(i));
    }
  }
  /// Errors: option_out_of_range without a cache; those of the op.
  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    detail::check_teacher("CachedDistillation", teacher_cache);
    const TokenData<Device>&predictions = batch[top], &others = batch[rest];
    const double whole = per_sequence ? static_cast<double>(batch.ids.shape[1]) : 1;
    const TopDistillationRows rows{{teacher_cache->temperature(), mix, weight * whole, ambiguity}};
    const auto h = model.hidden(pass, batch.ids);
    return top_distillation(h, model.head(pass), batch.targets,
                            TopPredictions<Device>{read(predictions.ids), read(predictions.numbers),
                                                   read(others.numbers.reshaped(Shape{others.numbers.size()}))},
                            rows);
  }
};

}  // namespace binllm
