// SPDX-License-Identifier: MIT
#include "../../data_kit.hpp"
#include "../support.hpp"

#include <binllm/eval/task_scores.hpp>
#include <binllm/eval/tasks.hpp>
#include <binllm/io/folders/protocol_text.hpp>
#include <binllm/io/folders/task_file.hpp>
#include <binllm/io/folders/tokenizer.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;
using nlohmann::json;

namespace {

/// Rows of each task and what lm-evaluation-harness makes of them; tests/reference/task_prompts.py made it.
json golden() {
  return json::parse(read_text(std::filesystem::path(BINLLM_SOURCE_DIR) / "tests/io/folders/task_prompts.json"));
}
TaskItem item_of(const TemporaryFolder& folder, const std::string& task, const json& row) {
  write_text(folder / (task + ".jsonl"), row.dump() + "\n");
  return load_task(task_named(shipped_tasks, task), folder.path()).at(0);
}
void check_equal(const TaskItem& item, const json& wanted) {
  CHECK(item.gold == wanted["gold"].get<Index>());
  REQUIRE(item.choices.size() == wanted["choices"].size());
  for (std::size_t k = 0; k < item.choices.size(); ++k) {
    const json& choice = wanted["choices"][k];
    CHECK(item.choices[k].context == choice["context"].get<std::string>());
    CHECK(item.choices[k].continuation == choice["continuation"].get<std::string>());
    CHECK(item.choices[k].characters == choice["characters"].get<Index>());
  }
}
/// The text of the error that a file of piqa gives.
std::string refused(const TemporaryFolder& folder, const std::string& lines) {
  write_text(folder / "piqa.jsonl", lines);
  const Error error = error_of([&] { static_cast<void>(load_task(task_named(shipped_tasks, "piqa"), folder.path())); });
  CHECK(error.id() == ErrorId::config_invalid);
  CHECK(error.argument().find("piqa.jsonl") != std::string::npos);
  return error.what();
}
bool says(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("prompts are those of lm-evaluation-harness, of published rows and of the short form") {
  const TemporaryFolder folder;
  for (const json& one : golden()) {
    CAPTURE(one["row"].dump());
    check_equal(item_of(folder, one["task"], one["row"]), one);
    if (!one["short"].is_null()) check_equal(item_of(folder, one["task"], one["short"]), one);
  }
}

TEST_CASE("texts are split into tokens where lm-evaluation-harness splits them") {
  const auto file = data_file("models/stories260K/tok512.model");
  if (!file) return;
  const Tokenizer tokenizer = load_tokenizer(*file);
  const TemporaryFolder folder;
  for (const json& one : golden()) {
    CAPTURE(one["row"].dump());
    const TaskItem item = item_of(folder, one["task"], one["row"]);
    for (std::size_t k = 0; k < item.choices.size(); ++k) {
      for (const auto& [name, opening] :
           {std::pair{"none", TaskOpening::none}, std::pair{"tokenizer", TaskOpening::tokenizer}}) {
        const json& tokens = one["choices"][k]["tokens"][name];
        auto ids = tokens[0].get<std::vector<std::int32_t>>();
        const auto continuation = tokens[1].get<std::vector<std::int32_t>>();
        ids.insert(ids.end(), continuation.begin(), continuation.end());
        const Continuation encoded = encode_choice(tokenizer, item.choices[k], opening);
        CHECK(encoded.tokens == ids);
        CHECK(encoded.scored == std::ssize(continuation));
      }
    }
  }
}

TEST_CASE("what is wrong with a task's file is said with file, line and field") {
  const TemporaryFolder folder;
  const std::string good = R"({"query":"Question: a\n","choices":["b","c"],"gold":1})"
                           "\n";
  CHECK(says(refused(folder, good + "{\"query\":\"a\"}\n"), "line 2: choices: wanted such a field"));
  CHECK(says(refused(folder, good + "\n{\"query\":7,\"choices\":[\"b\",\"c\"],\"gold\":1}"),
             "line 3: query: wanted a string"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b",3],"gold":1})"), "line 1: choices: wanted a string"));
  CHECK(says(refused(folder, R"({"query":"a","choices":"b","gold":1})"), "choices: wanted a list of strings"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b","c"],"gold":2})"), "gold: wanted one of the 2 choices"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b","c"],"gold":-1})"), "gold"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b","c"],"gold":18446744073709551615})"), "gold"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b","c"],"gold":1.5})"), "gold: wanted a whole number"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b","c"],"gold":"x"})"), "gold: wanted a whole number"));
  CHECK(says(refused(folder, R"({"query":"a","choices":["b",""],"gold":1})"), "choices: wanted texts"));
  CHECK(says(refused(folder, R"({"query":"a","choices":[],"gold":0})"), "choices: wanted two or more"));
  CHECK(says(refused(folder, "[1]"), "wanted a JSON object"));
  CHECK(says(refused(folder, "{\"query\":"), "wanted valid JSON"));
  CHECK(says(refused(folder, "{\"query\":\"\xff\"}"), "wanted valid JSON"));
  CHECK(says(refused(folder, "\n \n"), "an item a line"));

  const TemporaryFolder none;
  const auto load = [&](const char* task, Index most = 1) {
    return error_of([&] { static_cast<void>(load_task(task_named(shipped_tasks, task), none.path(), most)); });
  };
  CHECK(load("hellaswag").id() == ErrorId::file_missing);
  CHECK(says(load("hellaswag").what(), "hellaswag.jsonl or hellaswag_val.jsonl"));
  write_text(none / "winogrande.jsonl", R"({"sentence":"no gap","option1":"a","option2":"b","answer":"1"})");
  CHECK(says(load("winogrande").what(), "line 1: sentence"));
  write_text(none / "arc_easy.jsonl",
             R"({"question":"a","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"})");
  CHECK(says(load("arc_easy").what(), "line 1: answerKey"));
  CHECK(load("arc_easy", 0).id() == ErrorId::option_out_of_range);
}

TEST_CASE("all items of the data kit are read") {
  const auto boolq = data_file("tasks/boolq.jsonl");
  if (!boolq) return;
  const auto folder = std::filesystem::path(*boolq).parent_path();
  const std::vector<std::size_t> counts{3270, 1838, 10042, 1267, 2376, 1172, 500};
  for (std::size_t i = 0; i < counts.size(); ++i) CHECK(load_task(shipped_tasks[i], folder).size() == counts[i]);
  CHECK(load_task(shipped_tasks[0], folder, 7).size() == 7);
}

TEST_CASE("wiki.test.raw is read as the text of 1,296,370 bytes that tables are about") {
  const auto file = data_file("lm/wikitext2/wiki.test.raw");
  if (!file) return;
  CHECK(read_protocol_text(protocol_named("wikitext2"), *file).size() == 1296370);
}

TEST_CASE("documents are read from JSON lines") {
  const TemporaryFolder folder;
  const Protocol& c4 = protocol_named("c4");
  write_text(folder / "a.jsonl", "{\"text\":\"a b\",\"url\":\"x\"}\n\n{\"text\":\"c\\n\"}\n");
  CHECK(read_protocol_text(c4, folder / "a.jsonl") == "a b c\n");
  write_text(folder / "b.json", "{\"text\":\"a\"}\n{\"texts\":\"a\"}\n");
  const Error error = error_of([&] { static_cast<void>(read_protocol_text(c4, folder / "b.json")); });
  CHECK(error.id() == ErrorId::config_invalid);
  CHECK(says(error.what(), "b.json: line 2: text"));
  write_text(folder / "c.txt", "");
  CHECK(error_of([&] { static_cast<void>(read_protocol_text(c4, folder / "c.txt")); }).id() == ErrorId::text_too_short);
  if (const auto sample = data_file("lm/c4/c4_sample.jsonl")) CHECK(read_protocol_text(c4, *sample).size() > 40000);
}
