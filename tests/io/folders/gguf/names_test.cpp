// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <binllm/io/folders/gguf/names.hpp>
#include <binllm/io/folders/gguf/rotary_pairs.hpp>

#include <algorithm>
#include <vector>

using namespace binllm;

namespace {

/// A family whose modules have names of every kind: none, one in two, a part of another.
constexpr Family family{.name = "f",
                        .class_name = "F",
                        .model_type = "f",
                        .keys = {},
                        .fixed = {},
                        .rotary = true,
                        .feed_forward_matrices = 2,
                        .names = {.embedding = "x.embed",
                                  .layers = "x.h",
                                  .norm = "x.norm",
                                  .head = "out",
                                  .attention = "attention",
                                  .query = "query",
                                  .key = "key",
                                  .value = "value",
                                  .attention_output = "dense",
                                  .mlp = "",
                                  .gate = "",
                                  .up = "dense_up",
                                  .down = "dense_down",
                                  .attention_norm = "norm",
                                  .mlp_norm = "norm_2"},
                        .gguf = {}};

}  // namespace

TEST_CASE("gguf: names of tensors follow from a family's own, both ways") {
  const detail::GgufNames names(family);
  const std::pair<const char*, const char*> pairs[] = {{"x.embed.weight", "token_embd.weight"},
                                                       {"x.norm.bias", "output_norm.bias"},
                                                       {"out.weight", "output.weight"},
                                                       {"x.h.0.norm.weight", "blk.0.attn_norm.weight"},
                                                       {"x.h.12.norm_2.weight", "blk.12.ffn_norm.weight"},
                                                       {"x.h.3.attention.query.bias", "blk.3.attn_q.bias"},
                                                       {"x.h.3.attention.dense.weight", "blk.3.attn_output.weight"},
                                                       {"x.h.3.dense_up.weight", "blk.3.ffn_up.weight"},
                                                       {"x.h.3.dense_down.weight", "blk.3.ffn_down.weight"}};
  for (const auto& [of_family, in_gguf] : pairs) {
    CHECK(names.in_gguf(of_family) == in_gguf);
    CHECK(names.of_family(in_gguf) == of_family);
  }
  for (const char* other : {"blk.0.ffn_gate.weight", "blk.x.attn_q.weight", "blk.3", "blk.3.", "blk.3.attn_q", "output",
                            "outputs.weight", "rope_freqs.weight", ""}) {
    CHECK_FALSE(names.of_family(other));
  }
}

TEST_CASE("gguf: queries, keys and values in one tensor have names of their own") {
  ModelConfig config;
  config.num_attention_heads = 4, config.num_key_value_heads = 2, config.head_dim = 8;
  const auto parts = detail::fused_parts("blk.7.attn_qkv.bias", config);
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].name == "blk.7.attn_q.bias");
  CHECK(parts[1].name == "blk.7.attn_k.bias");
  CHECK(parts[2].name == "blk.7.attn_v.bias");
  CHECK(parts[0].rows == 32);
  CHECK(parts[1].rows == 16);
  CHECK(parts[2].rows == 16);
  CHECK(detail::fused_parts("blk.7.attn_q.bias", config).empty());
  CHECK(detail::rotary_heads("blk.7.attn_q.weight", config) == 4);
  CHECK(detail::rotary_heads("blk.7.attn_k.bias", config) == 2);
  CHECK(detail::rotary_heads("blk.7.attn_v.weight", config) == 0);
  CHECK(detail::rotary_heads("token_embd.weight", config) == 0);
}

TEST_CASE("gguf: rows of a head that turn together become neighbours, and go back") {
  // two heads of four rows, two numbers a row; the first is the row
  std::vector<int> rows{0, 9, 1, 9, 2, 9, 3, 9, 4, 8, 5, 8, 6, 8, 7, 8};
  const std::vector<int> before = rows, wanted{0, 9, 2, 9, 1, 9, 3, 9, 4, 8, 6, 8, 5, 8, 7, 8};
  detail::reorder_rotary_rows(std::span(rows), 2, 4, true);
  CHECK(rows == wanted);
  detail::reorder_rotary_rows(std::span(rows), 2, 4, false);
  CHECK(rows == before);
}
