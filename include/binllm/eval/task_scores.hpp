// SPDX-License-Identifier: MIT
/// Multiple-choice tasks, judged as lm-evaluation-harness does.
///   choice       argmax_k l_k,           l_k = log p(continuation_k | context_k)
///   choice_norm  argmax_k l_k / c_k,     c_k the characters of the choice; of equal ones the first
///   acc, acc_norm are the shares of items where that is the right one, and their standard errors
///     sqrt( sum_i (x_i - x)^2 / (n - 1) ) / sqrt(n)
#pragma once
#include <binllm/eval/continuations.hpp>
#include <binllm/eval/python_text.hpp>
#include <binllm/eval/task.hpp>
#include <binllm/ranks/parallel.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace binllm {

/// What a context opens with.
enum class TaskOpening {
  none,       ///< nothing: lm-evaluation-harness 0.4.2 unless it is asked
  tokenizer,  ///< BOS where the tokenizer adds one: later versions
};

struct TaskOptions {
  TaskOpening opening = TaskOpening::none;
  ContinuationOptions scoring{};
};

/// The tokens of a choice. Blanks at the end of a context go to its continuation; the continuation's ids are those of
/// both texts together behind as many as the context has alone. An empty context is the end of another text.
/// Errors: option_out_of_range for an empty context where the tokenizer knows no such token.
[[nodiscard]] inline Continuation encode_choice(const Tokenizer& tokenizer, const TaskChoice& choice,
                                                TaskOpening opening) {
  const std::optional<std::int32_t> bos = opening == TaskOpening::tokenizer ? tokenizer.bos() : std::nullopt;
  Continuation result;
  if (bos) result.tokens.push_back(*bos);
  const auto append = [&](const std::vector<std::int32_t>& ids, std::size_t from) {
    result.tokens.insert(result.tokens.end(), ids.begin() + static_cast<Index>(std::min(from, ids.size())), ids.end());
  };
  const std::string_view context = python::without_trailing_blanks(choice.context);
  if (choice.context.empty()) {
    const auto end = bos ? bos : tokenizer.eos();
    if (!end)
      throw Error(ErrorId::option_out_of_range, "encode_choice", "context", "a text, or a tokenizer with EOS",
                  "an empty one");
    result.tokens = {*end};
    append(tokenizer.encode(choice.continuation), 0);
    result.scored = std::ssize(result.tokens) - 1;
    return result;
  }
  const std::vector<std::int32_t> alone = tokenizer.encode(context),
                                  together = tokenizer.encode(choice.context + choice.continuation);
  append(alone, 0);
  append(together, alone.size());
  result.scored = std::ssize(together) - std::ssize(alone);
  return result;
}

/// A mean and how far it may be off.
struct Proportion {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double standard_error = std::numeric_limits<double>::quiet_NaN();  ///< NaN of fewer than two items
};
/// Of outcomes that are right `hits` times in `count`.
[[nodiscard]] inline Proportion proportion(Index hits, Index count) {
  Proportion result;
  const auto n = static_cast<double>(count);
  if (count > 0) result.mean = static_cast<double>(hits) / n;
  if (count > 1) result.standard_error = std::sqrt(result.mean * (1 - result.mean) / (n - 1));
  return result;
}

struct ItemScore {
  std::vector<double> log_probabilities;  ///< of each choice
  Index choice = 0, choice_norm = 0, gold = 0;
};

struct TaskScores {
  std::vector<ItemScore> items;
  Proportion acc, acc_norm;

  [[nodiscard]] const Proportion& by(TaskMetric metric) const { return metric == TaskMetric::acc ? acc : acc_norm; }
};

/// What a model chose. One log-probability for each choice of each item.
[[nodiscard]] inline TaskScores task_scores(const std::vector<TaskItem>& items,
                                            std::vector<std::vector<double>> log_probabilities) {
  const auto first_largest = [](const std::vector<double>& values) {
    return std::max_element(values.begin(), values.end()) - values.begin();
  };
  TaskScores scores;
  Index hits = 0, hits_norm = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    ItemScore& item = scores.items.emplace_back();
    item.log_probabilities = std::move(log_probabilities[i]);
    std::vector<double> by_character = item.log_probabilities;
    for (std::size_t k = 0; k < by_character.size(); ++k)
      by_character[k] /= static_cast<double>(items[i].choices[k].characters);
    item.choice = first_largest(item.log_probabilities);
    item.choice_norm = first_largest(by_character);
    item.gold = items[i].gold;
    hits += item.choice == item.gold;
    hits_norm += item.choice_norm == item.gold;
  }
  scores.acc = proportion(hits, std::ssize(items));
  scores.acc_norm = proportion(hits_norm, std::ssize(items));
  return scores;
}

/// Judges a model by the items of a task. Several ranks with the same model divide the items, and all get the result.
/// Errors: those of encode_choice and score_continuations.
template <LanguageModel Model, Communicator C = Alone>
[[nodiscard]] TaskScores evaluate_task(const Model& model, const Tokenizer& tokenizer,
                                       const std::vector<TaskItem>& items, const TaskOptions& options = {},
                                       C ranks = {}) {
  const auto size = static_cast<std::size_t>(ranks.size()), rank = static_cast<std::size_t>(ranks.rank());
  std::vector<std::vector<Continuation>> groups;
  for (std::size_t i = rank; i < items.size(); i += size) {
    auto& group = groups.emplace_back();
    for (const TaskChoice& choice : items[i].choices)
      group.push_back(encode_choice(tokenizer, choice, options.opening));
  }
  const auto mine = score_continuations(model, groups, options.scoring);
  if (size == 1) return task_scores(items, mine);
  std::vector<double> all;  // zeros where other ranks have numbers
  for (std::size_t i = 0; i < items.size(); ++i) {
    all.resize(all.size() + items[i].choices.size());
    if (i % size == rank)
      std::copy(mine[i / size].begin(), mine[i / size].end(), all.end() - std::ssize(mine[i / size]));
  }
  sum_numbers(ranks, all);
  std::vector<std::vector<double>> scores;
  auto next = all.cbegin();
  for (const TaskItem& item : items) {
    scores.emplace_back(next, next + std::ssize(item.choices));
    next += std::ssize(item.choices);
  }
  return task_scores(items, scores);
}

}  // namespace binllm
