// SPDX-License-Identifier: MIT
/// How much memory a training will take, before it takes any: the training step itself, run on a device that only
/// counts.
#pragma once
#include <binllm/device/meta.hpp>
#include <binllm/models/channel_search.hpp>
#include <binllm/train/loop.hpp>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// Bytes at the peak of a training, of one rank where there are several. What the process held before the model was made
/// comes on top, and so does the scratch of the CPU's threads (packing panels of the products, tiles of attention: a few
/// MB a thread).
struct MemoryForecast {
  std::size_t parameters = 0, gradients = 0, moments = 0;
  std::size_t teacher = 0;      ///< parameters of the model that is learned from
  std::size_t activations = 0;  ///< and working memory: the rest of the peak
  std::size_t reserved = 0;  ///< what is asked of the allocator for all of it; pages that are never used cost nothing

  [[nodiscard]] std::size_t total() const noexcept { return parameters + gradients + moments + teacher + activations; }
};

/// The ranks that a training is spread over.
struct RanksForecast {
  Index ranks = 1;
  AnySharding sharding{};
};

namespace detail {

/// Counts from its making on.
class MetaMeter {
 public:
  MetaMeter() {
    Backend<Meta>::reset_peaks();
    used_ = Backend<Meta>::used().now;
    reserved_ = Backend<Meta>::reserved().now;
  }
  [[nodiscard]] std::size_t used() const { return Backend<Meta>::used().peak - used_; }
  [[nodiscard]] std::size_t reserved() const { return Backend<Meta>::reserved().peak - reserved_; }

 private:
  std::size_t used_, reserved_;
};

template <class Model>
using OnMeta = CausalLm<typename Model::architecture, typename Model::value_type, Meta, typename Model::format_type>;

/// So many ranks, of which only the first is there: enough to know what each takes.
struct CountedRanks : Alone {
  Index ranks = 1;
  explicit CountedRanks(Index count = 1) : ranks(count) {}
  [[nodiscard]] Index size() const noexcept { return ranks; }
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes) const {
    return {static_cast<std::size_t>(ranks), std::string(bytes)};
  }
};
static_assert(Communicator<CountedRanks>);

/// One step of `model`, and the evaluation that stands at the end of a training. `blocks` are those of all models that
/// are alive, made under the eyes of the meter; a teacher's parameters are `teacher_bytes`.
template <class Model, class Objective = NextToken>
[[nodiscard]] MemoryForecast forecast_step(
    Model& model, std::initializer_list<const ParameterBlock<typename Model::Master, Meta>*> blocks,
    const TrainingOptions& options, const TokenStream* validation, const MetaMeter& meter, const RanksForecast& ranks,
    const Objective& objective = {}, std::size_t teacher_bytes = 0) {
  const auto bytes = [](const auto& tensor) {
    return static_cast<std::size_t>(tensor.size()) * sizeof(typename Model::Master);
  };
  using Optimiser = ChosenOptimiser<typename Model::Master, Meta>;
  TrainingStep<Model, Objective, Optimiser, CountedRanks, AnySharding> training(
      model, options.batch / ranks.ranks, options.micro_batch, options.context, options.chosen_optimiser(),
      options.recompute, objective, CountedRanks(ranks.ranks), ranks.sharding);
  MemoryForecast forecast;
  forecast.teacher = teacher_bytes;
  training.optimiser().states([&](std::string_view, const auto& tensor) { forecast.moments += bytes(tensor); });
  const auto no_tokens = [](View<std::int32_t>, View<std::int32_t>) {};
  static_cast<void>(training.run(no_tokens, 0, options.learning_rate, 1.0, options.clip));
  forecast.parameters = training.exchange().value_bytes();
  forecast.gradients = training.exchange().gradient_bytes();
  for (const auto* block : blocks) {
    forecast.parameters += bytes(block->values);
    forecast.gradients += bytes(block->gradients);
  }
  training.gather_values();
  if (validation != nullptr) {
    PerplexityOptions evaluation{.context = options.context};
    check_perplexity(model.config, *validation, evaluation);
    const Index all = std::min(options.windows_of_evaluation(), validation->size() / options.context),
                windows = (all + ranks.ranks - 1) / ranks.ranks;  // of one rank, of those that have most
    // A whole batch, and the rest that is none: its tensors have sizes of their own. The others need no more memory.
    evaluation.max_windows = std::min(windows, evaluation.batch + windows % evaluation.batch);
    static_cast<void>(evaluate_perplexity(model, *validation, evaluation));
  }
  forecast.activations = meter.used() - forecast.total();
  forecast.reserved = meter.reserved();
  return forecast;
}

}  // namespace detail

struct MakeNextToken {
  [[nodiscard]] NextToken operator()() const { return {}; }
};

/// The memory of `pretrain` or `train_progressively` for a `Model` of this configuration and format, with its
/// evaluations where there is a validation stream. `make_objective()` gives the objective, with teachers on Meta. Takes
/// milliseconds. One forecast at a time: the device has one count for all threads.
/// Errors: those of the training's first step, but for token ids, which nothing reads.
template <class Model, class MakeObjective = MakeNextToken>
[[nodiscard]] MemoryForecast forecast_training_memory(const ModelConfig& config,
                                                      const typename Model::format_type& format,
                                                      const TrainingOptions& options,
                                                      const TokenStream* validation = nullptr,
                                                      const MakeObjective& make_objective = {},
                                                      const RanksForecast& ranks = {}) {
  options.check(ranks.ranks);
  const detail::MetaMeter meter;
  const std::size_t before = Backend<Meta>::used().now;
  const auto objective = make_objective();
  const std::size_t teacher_bytes = Backend<Meta>::used().now - before;
  detail::OnMeta<Model> model(config, format);
  return detail::forecast_step(model, {&model.block}, options, validation, meter, ranks, objective, teacher_bytes);
}

/// The memory of `search_channel_scale` with the batch, micro_batch and context of `options`: stage 1 has the whole
/// binary model beside it, gradients included, and moments of S_t alone. Errors: as above.
template <class Model>
[[nodiscard]] MemoryForecast forecast_channel_scale_memory(const ModelConfig& config,
                                                           const typename Model::format_type& format,
                                                           const TrainingOptions& options,
                                                           const RanksForecast& ranks = {}) {
  options.check(ranks.ranks);
  const detail::MetaMeter meter;
  detail::OnMeta<Model> binary(config, format);
  auto search = channel_search(binary);
  return detail::forecast_step(search, {&binary.block, &search.block}, options, nullptr, meter, ranks);
}

}  // namespace binllm
