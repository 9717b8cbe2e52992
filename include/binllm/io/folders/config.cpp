// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/checksum.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/gguf/config.hpp>
#include <binllm/methods/shipped.hpp>
#include <binllm/models/families.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {
namespace {

using nlohmann::json;

constexpr int config_depth = 16;  // foreign keys may nest; ours do not

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
  /// One token id, or a list of them; empty where the field is missing.
  [[nodiscard]] std::vector<std::int32_t> tokens(const std::string& name) const {
    if (!has(name)) return {};
    const json& value = at(name);
    if (value.is_array() && value.empty()) refuse(name, "a token or a list of tokens", "an empty list");
    std::vector<std::int32_t> tokens;
    for (const json& entry : value.is_array() ? value : json::array({value})) {
      const Index token = as_integer(name, entry);
      if (token < 0 || token > std::numeric_limits<std::int32_t>::max()) {
        refuse(name, "a token from 0 to 2^31 - 1", fmt::format("{}", token));
      }
      tokens.push_back(static_cast<std::int32_t>(token));
    }
    return tokens;
  }
  /// Refuses any other value; a missing field is taken as the wanted one.
  void expect(const std::string& name, const json& wanted) const {
    if (!has(name)) return;
    const json& found = at(name);
    if (wanted.is_boolean()) static_cast<void>(boolean(name));
    if (wanted.is_string()) static_cast<void>(text(name));
    const auto shown = [](const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
    if (found != wanted) refuse(name, shown(wanted), shown(found));
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

/// The shipped families, and the caller's own before them.
std::vector<const Family*> known_families(const KnownBeside& known) {
  std::vector<const Family*> families(shipped_families.begin(), shipped_families.end());
  if (known.family != nullptr) families.insert(families.begin(), known.family);
  return families;
}

/// What must stand at a fixed key, beside the others.
json value_of(const FixedKey& fixed, const auto& object) {
  if (fixed.same_as.empty()) return json::parse(fixed.value);
  const std::string other(fixed.same_as);
  return object.contains(other) ? json(object[other]) : json();
}

/// The family that the file names, by class or by type. What stands beside the name must be the family's too.
const Family& read_family(const Fields& fields, const KnownBeside& known) {
  const auto families = known_families(known);
  const auto find = [&](const std::string& key, std::string_view before, auto name_of, auto is_named) {
    std::string names;
    for (const Family* family : families) {
      if (is_named(name_of(*family))) return family;
      names += (names.empty() ? "" : " or ") + std::string(name_of(*family));
    }
    fields.refuse(key, std::string(before) + names,
                  fields.has(key) ? fields.object()[key].dump().substr(0, 128) : "none");
  };
  const Family* family = nullptr;
  if (fields.has("architectures") || !fields.has("model_type")) {
    const json names = fields.has("architectures") ? fields.at("architectures") : json();
    family = find(
        "architectures", "a list with ", [](const Family& f) { return f.class_name; },
        [&](std::string_view name) {
          return names.is_array() && std::find(names.begin(), names.end(), json(name)) != names.end();
        });
  } else {
    const std::string type = fields.text("model_type");
    family = find(
        "model_type", "", [](const Family& f) { return f.model_type; },
        [&](std::string_view name) { return name == type; });
  }
  fields.expect("model_type", std::string(family->model_type));
  for (const FixedKey& fixed : family->fixed) fields.expect(std::string(fixed.key), value_of(fixed, fields.object()));
  return *family;
}

std::optional<RopeScaling> read_scaling(const Fields& rope) {
  const std::string key = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type";
  // Without a type nothing is stretched; a factor without one was meant to stretch.
  const std::string type = rope.has(key) || rope.has("factor") ? rope.text(key) : "default";
  if (type == "default") return std::nullopt;
  if (type == "linear") return RopeScaling{.factor = rope.number("factor"), .type = RopeType::linear};
  if (type != "llama3") rope.refuse(key, "default, linear or llama3", type.substr(0, 64));
  return RopeScaling{.factor = rope.number("factor"),
                     .low_freq_factor = rope.number("low_freq_factor"),
                     .high_freq_factor = rope.number("high_freq_factor"),
                     .original_max_position_embeddings = rope.integer("original_max_position_embeddings")};
}

/// Newer files hold base and scaling together in "rope_parameters", older ones side by side; some have both.
void read_rope(const Fields& fields, const Family& family, ModelConfig& config) {
  const std::string base(family.keys.rope_theta), share = "partial_rotary_factor";
  if (family.keys.rotary_share.empty()) fields.expect(share, 1);
  if (fields.has(base)) config.rope_theta = fields.number(base);
  if (fields.has("rope_scaling")) config.rope_scaling = read_scaling(fields.inside("rope_scaling"));
  if (!fields.has("rope_parameters")) return;
  const Fields rope = fields.inside("rope_parameters");
  for (const auto& [key, value] : rope.object().items()) {
    if (value.is_object()) rope.refuse(key, "the same numbers for all layers", "an object");
  }
  if (rope.has("rope_theta")) config.rope_theta = rope.number("rope_theta");
  const auto scaling = read_scaling(rope);
  if (config.rope_scaling && scaling != config.rope_scaling) {
    fields.refuse("rope_scaling", "what rope_parameters says", "another scaling", ErrorId::config_inconsistent);
  }
  config.rope_scaling = scaling;
  if (family.keys.rotary_share.empty()) {
    rope.expect(share, 1);
  } else if (rope.has(share)) {
    config.rotary_share = rope.number(share);
  }
}

/// What the file calls a field of ModelConfig.
std::string key_of(const Family& family, const std::string& field) {
  const ConfigKeys& k = family.keys;
  const std::pair<const char*, std::string_view> names[] = {{"vocab_size", k.vocab_size},
                                                            {"hidden_size", k.hidden_size},
                                                            {"intermediate_size", k.intermediate_size},
                                                            {"num_hidden_layers", k.num_hidden_layers},
                                                            {"num_attention_heads", k.num_attention_heads},
                                                            {"num_key_value_heads", k.num_key_value_heads},
                                                            {"head_dim", k.head_dim},
                                                            {"max_position_embeddings", k.max_position_embeddings},
                                                            {"norm_epsilon", k.norm_epsilon},
                                                            {"rope_theta", k.rope_theta},
                                                            {"rotary_share", k.rotary_share}};
  for (const auto& [name, key] : names) {
    if (name == field && !key.empty()) return std::string(key);
  }
  return field;
}

Index default_head_dim(const Fields& fields, const Family& family, const ModelConfig& config) {
  if (config.num_attention_heads < 1 || config.hidden_size % config.num_attention_heads != 0) {
    fields.refuse(key_of(family, "hidden_size"),
                  fmt::format("a multiple of {} {}", family.keys.num_attention_heads, config.num_attention_heads),
                  fmt::format("{}", config.hidden_size), ErrorId::config_inconsistent);
  }
  return config.hidden_size / config.num_attention_heads;
}

ModelConfig read_numbers(const Fields& fields, const Family& family) {
  const ConfigKeys& keys = family.keys;
  const auto integer = [&](std::string_view key) { return fields.integer(std::string(key)); };
  const auto has = [&](std::string_view key) { return !key.empty() && fields.has(std::string(key)); };
  ModelConfig config;
  config.vocab_size = integer(keys.vocab_size);
  config.hidden_size = integer(keys.hidden_size);
  config.intermediate_size = integer(keys.intermediate_size);
  config.num_hidden_layers = integer(keys.num_hidden_layers);
  config.num_attention_heads = integer(keys.num_attention_heads);
  config.num_key_value_heads =
      has(keys.num_key_value_heads) ? integer(keys.num_key_value_heads) : config.num_attention_heads;
  config.head_dim = has(keys.head_dim) ? integer(keys.head_dim) : default_head_dim(fields, family, config);
  config.max_position_embeddings = integer(keys.max_position_embeddings);
  if (!keys.norm_epsilon.empty()) config.norm_epsilon = fields.number(std::string(keys.norm_epsilon));
  config.rotary_share =
      has(keys.rotary_share) ? fields.number(std::string(keys.rotary_share)) : keys.rotary_share_if_absent;
  const auto boolean = [&](std::string_view key, bool absent) {
    return has(key) ? fields.boolean(std::string(key)) : absent;
  };
  if (!keys.tie_word_embeddings.empty())
    config.tie_word_embeddings = boolean(keys.tie_word_embeddings, keys.tied_if_absent);
  config.attention_bias = boolean(keys.attention_bias, false);
  config.mlp_bias = boolean(keys.mlp_bias, false);
  if (const auto bos = fields.tokens("bos_token_id"); !bos.empty()) config.bos_token_id = bos.front();
  config.eos_token_ids = fields.tokens("eos_token_id");
  if (family.rotary) read_rope(fields, family, config);
  if (fields.has("quantization_config"))
    fields.refuse("quantization_config", "none: tensors of floating-point numbers",
                  "weights in a form of another program");
  try {
    config.check();
  } catch (const Error& error) {
    fields.refuse(key_of(family, error.argument()), error.wanted(), error.found(), error.id());
  }
  return config;
}

std::string format_names(const KnownBeside& known) {
  return names_of<ShippedFormats>() + (known.format.empty() ? "" : ", or " + std::string(known.format));
}
bool is_known_format(std::string_view format, const KnownBeside& known) {
  return (!known.format.empty() && format == known.format) ||
         any_type<ShippedFormats>([&]<class F>() { return F::name == format; });
}

}  // namespace

const Family& default_family() { return *shipped_families.front(); }

namespace {

std::filesystem::path file_of(const std::filesystem::path& folder_or_file) {
  std::error_code ignored;
  return std::filesystem::is_directory(folder_or_file, ignored) ? folder_or_file / "config.json" : folder_or_file;
}

/// The folders inside one that are models, as in "binary, packed"; empty where none is.
std::string models_inside(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;  // a folder that cannot be listed shows nothing
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (std::filesystem::exists(entry.path() / "config.json", ignored))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// What a folder without a config.json is, in words.
std::string describe_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name, ignored); };
  const std::string inside = models_inside(folder);
  if (has("run.json"))
    return inside.empty() ? "a run that has not written its model yet" : "a run, whose models are in it: " + inside;
  if (has("adapter_config.json")) return "an adapter, which is not read: merge it into its model first";
  if (has("params.json")) return "params.json, Meta's own layout: convert it to that of transformers";
  if (!inside.empty()) return "a folder without one, which has models in it: " + inside;
  return std::filesystem::is_empty(folder, ignored) ? "an empty folder" : "a folder without one";
}

json read_object(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  return detail::parse_json_object(text, config_depth, {ErrorId::config_invalid, "read_config", path.string()});
}

/// Of all that a configuration says but for the checksum itself: blanks and the order of keys do not count.
std::string checksum_text(json object) {
  if (object.contains("binllm")) object["binllm"].erase("checksum");
  const std::string text = object.dump();
  return fmt::format("{:016x}", checksum_of("config.json", std::as_bytes(std::span(text))));
}

/// What a generation is to end at stands in a file of its own where there is one.
void read_generation_config(const std::filesystem::path& folder, ModelConfig& config) {
  const std::filesystem::path path = folder / generation_config_file;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  const json object = read_object(path);
  const Fields fields(object, path.string());
  if (!fields.has("eos_token_id")) return;
  config.eos_token_ids = fields.tokens("eos_token_id");
  for (const std::int32_t token : config.eos_token_ids) {
    if (token < config.vocab_size) continue;
    fields.refuse("eos_token_id", fmt::format("a token below vocab_size {}", config.vocab_size),
                  fmt::format("{}", token), ErrorId::config_inconsistent);
  }
}

}  // namespace

void check_model_path(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(path, ignored);
  if (is_folder ? std::filesystem::exists(path / "config.json", ignored) : is_gguf(path)) return;
  const auto refuse = [&](ErrorId id, const std::string& found) {
    throw Error(id, "open_model", path.string(), "a model folder, which has a config.json, or a GGUF file", found);
  };
  if (is_folder) refuse(ErrorId::file_missing, describe_folder(path));
  if (!std::filesystem::exists(path, ignored)) refuse(ErrorId::file_missing, "nothing of that name");
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  const bool is_inside = std::filesystem::exists(parent / "config.json", ignored);
  refuse(ErrorId::file_unreadable, is_inside ? "a file of the model folder " + parent.string() : "a file");
}

ModelDescription read_config(const std::filesystem::path& folder_or_file, const KnownBeside& known) {
  if (is_gguf(folder_or_file)) return detail::read_gguf_config(GgufFile(folder_or_file), known_families(known));
  const std::filesystem::path path = file_of(folder_or_file);
  if (path != folder_or_file) check_model_path(folder_or_file);
  const json object = read_object(path);
  const Fields fields(object, path.string());
  const Family& family = read_family(fields, known);
  ModelDescription model{.config = read_numbers(fields, family), .recipe = {}, .family = &family};
  if (path != folder_or_file) read_generation_config(folder_or_file, model.config);
  if (!fields.has("binllm")) return model;

  const Fields ours = fields.inside("binllm");
  model.format = ours.text("format");
  if (!is_known_format(model.format, known)) {
    ours.refuse("format", format_names(known), model.format, ErrorId::unknown_name);
  }
  for (const auto& [key, value] : ours.object().items()) {
    if (key != "format" && key != "checksum") model.recipe.emplace(key, ours.text(key));
  }
  if (ours.has("checksum") && ours.text("checksum") != checksum_text(object)) {
    ours.refuse("checksum", checksum_text(object) + ", or none in a file that was changed on purpose",
                ours.text("checksum").substr(0, 64), ErrorId::header_invalid);
  }
  return model;
}

bool has_config_checksum(const std::filesystem::path& folder_or_file) {
  const json object = read_object(file_of(folder_or_file));
  const auto ours = object.find("binllm");
  return ours != object.end() && ours->is_object() && ours->contains("checksum");
}

namespace {

nlohmann::ordered_json to_json(const Family& family, const ModelConfig& config) {
  nlohmann::ordered_json object{{"architectures", nlohmann::ordered_json::array({family.class_name})},
                                {"model_type", family.model_type}};
  const auto put = [&](std::string_view key, const auto& value) {
    if (!key.empty()) object[std::string(key)] = value;
  };
  const ConfigKeys& keys = family.keys;
  put(keys.vocab_size, config.vocab_size);
  put(keys.hidden_size, config.hidden_size);
  put(keys.intermediate_size, config.intermediate_size);
  put(keys.num_hidden_layers, config.num_hidden_layers);
  put(keys.num_attention_heads, config.num_attention_heads);
  put(keys.num_key_value_heads, config.num_key_value_heads);
  put(keys.head_dim, config.head_dim);
  put(keys.max_position_embeddings, config.max_position_embeddings);
  put(keys.norm_epsilon, config.norm_epsilon);
  put(keys.rotary_share, config.rotary_share);
  if (family.rotary) {
    put(keys.rope_theta, config.rope_theta);
    object["rope_scaling"] = nullptr;
    if (const auto& scaling = config.rope_scaling) {
      const bool linear = scaling->type == RopeType::linear;
      object["rope_scaling"] = {{"rope_type", linear ? "linear" : "llama3"}, {"factor", scaling->factor}};
      if (!linear) {
        object["rope_scaling"].update(
            {{"low_freq_factor", scaling->low_freq_factor},
             {"high_freq_factor", scaling->high_freq_factor},
             {"original_max_position_embeddings", scaling->original_max_position_embeddings}});
      }
    }
  }
  for (const FixedKey& fixed : family.fixed) put(fixed.key, value_of(fixed, object));
  put(keys.attention_bias, config.attention_bias);
  put(keys.mlp_bias, config.mlp_bias);
  put(keys.tie_word_embeddings, config.tie_word_embeddings);
  if (config.bos_token_id) object["bos_token_id"] = *config.bos_token_id;
  const auto& ends = config.eos_token_ids;
  if (ends.size() == 1) object["eos_token_id"] = ends.front();
  if (ends.size() > 1) object["eos_token_id"] = ends;
  return object;
}

/// What another config.json says and nothing here reads, for other programs: not a second word on the positions, nor how
/// the weights were stored there.
void add_foreign_keys(nlohmann::ordered_json& object, const std::filesystem::path& source) {
  constexpr std::array ours{"binllm",      "rope_parameters", "rope_scaling",       "rope_theta",
                            "torch_dtype", "dtype",           "quantization_config"};
  const auto theirs = read_object(source);  // outlives its items
  for (const auto& [key, value] : theirs.items()) {
    if (!object.contains(key) && std::find(ours.begin(), ours.end(), key) == ours.end()) object[key] = value;
  }
}

}  // namespace

void write_config(const std::filesystem::path& file, const ModelDescription& model, const KnownBeside& known,
                  const std::filesystem::path& source) {
  model.config.check();
  if (!is_known_format(model.format, known)) {
    throw Error(ErrorId::unknown_name, "write_config", "format", format_names(known), model.format);
  }
  for (const char* key : {"format", "checksum"}) {
    if (!model.recipe.contains(key)) continue;
    throw Error(ErrorId::config_invalid, "write_config", "recipe", fmt::format("no key named {}", key), "one");
  }
  nlohmann::ordered_json object = to_json(*model.family, model.config);
  const json written = json::parse(object.dump());
  if (read_numbers(Fields(written, file.string()), *model.family) != model.config) {
    throw Error(ErrorId::config_inconsistent, "write_config", file.string(),
                fmt::format("numbers that a {} can say in its file", model.family->name), "others");
  }
  std::error_code ignored;
  if (!source.empty() && std::filesystem::exists(source / "config.json", ignored)) {
    nlohmann::ordered_json with_foreign = object;
    add_foreign_keys(with_foreign, source / "config.json");
    const json all = json::parse(with_foreign.dump());
    if (read_numbers(Fields(all, file.string()), *model.family) == model.config) object = with_foreign;
  }
  object["binllm"] = {{"format", model.format}};
  for (const auto& [key, value] : model.recipe) object["binllm"][key] = value;
  std::string text;
  try {
    object["binllm"]["checksum"] = checksum_text(json::parse(object.dump()));
    text = object.dump(2) + '\n';
  } catch (const json::exception&) {
    throw Error(ErrorId::config_invalid, "write_config", file.string(), "a recipe in UTF-8", "other bytes");
  }
  AtomicFile output(file);
  output.write(std::as_bytes(std::span(text)));
  output.commit();
}

}  // namespace binllm
