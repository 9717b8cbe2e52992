// SPDX-License-Identifier: MIT
#include <binllm/models/config.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <string>

using binllm::Error;
using binllm::ErrorId;
using binllm::ModelConfig;
using binllm::RopeScaling;

namespace {

ModelConfig small() {
  ModelConfig config;
  config.vocab_size = 512;
  config.hidden_size = 64;
  config.intermediate_size = 172;
  config.num_hidden_layers = 5;
  config.num_attention_heads = 8;
  config.num_key_value_heads = 4;
  config.head_dim = 8;
  config.max_position_embeddings = 512;
  return config;
}

/// The field that check() names after `change`; empty where it accepts.
template <class Change>
std::string refused(Change change) {
  ModelConfig config = small();
  change(config);
  try {
    config.check();
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::config_inconsistent);
    return error.argument();
  }
  return "";
}

}  // namespace

TEST_CASE("consistent configurations are accepted") {
  CHECK_NOTHROW(small().check());
  CHECK(refused([](ModelConfig& c) { c.head_dim = 128; }) == "");  // wider than hidden_size / heads: allowed
  CHECK(refused([](ModelConfig& c) { c.num_key_value_heads = 1; }) == "");
  CHECK(refused([](ModelConfig& c) { c.bos_token_id = 511, c.eos_token_ids = {0, 511}; }) == "");
  CHECK(refused([](ModelConfig& c) { c.rope_scaling = RopeScaling{32, 1, 4, 8192}; }) == "");
}

TEST_CASE("every extent must be positive and of a size that multiplies without overflow") {
  const auto check = [](const char* name, binllm::Index ModelConfig::*field) {
    for (const binllm::Index bad :
         {binllm::Index{0}, binllm::Index{-4}, binllm::Index{1} << 31, std::numeric_limits<binllm::Index>::max()}) {
      CAPTURE(bad);
      CHECK(refused([&](ModelConfig& c) { c.*field = bad; }) == name);
    }
  };
  check("vocab_size", &ModelConfig::vocab_size);
  check("hidden_size", &ModelConfig::hidden_size);
  check("intermediate_size", &ModelConfig::intermediate_size);
  check("num_hidden_layers", &ModelConfig::num_hidden_layers);
  check("num_attention_heads", &ModelConfig::num_attention_heads);
  check("num_key_value_heads", &ModelConfig::num_key_value_heads);
  check("head_dim", &ModelConfig::head_dim);
  check("max_position_embeddings", &ModelConfig::max_position_embeddings);
  CHECK(refused([](ModelConfig& c) { c.hidden_size = c.intermediate_size = 0x7fffffff; }) == "num_hidden_layers");
}

TEST_CASE("heads that do not divide, odd head_dim, numbers out of range") {
  CHECK(refused([](ModelConfig& c) { c.num_key_value_heads = 3; }) == "num_key_value_heads");
  CHECK(refused([](ModelConfig& c) { c.num_key_value_heads = 16; }) == "num_key_value_heads");
  CHECK(refused([](ModelConfig& c) { c.head_dim = 7; }) == "head_dim");
  CHECK(refused([](ModelConfig& c) { c.max_position_embeddings = 0x7fffffff; }) == "max_position_embeddings");
  CHECK(refused([](ModelConfig& c) { c.norm_epsilon = 0; }) == "norm_epsilon");
  CHECK(refused([](ModelConfig& c) { c.norm_epsilon = std::numeric_limits<double>::quiet_NaN(); }) == "norm_epsilon");
  CHECK(refused([](ModelConfig& c) { c.rope_theta = -1; }) == "rope_theta");
  CHECK(refused([](ModelConfig& c) { c.rope_theta = std::numeric_limits<double>::infinity(); }) == "rope_theta");
  CHECK(refused([](ModelConfig& c) { c.bos_token_id = 512; }) == "bos_token_id");
  CHECK(refused([](ModelConfig& c) { c.eos_token_ids = {5, -1}; }) == "eos_token_id");
}

TEST_CASE("rotary scaling must have positive factors in order") {
  const auto with = [](RopeScaling scaling) { return refused([&](ModelConfig& c) { c.rope_scaling = scaling; }); };
  CHECK(with({0, 1, 4, 8192}) == "rope_scaling.factor");
  CHECK(with({32, 0, 4, 8192}) == "rope_scaling.low_freq_factor");
  CHECK(with({32, 4, 4, 8192}) == "rope_scaling.low_freq_factor");
  CHECK(with({32, 1, -4, 8192}) == "rope_scaling.high_freq_factor");
  CHECK(with({32, 1, 4, 0}) == "rope_scaling.original_max_position_embeddings");
}
