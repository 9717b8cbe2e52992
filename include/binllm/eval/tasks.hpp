// SPDX-License-Identifier: MIT
/// The seven zero-shot tasks of the BinaryLLM paper, with the prompts of lm-evaluation-harness 0.4.2. Rows come as the
/// published data sets have them, or in a common short form {query, choices, gold} with the beginning of the prompt.
#pragma once
#include <binllm/eval/python_text.hpp>
#include <binllm/eval/task.hpp>

#include <algorithm>
#include <array>

namespace binllm {

namespace detail {

[[nodiscard]] inline std::string without_prefix(std::string text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}
[[nodiscard]] inline std::string without_suffix(std::string text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

/// {query, choices, gold}, with the context that was made of the query.
[[nodiscard]] inline TaskItem short_form(const TaskRow& row, const std::string& context) {
  const std::vector<std::string> choices = row.texts("choices");
  return TaskItem::of_choices(context, choices, row.number("gold"));
}
/// Where the answer's label stands among those of the choices.
[[nodiscard]] inline Index labelled(const TaskRow& row) {
  const std::vector<std::string> labels = row.texts("choices.label");
  const std::string answer(python::without_leading_blanks(row.text("answerKey")));
  const auto found = std::find(labels.begin(), labels.end(), answer);
  if (found == labels.end()) row.refuse("answerKey", "one of choices.label", answer);
  return found - labels.begin();
}

inline TaskItem boolq(const TaskRow& row) {
  if (!row.has("passage")) return short_form(row, without_prefix(row.text("query"), "Passage: ") + "\nAnswer:");
  return TaskItem::of_choices(row.text("passage") + "\nQuestion: " + row.text("question") + "?\nAnswer:", {"no", "yes"},
                              row.number(row.has("label") ? "label" : "answer"));
}
inline TaskItem piqa(const TaskRow& row) {
  if (!row.has("goal")) return short_form(row, without_suffix(row.text("query"), "\n") + "\nAnswer:");
  return TaskItem::of_choices("Question: " + row.text("goal") + "\nAnswer:", {row.text("sol1"), row.text("sol2")},
                              row.number("label"));
}
/// WikiHow's marks go, and the doubled blanks that they leave.
[[nodiscard]] inline std::string hellaswag_text(std::string_view text) {
  std::string clean = python::replaced(python::stripped(text), " [title]", ". ");
  clean = python::without_brackets(clean);
  return python::replaced(clean, "  ", " ");
}
inline TaskItem hellaswag(const TaskRow& row) {
  if (!row.has("ctx_a")) return short_form(row, row.text("query"));
  std::vector<std::string> endings = row.texts("endings");
  for (std::string& ending : endings) ending = hellaswag_text(ending);
  return TaskItem::of_choices(hellaswag_text(row.text("activity_label") + ": " + row.text("ctx_a") + " " +
                                             python::capitalized(row.text("ctx_b"))),
                              endings, row.number("label"));
}
inline TaskItem winogrande(const TaskRow& row) {
  if (!row.has("sentence"))
    return TaskItem::of_contexts(row.texts("context_options"), row.text("continuation"), row.number("gold"));
  const std::string sentence = row.text("sentence");
  const std::size_t gap = sentence.find('_');
  if (gap == sentence.npos) row.refuse("sentence", "a sentence with _", sentence.substr(0, 64));
  const std::string before = sentence.substr(0, gap);
  return TaskItem::of_contexts({before + row.text("option1"), before + row.text("option2")},
                               std::string(python::stripped(std::string_view(sentence).substr(gap + 1))),
                               row.number("answer") - 1);
}
inline TaskItem arc(const TaskRow& row) {
  if (!row.has("question")) return short_form(row, row.text("query") + "\nAnswer:");
  return TaskItem::of_choices("Question: " + row.text("question") + "\nAnswer:", row.texts("choices.text"),
                              labelled(row));
}
inline TaskItem openbookqa(const TaskRow& row) {
  if (!row.has("question_stem")) return short_form(row, row.text("query"));
  return TaskItem::of_choices(row.text("question_stem"), row.texts("choices.text"), labelled(row));
}

}  // namespace detail

inline constexpr std::array shipped_tasks{
    Task{"boolq", "a passage, a question, no or yes", TaskMetric::acc, detail::boolq},
    Task{"piqa", "a goal and two ways to it", TaskMetric::acc_norm, detail::piqa},
    Task{"hellaswag", "how a scene goes on", TaskMetric::acc_norm, detail::hellaswag, "hellaswag_val.jsonl"},
    Task{"winogrande", "whom a pronoun means: the end of the sentence behind either name", TaskMetric::acc,
         detail::winogrande},
    Task{"arc_easy", "questions of science exams", TaskMetric::acc_norm, detail::arc},
    Task{"arc_challenge", "those that simple methods fail at", TaskMetric::acc_norm, detail::arc},
    Task{"openbookqa", "elementary science", TaskMetric::acc_norm, detail::openbookqa, "openbook_qa.jsonl"},
};

}  // namespace binllm
