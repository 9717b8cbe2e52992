// SPDX-License-Identifier: MIT
/// Conversations, and prompts on standard input.
#include "program.hpp"

#include <nlohmann/json.hpp>

#include <sstream>
#include <vector>

using namespace binllm::test;
using nlohmann::json;

namespace {

/// A tokenizer with the markers of ChatML, which those of the golden ids have under other names.
void write_tokenizer(const std::filesystem::path& file) {
  std::string text = read_text(std::string(BINLLM_SOURCE_DIR) + "/tests/golden/tokenizers/smollm.json");
  for (const auto& [old, name] : {std::pair("<|begin|>", "<|im_start|>"), std::pair("<|end|>", "<|im_end|>")}) {
    for (std::size_t at = 0; (at = text.find(old, at)) != text.npos;) text.replace(at, std::string(old).size(), name);
  }
  write_text(file, text);
}

std::vector<json> lines_of(const std::string& out) {
  std::vector<json> lines;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

constexpr const char* chatml =
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

}  // namespace

TEST_CASE("chat: messages on standard input, answers on standard output") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  write_tokenizer(folder / "tokenizer.json");
  const Outcome made = run(folder,
                           "pretrain --built-in --tokens 256 --dim 16 --hidden 24 --layers 1 --heads 2 "
                           "--kv-heads 1 --context 128 --batch 2 --threads 1 --tokenizer " +
                               (folder / "tokenizer.json").string() + " --out " + model);
  if (made.error.find("built without PCRE2") != std::string::npos) {
    MESSAGE("skipped: binllm was built without PCRE2 and utf8proc");
    return;
  }
  REQUIRE(made.code == 0);
  const auto chat = [&](const std::string& input, const std::string& flags = "", const char* most = "5") {
    return run(folder, "chat --threads 1 --max-tokens " + std::string(most) + " --model " + model + " " + flags,
               "printf '" + input + "' |");
  };
  CHECK(chat("hello").error.find("E201") != std::string::npos);
  write_text(folder / "model/chat_template.jinja", "{{ '<start_of_turn>' + messages[0].content }}");
  const Outcome refused = chat("hello");
  CHECK(refused.code == 1);
  CHECK(refused.error.find("E303") != std::string::npos);
  CHECK(refused.error.find("Gemma") != std::string::npos);
  CHECK(chat("hello", "--template llama-3").error.find("E302") != std::string::npos);
  CHECK(chat("hello", "--template gemma").code == 2);
  const Outcome named = chat("hello", "--template chatml --json");
  write_text(folder / "model/chat_template.jinja", chatml);
  const Outcome answered = chat("hello\\r\\n\\n/help\\nand\\\\\\nyou?\\n/reset\\nhello\\n/quit\\nhello\\n", "--json");
  REQUIRE(answered.code == 0);
  const auto lines = lines_of(answered.out);
  REQUIRE(lines.size() == 3);
  CHECK(lines_of(named.out).at(0) == lines[0]);
  CHECK(lines[0]["message"] == "hello");
  CHECK(lines[1]["message"] == "and\nyou?");
  CHECK(lines[2] == lines[0]);
  CHECK(lines[0]["read_tokens"].get<int>() + lines[0]["generated_tokens"].get<int>() ==
        lines[0]["conversation_tokens"]);
  CHECK(lines[1]["read_tokens"].get<int>() <
        lines[1]["conversation_tokens"].get<int>() - lines[0]["read_tokens"].get<int>());
  CHECK(answered.error.find("/reset") != std::string::npos);  // says which commands there are
  const Outcome text = chat("hello");
  CHECK(text.code == 0);
  CHECK(text.out.ends_with("\n"));
  const Outcome told = chat("hello", "--system 'Be kind.' --json");
  CHECK(lines_of(told.out).at(0)["read_tokens"].get<int>() > lines[0]["read_tokens"].get<int>());
  const Outcome full = chat("a\\nb\\nc\\nd\\ne\\nf\\ng\\nh", "--context 64", "100");
  CHECK(full.code == 1);
  CHECK(full.error.find("E104") != std::string::npos);
  CHECK(chat("").code == 0);

  // What is made of the model keeps its template.
  const std::string packed = (folder / "packed").string();
  REQUIRE(run(folder, "pack --model " + model + " --out " + packed).code == 0);
  CHECK(read_text(folder / "packed/chat_template.jinja") == chatml);
  REQUIRE(run(folder, "convert " + model + " " + (folder / "m.gguf").string()).code == 0);
  REQUIRE(run(folder, "convert " + (folder / "m.gguf").string() + " " + (folder / "again").string()).code == 0);
  CHECK(read_text(folder / "again/chat_template.jinja") == chatml);
}

TEST_CASE("generate: a prompt on standard input") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 128" + tiny + "--out " + model).code == 0);
  const std::string generate = "generate --threads 1 --max-tokens 4 --model " + model;
  const std::string wanted = run(folder, generate + " --prompt 'One day'", "</dev/null").out;
  CHECK(wanted.starts_with("One day"));
  CHECK(run(folder, generate, "printf 'One day\\n' |").out == wanted);
  CHECK(run(folder, generate, "printf 'One day\\r\\n' |").out == wanted);
  CHECK(run(folder, generate + " --prompt-file -", "printf 'One day' |").out == wanted);
  CHECK(run(folder, generate + " --prompt 'One day'", "printf 'unread' |").out == wanted);
  for (const char* const nothing : {"</dev/null", "<&-"}) {
    const Outcome outcome = run(folder, generate, nothing);
    CHECK(outcome.code == 1);
    CHECK(outcome.error.find("binllm: E") != std::string::npos);
  }
  const Outcome endless = run(folder, generate, "</dev/zero");
  CHECK(endless.code == 1);
  CHECK(endless.error.find("E304") != std::string::npos);
}
