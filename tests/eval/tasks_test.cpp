// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/eval/task_scores.hpp>
#include <binllm/eval/tasks.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {
std::string text_of(const Continuation& one, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < one.tokens.size(); ++i) text += static_cast<char>(one.tokens[i]);
  return text;
}
}  // namespace

TEST_CASE("texts change as Python's do") {
  CHECK(python::stripped("\t a b\u00a0\n") == "a b");
  CHECK(python::stripped(" \u3000 ").empty());
  CHECK(python::replaced("a   b    c", "  ", " ") == "a  b  c");
  CHECK(python::without_brackets("a[b]c[[d]e] f[\n] [") ==
        "ac"
        "e] f[\n] [");
  CHECK(python::capitalized("the Wind of \u00c4GYPT") == "The wind of \u00e4gypt");
  CHECK(python::capitalized("\u00e9T\u00c9") == "\u00c9t\u00e9");
  CHECK(python::capitalized("").empty());
  CHECK(characters_in("caf\u00e9") == 4);
}

TEST_CASE("blanks at the end of a context belong to the continuation") {
  const auto one = encode_choice(byte_tokenizer(), {"ab \n", " cd", 2}, TaskOpening::none);
  CHECK(one.scored == 5);
  CHECK(text_of(one, 0) == "ab \n cd");
}

TEST_CASE("the first of equal choices counts, and acc_norm divides by characters") {
  const std::vector<TaskItem> items{TaskItem::of_choices("q", {"a", "b"}, 0),
                                    TaskItem::of_choices("q", {"a", "bcd"}, 1),
                                    TaskItem::of_choices("q", {"a", "b", "c"}, 2)};
  const TaskScores scores = task_scores(items, {{-1, -1}, {-2, -3}, {-5, -4, -4}});
  CHECK(scores.items[0].choice == 0);
  CHECK(scores.items[1].choice == 0);
  CHECK(scores.items[1].choice_norm == 1);
  CHECK(scores.items[2].choice == 1);
  CHECK(scores.acc.mean == doctest::Approx(1.0 / 3));
  CHECK(scores.acc_norm.mean == doctest::Approx(2.0 / 3));
  // sqrt( ((1 - 1/3)^2 + 2 (1/3)^2) / 2 ) / sqrt(3)
  CHECK(scores.acc.standard_error == doctest::Approx(std::sqrt((4.0 / 9 + 2.0 / 9) / 2) / std::sqrt(3.0)));
  CHECK(std::isnan(proportion(1, 1).standard_error));
  CHECK(std::isnan(proportion(0, 0).mean));
}

TEST_CASE("tasks are found by name, and an unknown one is answered with the list") {
  CHECK(shipped_tasks.size() == 7);
  std::set<std::string_view> names;
  for (const Task& task : shipped_tasks) names.insert(task.name);
  CHECK(names.size() == 7);
  CHECK(task_named(shipped_tasks, "piqa").metric == TaskMetric::acc_norm);
  CHECK(id_of([] { static_cast<void>(task_named(shipped_tasks, "mmlu")); }) == ErrorId::unknown_name);
}
