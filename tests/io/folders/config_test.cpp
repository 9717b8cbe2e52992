// SPDX-License-Identifier: MIT
#include "../../data_kit.hpp"
#include "../support.hpp"

#include <binllm/io/folders/config.hpp>

#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace binllm::test;
using binllm::Error;
using binllm::ErrorId;
using binllm::ModelDescription;
using binllm::RopeScaling;
using binllm::RopeType;
using Tokens = std::vector<std::int32_t>;

namespace {

const std::string minimal = R"({
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512, "hidden_size": 64,
  "intermediate_size": 172, "num_hidden_layers": 5, "num_attention_heads": 8, "max_position_embeddings": 512,
  "rms_norm_eps": 1e-05})";

/// `minimal` with one more member, which must not be there yet.
std::string with(const std::string& member) { return minimal.substr(0, minimal.rfind('}')) + ", " + member + "}"; }

/// `minimal` with a text replaced.
std::string replaced(const std::string& text, const std::string& by) {
  std::string result = minimal;
  const std::size_t position = result.find(text);
  REQUIRE(position != std::string::npos);
  return result.replace(position, text.size(), by);
}

ModelDescription parse(const std::string& text) {
  const TemporaryFolder folder;
  write_text(folder / "config.json", text);
  return binllm::read_config(folder.path());
}

/// Checks the id and that the message names file and field.
void check_error(const std::string& text, ErrorId id, const std::string& field) {
  CAPTURE(text);
  const TemporaryFolder folder;
  write_text(folder / "config.json", text);
  const Error error = error_of([&] { (void)binllm::read_config(folder.path()); });
  CHECK(error.id() == id);
  CHECK(contains(error.argument(), (folder / "config.json").string()));
  CHECK(contains(error.argument() + ":", field + ":"));
}

}  // namespace

TEST_CASE("a minimal file takes Hugging Face's defaults") {
  const ModelDescription model = parse(minimal);
  CHECK(model.config.vocab_size == 512);
  CHECK(model.config.hidden_size == 64);
  CHECK(model.config.intermediate_size == 172);
  CHECK(model.config.num_hidden_layers == 5);
  CHECK(model.config.num_attention_heads == 8);
  CHECK(model.config.num_key_value_heads == 8);
  CHECK(model.config.head_dim == 8);
  CHECK(model.config.max_position_embeddings == 512);
  CHECK(model.config.norm_epsilon == 1e-5);
  CHECK(model.config.rope_theta == 10000);
  CHECK_FALSE(model.config.tie_word_embeddings);
  CHECK_FALSE(model.config.rope_scaling);
  CHECK_FALSE(model.config.bos_token_id);
  CHECK(model.config.eos_token_ids.empty());
  CHECK(model.format == "dense");
  CHECK(model.recipe.empty());
}

TEST_CASE("the file of a real model") {
  const auto path = data_file("models/stories260K/config.json");
  if (!path) return;
  const auto config = binllm::read_config(*path).config;
  CHECK(config.num_key_value_heads == 4);
  CHECK(config.tie_word_embeddings);
  CHECK(config.bos_token_id == 1);
  CHECK(config.eos_token_ids == Tokens{2});
  CHECK(binllm::read_config(std::filesystem::path(*path).parent_path()).config == config);
}

TEST_CASE("what is written is read back equal") {
  const TemporaryFolder folder;
  ModelDescription model = parse(with(R"("head_dim": 16, "tie_word_embeddings": true, "bos_token_id": 1)"));
  model.config.norm_epsilon = 1.0 / 3e5;
  model.config.rope_scaling = RopeScaling{32, 1, 4, 8192};
  model.format = "packed";
  model.recipe = {{"estimator", "progressive"}, {"layout", "rows-64/1"}, {"t", "104.586"}};
  binllm::write_config(folder / "config.json", model);
  CHECK(binllm::read_config(folder.path()) == model);
  CHECK(binllm::read_config(folder / "config.json") == model);

  const ModelDescription dense = parse(minimal);
  binllm::write_config(folder / "config.json", dense);
  CHECK(binllm::read_config(folder.path()) == dense);
}

TEST_CASE("both spellings of rotary scaling, both homes of the base") {
  const RopeScaling wanted{32, 1, 4, 8192};
  const std::string numbers =
      R"("factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192)";
  CHECK(parse(with(R"("rope_scaling":{"rope_type":"llama3",)" + numbers + "}")).config.rope_scaling == wanted);
  CHECK(parse(with(R"("rope_scaling":{"type":"llama3",)" + numbers + "}")).config.rope_scaling == wanted);
  const auto together = parse(with(R"("rope_parameters":{"rope_theta":5e5,"rope_type":"llama3",)" + numbers + "}"));
  CHECK(together.config.rope_scaling == wanted);
  CHECK(together.config.rope_theta == 5e5);
  CHECK_FALSE(parse(with(R"("rope_scaling":{"rope_type":"default"})")).config.rope_scaling);
  CHECK_FALSE(parse(with(R"("rope_scaling":null)")).config.rope_scaling);
  CHECK(parse(with(R"("rope_theta":500000)")).config.rope_theta == 5e5);
}

TEST_CASE("where rope_parameters is silent, the keys beside it count, then the defaults") {
  const auto theta = [](const std::string& members) { return parse(with(members)).config.rope_theta; };
  CHECK(theta(R"("rope_parameters":{"rope_type":"default"},"rope_theta":5e5)") == 5e5);
  CHECK(theta(R"("rope_parameters":{"rope_theta":5e5})") == 5e5);
  CHECK(theta(R"("rope_parameters":{"rope_theta":5e5},"rope_theta":1e4)") == 5e5);
  CHECK(theta(R"("rope_parameters":{})") == 10000);
  CHECK(theta(R"("rope_parameters":null,"rope_theta":5e5,"rope_scaling":{})") == 5e5);
  CHECK_FALSE(parse(with(R"("rope_parameters":{"rope_theta":5e5,"rope_type":null})")).config.rope_scaling);
  const RopeScaling twice{.factor = 2, .type = RopeType::linear};
  CHECK(parse(with(R"("rope_scaling":{"type":"linear","factor":2.0})")).config.rope_scaling == twice);
  CHECK(parse(with(R"("rope_parameters":{"rope_type":"linear","factor":2.0,"partial_rotary_factor":1})"))
            .config.rope_scaling == twice);
  const std::string both = R"("rope_scaling":{"type":"linear","factor":2.0},"rope_parameters":)";
  CHECK(parse(with(both + R"({"rope_type":"linear","factor":2.0})")).config.rope_scaling == twice);
  check_error(with(both + R"({"rope_type":"linear","factor":4.0})"), ErrorId::config_inconsistent, "rope_scaling");
  check_error(with(R"("rope_parameters":{"partial_rotary_factor":0.5})"), ErrorId::config_invalid,
              "rope_parameters.partial_rotary_factor");
  check_error(with(R"("rope_parameters":{"full_attention":{"rope_theta":1}})"), ErrorId::config_invalid,
              "rope_parameters.full_attention");
  for (const std::string type : {"dynamic", "yarn", "longrope", "su", "mrope"}) {
    check_error(with(R"("rope_scaling":{"factor":2.0,"type":")" + type + "\"}"), ErrorId::config_invalid,
                "rope_scaling.type");
  }
  check_error(with(R"("rope_scaling":{"type":"linear","factor":0})"), ErrorId::config_inconsistent,
              "rope_scaling.factor");
}

TEST_CASE("every end token of a list counts and is kept; null is missing") {
  CHECK(parse(with(R"("eos_token_id":[3,4])")).config.eos_token_ids == Tokens{3, 4});
  CHECK(parse(with(R"("eos_token_id":5)")).config.eos_token_ids == Tokens{5});
  CHECK(parse(with(R"("eos_token_id":null)")).config.eos_token_ids.empty());
  CHECK(parse(with(R"("head_dim":null,"num_key_value_heads":null,"rope_theta":null,"tie_word_embeddings":null)"))
            .config.head_dim == 8);
  CHECK(parse(with(R"("torch_dtype":"bfloat16","dtype":"float16","unknown":{"a":[null]})")).config.head_dim == 8);
  check_error(with(R"("eos_token_id":[])"), ErrorId::config_invalid, "eos_token_id");
  check_error(with(R"("eos_token_id":[1,"x"])"), ErrorId::config_invalid, "eos_token_id");
  check_error(with(R"("eos_token_id":[1,512])"), ErrorId::config_inconsistent, "eos_token_id");
  check_error(with(R"("eos_token_id":"</s>")"), ErrorId::config_invalid, "eos_token_id");
  check_error(with(R"("bos_token_id":4294967297)"), ErrorId::config_invalid, "bos_token_id");
  const TemporaryFolder folder;
  for (const Tokens& tokens : {Tokens{}, Tokens{7}, Tokens{7, 0, 9}}) {
    ModelDescription model = parse(minimal);
    model.config.eos_token_ids = tokens;
    binllm::write_config(folder / "config.json", model);
    CHECK(binllm::read_config(folder.path()).config.eos_token_ids == tokens);
  }
}

TEST_CASE("end tokens of generation_config.json come before those of config.json") {
  const TemporaryFolder folder;
  write_text(folder / "config.json", with(R"("eos_token_id":3)"));
  const auto ends = [&](const std::string& generation) {
    write_text(folder / "generation_config.json", generation);
    return binllm::read_config(folder.path()).config.eos_token_ids;
  };
  CHECK(ends(R"({"eos_token_id":[4,5],"temperature":0.6})") == Tokens{4, 5});
  CHECK(ends(R"({"eos_token_id":null})") == Tokens{3});
  CHECK(ends("{}") == Tokens{3});
  CHECK(error_of([&] { (void)ends("{"); }).id() == ErrorId::config_invalid);
  const Error beyond = error_of([&] { (void)ends(R"({"eos_token_id":[4,512]})"); });
  CHECK(beyond.id() == ErrorId::config_inconsistent);
  CHECK(contains(beyond.argument(), "generation_config.json: eos_token_id"));
}

TEST_CASE("a changed number of a saved configuration is found; blanks and order do not count") {
  const TemporaryFolder folder;
  ModelDescription model = parse(minimal);
  model.recipe = {{"t", "104.5"}};
  binllm::write_config(folder / "config.json", model);
  const std::string whole = read_text(folder / "config.json");
  const auto read_back = [&](const std::string& text) {
    write_text(folder / "config.json", text);
    return binllm::read_config(folder.path());
  };
  std::string changed = whole;
  changed[changed.find("10000.0")] = '2';
  const Error error = error_of([&] { (void)read_back(changed); });
  CHECK(error.id() == ErrorId::header_invalid);
  CHECK(contains(error.argument(), "config.json: binllm.checksum"));
  std::string wider = whole;
  for (std::size_t at = wider.find(','); at != std::string::npos; at = wider.find(',', at + 2)) wider.insert(at, " ");
  CHECK(read_back(wider) == model);
  std::size_t equal = 0;
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      const ModelDescription found = read_back(damaged);
      CHECK(found.config == model.config);
      ++equal;
    } catch (const Error&) {
    }
  }
  CHECK(equal > 0);  // in the names of "checksum" and "binllm"
}

TEST_CASE("a fixed key may be any JSON; a name that a family leaves empty keeps its default") {
  static constexpr std::array<binllm::FixedKey, 2> fixed{{{"rotary_dim", "32"}, {"hidden_act", "\"silu\""}}};
  binllm::Family family = binllm::default_family();
  family.name = "other", family.class_name = "OtherForCausalLM", family.model_type = "other", family.fixed = fixed;
  family.keys.norm_epsilon = family.keys.tie_word_embeddings = "";
  const binllm::KnownBeside known{.family = &family};
  ModelDescription model = parse(minimal);
  model.family = &family;
  model.config.norm_epsilon = binllm::ModelConfig{}.norm_epsilon;
  model.config.tie_word_embeddings = binllm::ModelConfig{}.tie_word_embeddings;
  const TemporaryFolder folder;
  binllm::write_config(folder / "config.json", model, known);
  CHECK(binllm::read_config(folder.path(), known) == model);

  std::string text = read_text(folder / "config.json");
  text.replace(text.find("32,"), 2, "16");
  write_text(folder / "config.json", text);
  const Error error = error_of([&] { (void)binllm::read_config(folder.path(), known); });
  CHECK(error.id() == ErrorId::config_invalid);
  CHECK(error.wanted() == "32");
  CHECK(error.found() == "16");
}

TEST_CASE("every required field is missed by name") {
  const std::pair<const char*, const char*> fields[] = {
      {R"("vocab_size": 512,)", "vocab_size"},
      {R"("hidden_size": 64,)", "hidden_size"},
      {R"("intermediate_size": 172,)", "intermediate_size"},
      {R"("num_hidden_layers": 5,)", "num_hidden_layers"},
      {R"("num_attention_heads": 8,)", "num_attention_heads"},
      {R"("max_position_embeddings": 512,)", "max_position_embeddings"}};
  for (const auto& [text, field] : fields) check_error(replaced(text, ""), ErrorId::config_invalid, field);
  check_error(replaced(",\n  \"rms_norm_eps\": 1e-05", ""), ErrorId::config_invalid, "rms_norm_eps");
  check_error(replaced(R"("architectures": ["LlamaForCausalLM"], "model_type": "llama",)", ""), ErrorId::config_invalid,
              "architectures");
}

TEST_CASE("wrong types and foreign models are refused by field") {
  check_error(replaced("512,", "512.0,"), ErrorId::config_invalid, "vocab_size");
  check_error(replaced("512,", "\"512\","), ErrorId::config_invalid, "vocab_size");
  check_error(replaced("512,", "18446744073709551615,"), ErrorId::config_invalid, "vocab_size");
  check_error(replaced("1e-05", "\"1e-05\""), ErrorId::config_invalid, "rms_norm_eps");
  check_error(with(R"("tie_word_embeddings":1)"), ErrorId::config_invalid, "tie_word_embeddings");
  check_error(replaced("LlamaForCausalLM", "MistralForCausalLM"), ErrorId::config_invalid, "architectures");
  check_error(replaced("\"llama\"", "\"mistral\""), ErrorId::config_invalid, "model_type");
  check_error(with(R"("hidden_act":"gelu")"), ErrorId::config_invalid, "hidden_act");
  check_error(with(R"("attention_bias":"yes")"), ErrorId::config_invalid, "attention_bias");
  check_error(with(R"("mlp_bias":1)"), ErrorId::config_invalid, "mlp_bias");
  check_error(with(R"("quantization_config":{"quant_method":"gptq"})"), ErrorId::config_invalid, "quantization_config");
  check_error(with(R"("partial_rotary_factor":0.5)"), ErrorId::config_invalid, "partial_rotary_factor");
  check_error(with(R"("rope_scaling":{"rope_type":"yarn","factor":2})"), ErrorId::config_invalid,
              "rope_scaling.rope_type");
  check_error(with(R"("rope_scaling":{"type":"dynamic","factor":2})"), ErrorId::config_invalid, "rope_scaling.type");
  check_error(with(R"("rope_scaling":{"rope_type":"llama3"})"), ErrorId::config_invalid, "rope_scaling.factor");
  check_error(with(R"("rope_scaling":{"factor":2})"), ErrorId::config_invalid, "rope_scaling.rope_type");
  check_error(with(R"("rope_scaling":2)"), ErrorId::config_invalid, "rope_scaling");
}

TEST_CASE("numbers that do not fit together are refused by field") {
  check_error(replaced("64,", "65,"), ErrorId::config_inconsistent, "hidden_size");
  check_error(replaced("\"num_attention_heads\": 8", "\"num_attention_heads\": 0"), ErrorId::config_inconsistent,
              "hidden_size");
  check_error(with(R"("num_key_value_heads":3)"), ErrorId::config_inconsistent, "num_key_value_heads");
  check_error(with(R"("head_dim":7)"), ErrorId::config_inconsistent, "head_dim");
  check_error(with(R"("bos_token_id":512)"), ErrorId::config_inconsistent, "bos_token_id");
  check_error(replaced("512,", "-1,"), ErrorId::config_inconsistent, "vocab_size");
}

TEST_CASE("files that are no JSON object, or hold a key twice") {
  for (const std::string& bad : {std::string(), std::string("["), std::string("[]"), std::string("{\"a\":"),
                                 with(R"("hidden_size":32)"), std::string("\xff")}) {
    check_error(bad, ErrorId::config_invalid, "config.json");
  }
  check_error(std::string(100000, '['), ErrorId::config_invalid, "config.json");
  const TemporaryFolder folder;
  CHECK(error_of([&] { (void)binllm::read_config(folder.path()); }).id() == ErrorId::file_missing);
  CHECK(error_of([&] { (void)binllm::read_config(folder / "none.json"); }).id() == ErrorId::file_missing);
}

TEST_CASE("nothing may follow behind a zero byte") {
  check_error(minimal + std::string("\0\xff{", 3), ErrorId::config_invalid, "config.json");
}

TEST_CASE("cut at any byte: an error that names the file") {
  const TemporaryFolder folder;
  for (std::size_t size = 0; size < minimal.size(); ++size) {
    write_text(folder / "config.json", minimal.substr(0, size));
    CAPTURE(size);
    CHECK(error_of([&] { (void)binllm::read_config(folder.path()); }).id() == ErrorId::config_invalid);
  }
}

TEST_CASE("our own object: known formats, strings only") {
  check_error(with(R"("binllm":{"format":"ternary"})"), ErrorId::unknown_name, "binllm.format");
  check_error(with(R"("binllm":{"estimator":"progressive"})"), ErrorId::config_invalid, "binllm.format");
  check_error(with(R"("binllm":{"format":"binary","t":3})"), ErrorId::config_invalid, "binllm.t");
  check_error(with(R"("binllm":"binary")"), ErrorId::config_invalid, "binllm");
  const auto model = parse(with(R"("binllm":{"format":"binary","t":"3"})"));
  CHECK(model.format == "binary");
  CHECK(model.recipe == std::map<std::string, std::string>{{"t", "3"}});
}

TEST_CASE("the writer refuses what it could not read back, and keeps the old file") {
  const TemporaryFolder folder;
  const auto path = folder / "config.json";
  write_text(path, "old");
  const ModelDescription good = parse(minimal);
  ModelDescription bad_format = good, bad_key = good, bad_text = good, bad_config = good, unsayable = good;
  bad_format.format = "ternary";
  bad_key.recipe = {{"format", "binary"}};
  bad_text.recipe = {{"a", "\xff"}};
  bad_config.config.head_dim = 0;
  unsayable.config.rotary_share = 0.5;  // a Llama has no key for it
  const auto id_of = [&](const ModelDescription& model) {
    return error_of([&] { binllm::write_config(path, model); }).id();
  };
  CHECK(id_of(bad_format) == ErrorId::unknown_name);
  CHECK(id_of(bad_key) == ErrorId::config_invalid);
  CHECK(id_of(bad_text) == ErrorId::config_invalid);
  CHECK(id_of(bad_config) == ErrorId::config_inconsistent);
  CHECK(id_of(unsayable) == ErrorId::config_inconsistent);
  CHECK(error_of([&] { binllm::write_config(folder / "missing/config.json", good); }).id() == ErrorId::write_failed);
  CHECK(read_text(path) == "old");
}
