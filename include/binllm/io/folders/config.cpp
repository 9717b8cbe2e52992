// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/config.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace binllm {
namespace {

using nlohmann::json;

constexpr int config_depth = 16;  // foreign keys may nest; ours do not
constexpr std::array<std::string_view, 3> known_formats{"dense", "binary", "packed"};

/// The members of one JSON object. Every error names the file and the field.
class Fields {
 public:
  Fields(const json& object, std::string file, std::string prefix = "")
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  /// Null counts as missing, as in Hugging Face's files.
  [[nodiscard]] bool has(const std::string& name) const { return object_.contains(name) && !object_[name].is_null(); }
  [[nodiscard]] const json& at(const std::string& name) const {
    if (!has(name)) refuse(name, "a value", "none");
    return object_[name];
  }
  [[nodiscard]] Fields inside(const std::string& name) const {
    if (!at(name).is_object()) refuse(name, "an object", at(name).type_name());
    return {at(name), file_, prefix_ + name + "."};
  }

  [[nodiscard]] Index integer(const std::string& name) const { return as_integer(name, at(name)); }
  [[nodiscard]] double number(const std::string& name) const {
    if (!at(name).is_number()) refuse(name, "a number", at(name).type_name());
    return at(name).get<double>();
  }
  [[nodiscard]] bool boolean(const std::string& name) const {
    if (!at(name).is_boolean()) refuse(name, "true or false", at(name).type_name());
    return at(name).get<bool>();
  }
  [[nodiscard]] std::string text(const std::string& name) const {
    if (!at(name).is_string()) refuse(name, "a string", at(name).type_name());
    return at(name).get<std::string>();
  }
  /// A token id, or the first of a list of them.
  [[nodiscard]] std::optional<std::int32_t> token(const std::string& name) const {
    if (!has(name)) return std::nullopt;
    const json& value = at(name);
    if (value.is_array() && value.empty()) refuse(name, "a token or a list of tokens", "an empty list");
    const Index token = as_integer(name, value.is_array() ? value.front() : value);
    if (token < 0 || token > std::numeric_limits<std::int32_t>::max()) {
      refuse(name, "a token from 0 to 2^31 - 1", fmt::format("{}", token));
    }
    return static_cast<std::int32_t>(token);
  }
  /// Refuses any other text; a missing field is taken as the wanted one.
  void expect_text(const std::string& name, const std::string& wanted) const {
    if (has(name) && text(name) != wanted) refuse(name, wanted, text(name));
  }
  void expect_false(const std::string& name) const {
    if (has(name) && boolean(name)) refuse(name, "false", "true");
  }
  [[noreturn]] void refuse(const std::string& name, std::string wanted, std::string found,
                           ErrorId id = ErrorId::config_invalid) const {
    throw Error(id, "read_config", fmt::format("{}: {}{}", file_, prefix_, name), std::move(wanted), std::move(found));
  }
  [[nodiscard]] const json& object() const noexcept { return object_; }

 private:
  [[nodiscard]] Index as_integer(const std::string& name, const json& value) const {
    if (!value.is_number_integer()) refuse(name, "an integer", value.dump().substr(0, 64));
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<Index>::max()) {
      refuse(name, "an integer below 2^63", value.dump());
    }
    return value.get<Index>();
  }

  const json& object_;
  std::string file_, prefix_;
};

void check_architecture(const Fields& fields) {
  if (fields.has("architectures")) {
    const json& names = fields.at("architectures");
    if (!names.is_array() || std::find(names.begin(), names.end(), json("LlamaForCausalLM")) == names.end()) {
      fields.refuse("architectures", "a list with LlamaForCausalLM", names.dump().substr(0, 128));
    }
  } else if (!fields.has("model_type")) {
    fields.refuse("architectures", "a list with LlamaForCausalLM", "none");
  }
  fields.expect_text("model_type", "llama");
  fields.expect_text("hidden_act", "silu");
  fields.expect_false("attention_bias");
  fields.expect_false("mlp_bias");
}

std::optional<RopeScaling> read_scaling(const Fields& rope) {
  const std::string key = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type";
  const std::string type = rope.text(key);
  if (type == "default") return std::nullopt;
  if (type != "llama3") rope.refuse(key, "llama3 or default", type);
  return RopeScaling{.factor = rope.number("factor"),
                     .low_freq_factor = rope.number("low_freq_factor"),
                     .high_freq_factor = rope.number("high_freq_factor"),
                     .original_max_position_embeddings = rope.integer("original_max_position_embeddings")};
}

/// Newer files hold base and scaling together in "rope_parameters", older ones side by side.
void read_rope(const Fields& fields, LlamaConfig& config) {
  const bool together = fields.has("rope_parameters");
  const Fields rope = together ? fields.inside("rope_parameters") : fields;
  if (rope.has("rope_theta")) config.rope_theta = rope.number("rope_theta");
  if (together) {
    config.rope_scaling = read_scaling(rope);
  } else if (fields.has("rope_scaling")) {
    config.rope_scaling = read_scaling(fields.inside("rope_scaling"));
  }
}

Index default_head_dim(const Fields& fields, const LlamaConfig& config) {
  if (config.num_attention_heads < 1 || config.hidden_size % config.num_attention_heads != 0) {
    fields.refuse("hidden_size", fmt::format("a multiple of num_attention_heads {}", config.num_attention_heads),
                  fmt::format("{}", config.hidden_size), ErrorId::config_inconsistent);
  }
  return config.hidden_size / config.num_attention_heads;
}

LlamaConfig read_llama(const Fields& fields) {
  LlamaConfig config;
  config.vocab_size = fields.integer("vocab_size");
  config.hidden_size = fields.integer("hidden_size");
  config.intermediate_size = fields.integer("intermediate_size");
  config.num_hidden_layers = fields.integer("num_hidden_layers");
  config.num_attention_heads = fields.integer("num_attention_heads");
  config.num_key_value_heads =
      fields.has("num_key_value_heads") ? fields.integer("num_key_value_heads") : config.num_attention_heads;
  config.head_dim = fields.has("head_dim") ? fields.integer("head_dim") : default_head_dim(fields, config);
  config.max_position_embeddings = fields.integer("max_position_embeddings");
  config.rms_norm_eps = fields.number("rms_norm_eps");
  config.tie_word_embeddings = fields.has("tie_word_embeddings") && fields.boolean("tie_word_embeddings");
  config.bos_token_id = fields.token("bos_token_id");
  config.eos_token_id = fields.token("eos_token_id");
  read_rope(fields, config);
  try {
    config.check();
  } catch (const Error& error) {
    fields.refuse(error.argument(), error.wanted(), error.found(), error.id());
  }
  return config;
}

bool is_known_format(std::string_view format) {
  return std::find(known_formats.begin(), known_formats.end(), format) != known_formats.end();
}

}  // namespace

ModelDescription read_config(const std::filesystem::path& folder_or_file) {
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(folder_or_file, ignored);
  const std::filesystem::path path = is_folder ? folder_or_file / "config.json" : folder_or_file;
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const json object =
      detail::parse_json_object(text, config_depth, {ErrorId::config_invalid, "read_config", path.string()});
  const Fields fields(object, path.string());
  check_architecture(fields);
  ModelDescription model{.config = read_llama(fields), .format = "dense", .recipe = {}};
  if (!fields.has("binllm")) return model;

  const Fields ours = fields.inside("binllm");
  model.format = ours.text("format");
  if (!is_known_format(model.format)) {
    ours.refuse("format", "dense, binary or packed", model.format, ErrorId::unknown_name);
  }
  for (const auto& [key, value] : ours.object().items()) {
    if (key != "format") model.recipe.emplace(key, ours.text(key));
  }
  return model;
}

namespace {

nlohmann::ordered_json to_json(const LlamaConfig& config) {
  nlohmann::ordered_json object{{"architectures", nlohmann::ordered_json::array({"LlamaForCausalLM"})},
                                {"model_type", "llama"},
                                {"vocab_size", config.vocab_size},
                                {"hidden_size", config.hidden_size},
                                {"intermediate_size", config.intermediate_size},
                                {"num_hidden_layers", config.num_hidden_layers},
                                {"num_attention_heads", config.num_attention_heads},
                                {"num_key_value_heads", config.num_key_value_heads},
                                {"head_dim", config.head_dim},
                                {"max_position_embeddings", config.max_position_embeddings},
                                {"rms_norm_eps", config.rms_norm_eps},
                                {"rope_theta", config.rope_theta},
                                {"rope_scaling", nullptr},
                                {"hidden_act", "silu"},
                                {"attention_bias", false},
                                {"mlp_bias", false},
                                {"tie_word_embeddings", config.tie_word_embeddings}};
  if (const auto& scaling = config.rope_scaling) {
    object["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", scaling->factor},
                              {"low_freq_factor", scaling->low_freq_factor},
                              {"high_freq_factor", scaling->high_freq_factor},
                              {"original_max_position_embeddings", scaling->original_max_position_embeddings}};
  }
  if (config.bos_token_id) object["bos_token_id"] = *config.bos_token_id;
  if (config.eos_token_id) object["eos_token_id"] = *config.eos_token_id;
  return object;
}

}  // namespace

void write_config(const std::filesystem::path& file, const ModelDescription& model) {
  model.config.check();
  if (!is_known_format(model.format)) {
    throw Error(ErrorId::unknown_name, "write_config", "format", "dense, binary or packed", model.format);
  }
  if (model.recipe.contains("format")) {
    throw Error(ErrorId::config_invalid, "write_config", "recipe", "no key named format", "one");
  }
  nlohmann::ordered_json object = to_json(model.config);
  if (model.format != "dense" || !model.recipe.empty()) {
    object["binllm"] = {{"format", model.format}};
    for (const auto& [key, value] : model.recipe) object["binllm"][key] = value;
  }
  std::string text;
  try {
    text = object.dump(2) + '\n';
  } catch (const json::exception&) {
    throw Error(ErrorId::config_invalid, "write_config", file.string(), "a recipe in UTF-8", "other bytes");
  }
  AtomicFile output(file);
  output.write(std::as_bytes(std::span(text)));
  output.commit();
}

}  // namespace binllm
