// SPDX-License-Identifier: MIT
#include <binllm/io/folders/gguf/config.hpp>
#include <binllm/io/folders/gguf/metadata_reader.hpp>
#include <binllm/models/positions.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace binllm::detail {
namespace {

constexpr const char* rope_factors = "rope_freqs.weight";

const Family& family_of_file(const GgufMetadataReader& values, std::span<const Family* const> families) {
  const std::string& found = values.text("general.architecture");
  std::string known;
  for (const Family* const family : families) {
    if (family->gguf.architecture.empty()) continue;
    if (family->gguf.architecture == found) return *family;
    known += (known.empty() ? "" : ", ") + std::string(family->gguf.architecture);
  }
  values.refuse("general.architecture", "one of " + known, found.substr(0, 64));
}

const Shape& matrix_shape(const GgufFile& file, const GgufMetadataReader& values, const char* name) {
  const TensorInfo* const tensor = file.find(name);
  if (tensor == nullptr) values.refuse(name, "a tensor", "none");
  if (tensor->shape.rank() != 2) values.refuse(name, "a matrix", to_string(tensor->shape));
  return tensor->shape;
}

/// Frequencies that are all divided by a number.
std::optional<RopeScaling> read_linear_scaling(const GgufMetadataReader& values, const std::string& prefix) {
  const std::string type = prefix + "rope.scaling.type", factor = prefix + "rope.scaling.factor";
  if (!values.has(type) || values.text(type) == "none") return std::nullopt;
  if (values.text(type) != "linear") values.refuse(type, "none or linear", values.text(type).substr(0, 64));
  return RopeScaling{.factor = values.number(factor), .type = RopeType::linear};
}

/// GGUF keeps the factors of the scaling llama3 and not the numbers that they come from. All models of it have the
/// same but for the largest factor.
std::optional<RopeScaling> read_scaling(const GgufFile& file, const GgufMetadataReader& values,
                                        const ModelConfig& plain) {
  const TensorInfo* const tensor = file.find(rope_factors);
  if (tensor == nullptr) return std::nullopt;
  std::vector<float> found(static_cast<std::size_t>(tensor->shape.size()));
  file.read(*tensor, found);
  ModelConfig stretched = plain;
  stretched.rope_scaling =
      RopeScaling{.factor = 1, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 8192};
  for (const float factor : found)
    stretched.rope_scaling->factor = std::max(stretched.rope_scaling->factor, static_cast<double>(factor));
  const std::vector<float> wanted = rotary_factors(stretched);
  const auto close = [](float a, float b) { return std::abs(a - b) <= 1e-4f * b; };
  if (!std::equal(found.begin(), found.end(), wanted.begin(), wanted.end(), close)) {
    values.refuse(rope_factors, "factors that go from 1 at wavelengths of 2048 to the largest at 8192", "others");
  }
  return stretched.rope_scaling;
}

/// What changes the arithmetic and is not known here must not be ignored.
void refuse_unknown_arithmetic(const GgufMetadataReader& values, const std::string& prefix) {
  for (const char* count : {"expert_count", "attention.sliding_window"}) {
    if (values.has(prefix + count) && values.integer(prefix + count) != 0)
      values.refuse(prefix + count, "none or 0", "another");
  }
}

}  // namespace

std::vector<float> rotary_factors(const ModelConfig& config) {
  if (!config.rope_scaling || config.rope_scaling->type != RopeType::llama3) return {};
  ModelConfig plain = config;
  plain.rope_scaling.reset();
  const std::vector<double> stretched = rotary_frequencies(config);
  std::vector<double> factors = rotary_frequencies(plain);
  for (std::size_t j = 0; j < factors.size(); ++j) factors[j] /= stretched[j];
  return {factors.begin(), factors.end()};
}

ModelDescription read_gguf_config(const GgufFile& file, std::span<const Family* const> families) {
  const GgufMetadataReader values(file, "read_config", ErrorId::config_invalid);
  const Family& family = family_of_file(values, families);
  const std::string prefix = std::string(family.gguf.architecture) + ".";
  const auto integer = [&](const char* name) { return values.integer(prefix + name); };
  const auto integer_or = [&](const char* name, Index otherwise) {
    return values.has(prefix + name) ? integer(name) : otherwise;
  };
  refuse_unknown_arithmetic(values, prefix);
  const std::string truth = prefix + std::string(family.gguf.truth);
  if (!family.gguf.truth.empty() && !values.truth(truth, false)) values.refuse(truth, "true", "false, or nothing");
  ModelConfig config;
  config.vocab_size = matrix_shape(file, values, "token_embd.weight")[0];
  config.hidden_size = integer("embedding_length");
  config.intermediate_size = integer("feed_forward_length");
  config.num_hidden_layers = integer("block_count");
  config.num_attention_heads = integer("attention.head_count");
  config.num_key_value_heads = integer_or("attention.head_count_kv", config.num_attention_heads);
  config.max_position_embeddings = integer("context_length");
  const Index heads = std::max<Index>(config.num_attention_heads, 1);
  config.head_dim = integer_or("attention.key_length", config.hidden_size / heads);
  if (integer_or("attention.value_length", config.head_dim) != config.head_dim) {
    values.refuse(prefix + "attention.value_length", fmt::format("{}, as keys have", config.head_dim), "another",
                  ErrorId::config_inconsistent);
  }
  config.norm_epsilon = values.number(prefix + std::string(family.gguf.norm_epsilon));
  config.tie_word_embeddings = file.find("output.weight") == nullptr;
  config.attention_bias = !family.keys.attention_bias.empty() && file.find("blk.0.attn_output.bias") != nullptr;
  config.mlp_bias = !family.keys.mlp_bias.empty() && file.find("blk.0.ffn_up.bias") != nullptr;
  config.bos_token_id = values.token("tokenizer.ggml.bos_token_id");
  if (const auto eos = values.token("tokenizer.ggml.eos_token_id")) config.eos_token_ids = {*eos};
  try {
    if (family.rotary) {
      if (values.has(prefix + "rope.freq_base")) config.rope_theta = values.number(prefix + "rope.freq_base");
      const Index turning = integer_or("rope.dimension_count", config.head_dim);
      config.rotary_share = static_cast<double>(turning) / static_cast<double>(std::max<Index>(config.head_dim, 1));
      if (config.rotary_dim() < turning) config.rotary_share = std::nextafter(config.rotary_share, 1.0);
      config.check();
      if (family.keys.rotary_share.empty() && turning != config.head_dim) {
        values.refuse(prefix + "rope.dimension_count", fmt::format("{}, the whole head", config.head_dim),
                      fmt::format("{}", turning));
      }
      config.rope_scaling = read_linear_scaling(values, prefix);
      if (!config.rope_scaling) config.rope_scaling = read_scaling(file, values, config);
    }
    config.check();
  } catch (const Error& error) {
    if (error.operation() != "ModelConfig") throw;
    values.refuse(error.argument(), error.wanted(), error.found(), error.id());
  }
  return {.config = config, .format = ModelDescription{}.format, .recipe = {}, .family = &family};
}

GgufMetadata gguf_config(const ModelDescription& description) {
  const Family& family = *description.family;
  if (family.gguf.architecture.empty()) {
    throw Error(ErrorId::config_inconsistent, "gguf_config", "family", "a family that llama.cpp has",
                std::string(family.name));
  }
  const ModelConfig& c = description.config;
  const std::string prefix = std::string(family.gguf.architecture) + ".";
  const auto count = [](Index n) { return static_cast<std::uint32_t>(n); };
  GgufMetadata metadata{{"general.architecture", std::string(family.gguf.architecture)},
                        {"general.type", std::string("model")},
                        {prefix + "vocab_size", count(c.vocab_size)},
                        {prefix + "context_length", count(c.max_position_embeddings)},
                        {prefix + "embedding_length", count(c.hidden_size)},
                        {prefix + "feed_forward_length", count(c.intermediate_size)},
                        {prefix + "block_count", count(c.num_hidden_layers)},
                        {prefix + "attention.head_count", count(c.num_attention_heads)},
                        {prefix + "attention.head_count_kv", count(c.num_key_value_heads)},
                        {prefix + "attention.key_length", count(c.head_dim)},
                        {prefix + "attention.value_length", count(c.head_dim)},
                        {prefix + std::string(family.gguf.norm_epsilon), static_cast<float>(c.norm_epsilon)}};
  if (family.rotary) {
    metadata.emplace(prefix + "rope.dimension_count", count(c.rotary_dim()));
    metadata.emplace(prefix + "rope.freq_base", static_cast<float>(c.rope_theta));
    if (c.rope_scaling && c.rope_scaling->type == RopeType::linear) {
      metadata.emplace(prefix + "rope.scaling.type", std::string("linear"));
      metadata.emplace(prefix + "rope.scaling.factor", static_cast<float>(c.rope_scaling->factor));
    }
  }
  if (!family.gguf.truth.empty()) metadata.emplace(prefix + std::string(family.gguf.truth), true);
  if (c.bos_token_id) metadata.emplace("tokenizer.ggml.bos_token_id", count(*c.bos_token_id));
  if (!c.eos_token_ids.empty()) metadata.emplace("tokenizer.ggml.eos_token_id", count(c.eos_token_ids.front()));
  return metadata;
}

}  // namespace binllm::detail
