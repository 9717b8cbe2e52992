// SPDX-License-Identifier: MIT
/// A multiple-choice task: how an item is asked, and where items come from. eval/tasks.hpp lists those that ship.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// What a model is asked the probability of: the continuation behind the context.
struct TaskChoice {
  std::string context, continuation;
  Index characters = 0;  ///< of the choice's text, by which acc_norm divides
};

/// Characters (code points) of a text in UTF-8.
[[nodiscard]] constexpr Index characters_in(std::string_view text) {
  Index count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return count;
}

/// One question. Continuations stand behind a blank, as in lm-evaluation-harness.
struct TaskItem {
  std::vector<TaskChoice> choices;
  Index gold = 0;  ///< the right one

  /// One context, several continuations.
  [[nodiscard]] static TaskItem of_choices(const std::string& context, const std::vector<std::string>& choices,
                                           Index gold) {
    TaskItem item{{}, gold};
    for (const std::string& choice : choices) item.choices.push_back({context, " " + choice, characters_in(choice)});
    return item;
  }
  /// Several contexts, one continuation ("partial scoring").
  [[nodiscard]] static TaskItem of_contexts(const std::vector<std::string>& contexts, const std::string& continuation,
                                            Index gold) {
    TaskItem item{{}, gold};
    for (const std::string& context : contexts)
      item.choices.push_back({context, " " + continuation, characters_in(context)});
    return item;
  }
};

/// A row of a data set, by the names of its fields; "choices.text" is a field within a field.
class TaskRow {
 public:
  virtual ~TaskRow() = default;
  [[nodiscard]] virtual bool has(std::string_view field) const = 0;
  // Errors: config_invalid naming file, line and field where it is missing or of another type.
  [[nodiscard]] virtual std::string text(std::string_view field) const = 0;
  [[nodiscard]] virtual std::vector<std::string> texts(std::string_view field) const = 0;
  /// A whole number, the same in quotes, or false and true as 0 and 1.
  [[nodiscard]] virtual Index number(std::string_view field) const = 0;
  [[noreturn]] virtual void refuse(std::string_view field, std::string_view wanted, std::string_view found) const = 0;
};

/// Which choice counts as the model's.
enum class TaskMetric {
  acc,       ///< the one of the largest log-probability
  acc_norm,  ///< the same for each of its characters
};
[[nodiscard]] constexpr std::string_view to_string(TaskMetric metric) {
  return metric == TaskMetric::acc ? "acc" : "acc_norm";
}

struct Task {
  std::string_view name, summary;
  TaskMetric metric;  ///< which of the two the literature quotes
  TaskItem (*item)(const TaskRow& row);
  std::string_view other_file{};  ///< a name that its file may have besides NAME.jsonl
};

/// The task of this name. Errors: unknown_name with those that there are.
[[nodiscard]] inline const Task& task_named(std::span<const Task> tasks, std::string_view name) {
  std::string names;
  for (const Task& task : tasks) {
    if (task.name == name) return task;
    names.append(names.empty() ? "" : ", ").append(task.name);
  }
  throw Error(ErrorId::unknown_name, "task_named", "task", "one of " + names, name.substr(0, 64));
}

}  // namespace binllm
