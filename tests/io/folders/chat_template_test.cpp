// SPDX-License-Identifier: MIT
// The golden texts are those of `apply_chat_template`; tests/golden/chat/make.py made them.
#include "../support.hpp"

#include <binllm/io/containers/gguf/writer.hpp>
#include <binllm/io/folders/byte_pair_files.hpp>
#include <binllm/io/folders/chat_template.hpp>
#include <binllm/io/folders/jinja_text.hpp>

#include <nlohmann/json.hpp>

#include <vector>

using namespace binllm;
using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path golden = fs::path(BINLLM_SOURCE_DIR) / "tests/golden";

json golden_templates() { return json::parse(read_text(golden / "chat/golden.json")); }

/// A conversation turn by turn, as `Conversation` writes it.
std::string written(const ChatTemplate& form, const json& messages, bool asking) {
  std::string text;
  std::size_t first = 0;
  std::optional<std::string> system;
  if (messages[0]["role"] == "system") system = messages[first++]["content"].get<std::string>();
  text = form.begin_conversation(system);
  for (std::size_t i = first; i < messages.size(); ++i)
    text += form.turn(messages[i]["role"].get<std::string>(), messages[i]["content"].get<std::string>());
  return asking ? text + form.begin_answer() : text;
}

}  // namespace

TEST_CASE("chat templates are recognised in any spelling, and write what transformers writes") {
  const json all = golden_templates();
  CHECK(all["templates"].size() == 8);
  for (const json& one : all["templates"]) {
    CAPTURE(one["name"].get<std::string>());
    const ChatTemplate form = recognise_chat_template(one["jinja"].get<std::string>(), one["bos"].get<std::string>(),
                                                      "here", one["today"].get<std::string>());
    CHECK(form.markers.name == one["form"].get<std::string>());
    for (const json& conversation : one["conversations"]) {
      CHECK(written(form, conversation["messages"], false) == conversation["text"].get<std::string>());
      CHECK(written(form, conversation["messages"], true) == conversation["asking"].get<std::string>());
    }
  }
}

TEST_CASE("other chat templates are refused by what they are and their first words") {
  const json all = golden_templates();
  for (const json& one : all["refused"]) {
    const auto jinja = one["jinja"].get<std::string>();
    CAPTURE(jinja);
    const Error error = error_of([&] { static_cast<void>(recognise_chat_template(jinja, "", "model")); });
    CHECK(error.id() == ErrorId::unknown_name);
    CHECK(error.argument() == "model");
    CHECK(error.found().find(one["says"].get<std::string>()) != std::string::npos);
  }
  const Error odd = error_of([&] { static_cast<void>(recognise_chat_template("\x1b[31m\n\n  {{ x }}", "", "model")); });
  CHECK(odd.found().find('\x1b') == std::string::npos);
  CHECK(error_of([] { static_cast<void>(ChatTemplate::named("gemma")); }).id() == ErrorId::unknown_name);
  CHECK(ChatTemplate::named("llama-3") ==
        recognise_chat_template(golden_templates()["templates"][5]["jinja"].get<std::string>(), "<|begin_of_text|>",
                                "model"));
}

TEST_CASE("turn by turn the ids are those of the whole conversation") {
  // As in make.py.
  const TemporaryFolder folder;
  std::string text = read_text(golden / "tokenizers/smollm.json");
  for (const auto& [old, name] : {std::pair("<|begin|>", "<|im_start|>"), std::pair("<|end|>", "<|im_end|>")}) {
    for (std::size_t at = 0; (at = text.find(old, at)) != text.npos;) text.replace(at, std::string(old).size(), name);
  }
  write_text(folder / "tokenizer.json", text);
  const Tokenizer tokenizer = byte_pair_tokenizer(read_tokenizer_json(folder / "tokenizer.json"));
  const json all = golden_templates();
  const ChatTemplate form = ChatTemplate::named("chatml");
  std::vector<std::int32_t> ids;
  const auto add = [&](const std::string& part) {
    const auto more = tokenizer.encode(part);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  add(form.turn("user", "Hello, who's there?") + form.begin_answer());
  add("Ahoy!\nIt is I.");
  add(form.end() + form.turn("user", "  Größe 😀?  ") + form.begin_answer());
  CHECK(ids == all["ids"].get<std::vector<std::int32_t>>());
  CHECK(marker_token(tokenizer, form, "<|im_end|>") == 421);
  CHECK(error_of([&] {
          static_cast<void>(marker_token(tokenizer, ChatTemplate::named("llama-3"), "<|eot_id|>"));
        }).id() == ErrorId::config_inconsistent);
}

TEST_CASE("where a model has its chat template") {
  const TemporaryFolder folder;
  const std::string jinja = golden_templates()["templates"][3]["jinja"].get<std::string>();  // prints BOS
  const auto put = [&](const json& object) { write_text(folder / "tokenizer_config.json", object.dump()); };
  const auto failure = [&] { return error_of([&] { static_cast<void>(read_chat_template(folder.path())); }).id(); };
  CHECK(failure() == ErrorId::file_missing);
  put({{"bos_token", "<s>"}});
  CHECK(failure() == ErrorId::file_missing);
  put({{"bos_token", "<s>"}, {"chat_template", jinja}});
  CHECK(read_chat_template(folder.path()).opening == "<s>");
  put({{"bos_token", {{"content", "<b>"}}},
       {"chat_template", {{{"name", "rag"}, {"template", "{{ x }}"}}, {{"name", "default"}, {"template", jinja}}}}});
  CHECK(read_chat_template(folder.path()).opening == "<b>");
  put({{"chat_template", json::array()}});
  CHECK(failure() == ErrorId::config_invalid);
  put({{"chat_template", 1}});
  CHECK(failure() == ErrorId::config_invalid);
  write_text(folder / "tokenizer_config.json", "{");
  CHECK(failure() == ErrorId::config_invalid);
  put({{"bos_token", 1}, {"chat_template", "{{ x }}"}});
  write_text(folder / chat_template_file, jinja);
  CHECK(failure() == ErrorId::config_invalid);
  put({{"chat_template", "{{ x }}"}});
  CHECK(read_chat_template(folder.path()).opening.empty());
  write_text(folder / chat_template_file, "");
  CHECK(failure() == ErrorId::unknown_name);

  const GgufMetadata metadata{{"tokenizer.chat_template", jinja},
                              {"tokenizer.ggml.bos_token_id", std::uint32_t{1}},
                              {"tokenizer.ggml.tokens", GgufArray(std::vector<std::string>{"a", "<s>"})}};
  GgufWriter(folder / "m.gguf", metadata, {}).commit();
  CHECK(read_chat_template(folder / "m.gguf").opening == "<s>");
  CHECK(chat_template_text(folder / "m.gguf") == jinja);
}

TEST_CASE("templates in one spelling") {
  using detail::in_one_spelling;
  CHECK(in_one_spelling("<s>{{ a + \"b\" }}{{ 'c' }}") == "{{'<s>'+a+'bc'}}");
  CHECK(in_one_spelling("{% if x is  defined -%}  \n y {# no #} {%+ endif %}\n\n") ==
        "{%if x is defined%}{{'y  '}}{%endif%}");
  CHECK(in_one_spelling("  {% if a['b'] == \"it's\\n\" %}\n  {% endif %}\nz") ==
        "{%if a.b=='it's\n'%}{%endif%}{{'z'}}");
  CHECK(in_one_spelling("{{ '}}' + x[0]['y'] }}") == "{{'}}'+x[0]['y']}}");
  CHECK(in_one_spelling("{{ x[''] y['a b'] }}") == "{{x['']y['a b']}}");
  CHECK(in_one_spelling("").value_or("?").empty());
  for (const char* const broken : {"{{", "{{ '", "{% if", "{#", "{{-", "{{ 'a\\", "{% raw %}"})
    CHECK(!in_one_spelling(broken));
}
