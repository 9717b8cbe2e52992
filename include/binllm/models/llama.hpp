// SPDX-License-Identifier: MIT
/// Llama (Touvron et al., arXiv 2302.13971): RMSNorm, rotary positions, grouped-query attention, SwiGLU. Written once
/// for every scalar type, device and format.
#pragma once
#include <binllm/autodiff/recompute.hpp>
#include <binllm/core/random.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/attention.hpp>
#include <binllm/nn/mlp.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/rms_norm.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

namespace binllm {

/// One decoder layer: h += attention(norm(h)); h += mlp(norm(h)).
/// While a tape records it keeps, beside its result, the first of both sums, rotated queries and keys, values, the
/// heads' output, gate and up; what else backward reads is computed again.
template <class T, class Device, class Format>
struct LlamaLayer {
  Parameter<master_t<T>, Device> input_layernorm;
  SelfAttention<T, Device, Format> self_attn;
  Parameter<master_t<T>, Device> post_attention_layernorm;
  Mlp<T, Device, Format> mlp;
  double epsilon;

  LlamaLayer(const Format& format, const LlamaConfig& c)
      : input_layernorm({c.hidden_size}, false),
        self_attn(format, c.hidden_size, {c.num_attention_heads, c.num_key_value_heads, c.head_dim}),
        post_attention_layernorm({c.hidden_size}, false),
        mlp(format, c.hidden_size, c.intermediate_size),
        epsilon(c.rms_norm_eps) {}

  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const RotaryTable<master_t<T>, Device>& table,
                                               Index layer, Variable<T, Device> h) {
    const auto enters_attention = rms_norm(h, pass.tape.use(input_layernorm), epsilon);
    const auto middle = self_attn(pass, table, layer, enters_attention, h);
    forget(enters_attention);
    const auto enters_mlp = rms_norm(middle, pass.tape.use(post_attention_layernorm), epsilon);
    const auto y = mlp(pass, enters_mlp, middle);
    forget(enters_mlp);
    forget_unless_recording(middle);
    return y;
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("input_layernorm.weight", self.input_layernorm...);
    v("self_attn", self.self_attn...);
    v("post_attention_layernorm.weight", self.post_attention_layernorm...);
    v("mlp", self.mlp...);
  }
};

/// theta^{-2j/D}, with Llama 3's stretching where the configuration has it.
[[nodiscard]] inline std::vector<double> rotary_frequencies(const LlamaConfig& c) {
  std::vector<double> frequencies;
  for (Index j = 0; j < c.head_dim / 2; ++j) {
    double f = std::pow(c.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(c.head_dim));
    if (c.rope_scaling) {
      const auto& s = *c.rope_scaling;
      const double turns =
          static_cast<double>(s.original_max_position_embeddings) * f / (2 * std::numbers::pi);  // o / L
      if (turns < s.low_freq_factor) {
        f /= s.factor;
      } else if (turns <= s.high_freq_factor) {
        const double smooth = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
        f = (1 - smooth) * f / s.factor + smooth * f;
      }
    }
    frequencies.push_back(f);
  }
  return frequencies;
}

/// Whether a model owns the memory of its parameters from the start, or another one lends some of it first.
enum class Ownership { own, borrow_first };

template <class T, class D = Cpu, class F = Dense>
struct Llama {
  static_assert(Format<F, T, D>, "the third parameter of Llama is a Format: Dense, Binary<Recipe>, Packed");
  using value_type = T;
  using device = D;
  using format_type = F;
  using Master = master_t<T>;

  LlamaConfig config;
  F format;
  Parameter<Master, D> embed_tokens;
  std::vector<LlamaLayer<T, D, F>> layers;
  Parameter<Master, D> norm;
  Parameter<Master, D> lm_head;  ///< no elements where it is tied to embed_tokens
  RotaryTable<Master, D> rotary_table;
  ParameterBlock<Master, D> block;

  /// Zero weights, norms and learned scales too. Errors: config_inconsistent.
  explicit Llama(const LlamaConfig& c, const F& chosen = {}, Ownership ownership = Ownership::own)
      : config((c.check(), c)), format(chosen) {
    embed_tokens = Parameter<Master, D>({c.vocab_size, c.hidden_size});
    for (Index i = 0; i < c.num_hidden_layers; ++i) layers.emplace_back(format, c);
    norm = Parameter<Master, D>({c.hidden_size}, false);
    lm_head = Parameter<Master, D>(c.tie_word_embeddings ? Shape{0} : Shape{c.vocab_size, c.hidden_size});
    rotary_table = RotaryTable<Master, D>(c.max_position_embeddings, rotary_frequencies(c));
    if (ownership == Ownership::own) allocate();
  }
  /// Gives memory to the parameters that have none.
  void allocate() { block.allocate(*this, F::trainable); }

  /// Final hidden states (B,T,C), normalised, of ids (B,T). Errors: token_out_of_range, index_out_of_range (too long).
  [[nodiscard]] Variable<T, D> operator()(Pass<T, D>& pass, View<const std::int32_t, D> ids) {
    check_rank("Llama", "ids", ids.shape, 2);
    return transform(pass, embedding<T>(ids, pass.tape.use(embed_tokens)));
  }
  /// The same of embedded tokens (B,T,C), whose value is forgotten where the tape does not record.
  [[nodiscard]] Variable<T, D> transform(Pass<T, D>& pass, Variable<T, D> h) {
    const Index tokens = h.shape()[1];
    for (Index i = 0; i < config.num_hidden_layers; ++i) {
      const auto entered = std::exchange(h, run_layer(pass, i, h));
      forget_unless_recording(entered);
    }
    if (pass.cache != nullptr) pass.cache->advance(tokens);
    const auto y = rms_norm(h, pass.tape.use(norm), config.rms_norm_eps);
    forget_unless_recording(h);
    return y;
  }
  /// The output head: its own weight, or the embedding's.
  [[nodiscard]] Variable<Master, D> head(Pass<T, D>& pass) {
    return pass.tape.use(config.tie_word_embeddings ? embed_tokens : lm_head);
  }
  /// Logits (B,T,V) of ids (B,T).
  [[nodiscard]] Variable<T, D> logits(Pass<T, D>& pass, View<const std::int32_t, D> ids) {
    return linear((*this)(pass, ids), head(pass));
  }
  /// Mean cross-entropy of the targets (B,T), natural log.
  [[nodiscard]] Variable<Master, D> loss(Pass<T, D>& pass, View<const std::int32_t, D> ids,
                                         View<const std::int32_t, D> targets) {
    return cross_entropy((*this)(pass, ids), head(pass), targets);
  }
  [[nodiscard]] KeyValueCache<T, D> cache(Index capacity, Index sequences = 1) const {
    return {config.num_hidden_layers, sequences, capacity, config.num_key_value_heads, config.head_dim};
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("model.embed_tokens.weight", self.embed_tokens...);
    const std::size_t count = std::min({self.layers.size()...});
    for (std::size_t i = 0; i < count; ++i) v("model.layers." + std::to_string(i), self.layers[i]...);
    v("model.norm.weight", self.norm...);
    v("lm_head.weight", self.lm_head...);
  }

 private:
  [[nodiscard]] Variable<T, D> run_layer(Pass<T, D>& pass, Index i, Variable<T, D> h) {
    auto& layer = layers[static_cast<std::size_t>(i)];
    if (!pass.recompute || !pass.tape.recording() || pass.cache != nullptr) return layer(pass, rotary_table, i, h);
    const auto again = [&layer, &table = rotary_table, pass, i](Variable<T, D> x) {
      Pass<T, D> inner = pass;  // the pass of the caller may be gone by then
      return layer(inner, table, i, x);
    };
    return recompute(again, h);
  }
};

/// Normal weights of the given deviation (residual projections / sqrt(2 layers), GPT-2's rule), norms 1. A pure
/// function of the seed; on a GPU up to the last bit of its logarithm and cosine.
template <class T, class D>
void initialise(Llama<T, D, Dense>& model, std::uint64_t seed, double deviation = 0.02) {
  std::uint64_t tensor = 0;
  const double residual = 1 / std::sqrt(2.0 * static_cast<double>(model.config.num_hidden_layers));
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    const Random random(seed, Purpose::initialise, tensor++);
    const bool into_residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
    if (parameter.decays) {
      Kernel<NormalFill, D>::forward(random, deviation * (into_residual ? residual : 1.0), parameter.value);
    } else {
      Kernel<Fill, D>::forward(master_t<T>(1), Gradient<master_t<T>, D>(parameter.value, true));
    }
  });
}

}  // namespace binllm
