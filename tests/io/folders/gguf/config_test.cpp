// SPDX-License-Identifier: MIT
#include "../../support.hpp"

#include <binllm/io/containers/gguf/writer.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/gguf/config.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

ModelDescription description() {
  ModelDescription model;
  ModelConfig& c = model.config;
  c.vocab_size = 19, c.hidden_size = 12, c.intermediate_size = 20, c.num_hidden_layers = 2;
  c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 6, c.max_position_embeddings = 16;
  c.norm_epsilon = static_cast<double>(1e-6f);
  c.rope_theta = 500000;
  c.tie_word_embeddings = true;
  c.bos_token_id = 1;
  c.eos_token_ids = {2};
  return model;
}

/// A file with these values and an embedding, and what is read of it.
ModelDescription read_back(const std::filesystem::path& file, const GgufMetadata& metadata, const ModelConfig& config) {
  const std::vector<float> factors = detail::rotary_factors(config);
  std::vector<TensorInfo> tensors{{"token_embd.weight", DType::f32, Shape{config.vocab_size, config.hidden_size}}};
  if (!config.tie_word_embeddings) tensors.push_back({"output.weight", DType::f32, tensors[0].shape});
  if (!factors.empty()) tensors.push_back({"rope_freqs.weight", DType::f32, Shape{static_cast<Index>(factors.size())}});
  GgufWriter writer(file, metadata, tensors);
  const std::vector<float> zeros(static_cast<std::size_t>(config.vocab_size * config.hidden_size));
  writer.write(zeros);
  if (!config.tie_word_embeddings) writer.write(zeros);
  writer.write(factors);
  writer.commit();
  return read_config(file);
}

}  // namespace

TEST_CASE("gguf: a configuration is written and read again") {
  const TemporaryFolder folder;
  ModelDescription model = description();
  CHECK(read_back(folder / "a.gguf", detail::gguf_config(model), model.config) == model);
  model.config.tie_word_embeddings = false;
  model.config.head_dim = 8;
  model.config.eos_token_ids = {};
  model.config.rope_scaling = RopeScaling{.factor = 4, .type = RopeType::linear};
  CHECK(read_back(folder / "a.gguf", detail::gguf_config(model), model.config) == model);
  model.config.head_dim = 64;
  model.config.rope_scaling =
      RopeScaling{.factor = 32, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 8192};
  CHECK(read_back(folder / "a.gguf", detail::gguf_config(model), model.config) == model);
  model.config.rope_scaling->original_max_position_embeddings = 100;  // GGUF has the factors alone
  const Error other = error_of([&] { read_back(folder / "a.gguf", detail::gguf_config(model), model.config); });
  CHECK(other.id() == ErrorId::config_invalid);
  CHECK(contains(other.what(), "rope_freqs.weight"));
}

TEST_CASE("gguf: configurations that are not a model's") {
  const TemporaryFolder folder;
  const ModelConfig config = description().config;
  const auto error_with = [&](const char* name, std::optional<GgufValue> value) {
    GgufMetadata metadata = detail::gguf_config(description());
    if (value) {
      metadata.insert_or_assign(name, *value);
    } else {
      metadata.erase(name);
    }
    const Error error = error_of([&] { read_back(folder / "bad.gguf", metadata, config); });
    CHECK(contains(error.argument(), (folder / "bad.gguf").string()));
    return error;
  };
  for (const char* name :
       {"general.architecture", "llama.context_length", "llama.embedding_length", "llama.block_count",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"}) {
    CAPTURE(name);
    const Error none = error_with(name, std::nullopt), other = error_with(name, GgufArray(std::vector<bool>{true}));
    CHECK(none.id() == ErrorId::config_invalid);
    CHECK(contains(none.what(), name));
    CHECK(other.id() == ErrorId::config_invalid);
  }
  const auto id_with = [&](const char* name, GgufValue value) { return error_with(name, std::move(value)).id(); };
  CHECK(contains(error_with("general.architecture", std::string("mamba")).what(), "llama"));
  CHECK(id_with("llama.block_count", std::uint64_t{1} << 63) == ErrorId::config_invalid);
  CHECK(id_with("llama.block_count", std::int32_t{-1}) == ErrorId::config_inconsistent);
  CHECK(id_with("llama.attention.head_count", std::uint32_t{0}) == ErrorId::config_inconsistent);
  CHECK(id_with("llama.attention.head_count_kv", std::uint32_t{3}) == ErrorId::config_inconsistent);
  CHECK(id_with("llama.attention.value_length", std::uint32_t{4}) == ErrorId::config_inconsistent);
  CHECK(id_with("llama.rope.dimension_count", std::uint32_t{4}) == ErrorId::config_invalid);
  CHECK(id_with("llama.rope.freq_base", std::nanf("")) == ErrorId::config_inconsistent);
  CHECK(id_with("llama.rope.scaling.type", std::string("yarn")) == ErrorId::config_invalid);
  CHECK(id_with("llama.expert_count", std::uint32_t{8}) == ErrorId::config_invalid);
  CHECK(id_with("tokenizer.ggml.eos_token_id", std::uint32_t{19}) == ErrorId::config_inconsistent);
  CHECK(id_with("tokenizer.ggml.bos_token_id", std::int32_t{-1}) == ErrorId::config_invalid);
  CHECK(error_of([&] {
          GgufWriter(folder / "none.gguf", detail::gguf_config(description()), {}).commit();
          (void)read_config(folder / "none.gguf");
        }).id() == ErrorId::config_invalid);
}

TEST_CASE("gguf: a family that llama.cpp does not have") {
  Family family = default_family();
  family.gguf = {};
  ModelDescription model = description();
  model.family = &family;
  CHECK(error_of([&] { (void)detail::gguf_config(model); }).id() == ErrorId::config_inconsistent);
}
