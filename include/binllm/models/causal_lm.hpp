// SPDX-License-Identifier: MIT
/// The causal language model, written once for every architecture, scalar type, device and format of weights.
///   h = embed(ids);   h = layer_i(h), i = 1..L;   logits = head(norm(h))
#pragma once
#include <binllm/autodiff/recompute.hpp>
#include <binllm/core/random.hpp>
#include <binllm/models/decoder_layer.hpp>
#include <binllm/models/positions.hpp>
#include <binllm/nn/dense.hpp>
#include <binllm/nn/norm.hpp>
#include <binllm/nn/parameter_block.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/embedding.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace binllm {

/// Whether a model owns the memory of its parameters from the start, or another one lends some of it first.
enum class Ownership { own, borrow_first };

/// What a family's policy says, each point once (models/llama.hpp is the example):
///   name, summary                        in the list of families
///   class_name, model_type               in config.json
///   keys, fixed                          what config.json calls the numbers, and what must stand beside them
///   Norm<T, D>, Positions<T, D>          modules
///   FeedForward                          Gated<Activation> or Ungated<Activation>
///   residual                             sequential or parallel
///   attention_bias, attention_out_bias, mlp_bias      of every model; a ModelConfig may ask for more
///   HeadNorm<T, D>                       optional: a norm of each head of queries and keys
///   names                                of modules in files
///   folds                                where scales of input channels can go
///   gguf                                 optional: how GGUF files have it
template <class A>
concept Architecture = requires {
  { A::name } -> std::convertible_to<std::string_view>;
  { A::summary } -> std::convertible_to<std::string_view>;
  { A::class_name } -> std::convertible_to<std::string_view>;
  { A::model_type } -> std::convertible_to<std::string_view>;
  typename A::template Norm<float, Cpu>;
  typename A::template Positions<float, Cpu>;
  typename A::FeedForward;
  { A::residual } -> std::convertible_to<Residual>;
  { A::attention_bias } -> std::convertible_to<bool>;
  { A::attention_out_bias } -> std::convertible_to<bool>;
  { A::mlp_bias } -> std::convertible_to<bool>;
  { A::names } -> std::convertible_to<DecoderNames>;
  A::folds.size();
};

template <Architecture A, class T, class D = Cpu, class F = Dense>
struct CausalLm {
  static_assert(Format<F, T, D>, "the last parameter of a model is a Format: Dense, Binary<Recipe>, Packed");
  using architecture = A;
  using value_type = T;
  using device = D;
  using format_type = F;
  using Master = master_t<T>;

  ModelConfig config;
  F format;
  Parameter<Master, D> embed_tokens;
  typename A::template Positions<T, D> positions;
  std::vector<DecoderLayer<A, T, D, F>> layers;
  typename A::template Norm<T, D> norm;
  Parameter<Master, D> lm_head;  ///< no elements where it is tied to embed_tokens
  ParameterBlock<Master, D> block;

  /// Zero weights, norms and learned scales too. Errors: config_inconsistent.
  explicit CausalLm(const ModelConfig& c, const F& chosen = {}, Ownership ownership = Ownership::own)
      : config((c.check(), c)),
        format(chosen),
        embed_tokens({c.vocab_size, c.hidden_size}),
        positions(c),
        norm(c.hidden_size, c.norm_epsilon),
        lm_head(c.tie_word_embeddings ? Shape{0} : Shape{c.vocab_size, c.hidden_size}) {
    for (Index i = 0; i < c.num_hidden_layers; ++i) layers.emplace_back(format, c);
    if (ownership == Ownership::own) allocate();
  }
  /// Gives memory to the parameters that have none.
  void allocate() { block.allocate(*this, trains(format)); }

  // ---- the walk from ids to logits, in steps
  /// Embedded tokens (B,T,C) of ids (B,T), with their positions where those are added. Errors: token_out_of_range.
  [[nodiscard]] Variable<T, D> embed(Pass<T, D>& pass, View<const std::int32_t, D> ids) const {
    check_rank("CausalLm", "ids", ids.shape, 2);
    Stage<D> stage(pass.tape);
    return stage.keep(positions.embed(pass, embedding<T>(ids, pass.tape.use(embed_tokens))));
  }
  /// Layers of the model.
  [[nodiscard]] Index blocks() const noexcept { return static_cast<Index>(layers.size()); }
  /// What leaves layer i where h (B,T,C) enters it.
  [[nodiscard]] Variable<T, D> run_block(Pass<T, D>& pass, Index i, Variable<T, D> h) const {
    const auto& layer = layers[static_cast<std::size_t>(i)];
    if (!pass.recompute || !pass.tape.recording() || pass.cache != nullptr) return layer(pass, positions, i, h);
    const auto again = [&layer, &own = positions, pass, i](Variable<T, D> x) {
      Pass<T, D> inner = pass;  // the pass of the caller may be gone by then
      return layer(inner, own, i, x);
    };
    return recompute(again, h);
  }
  /// The final norm.
  [[nodiscard]] Variable<T, D> finish(Pass<T, D>& pass, Variable<T, D> h) const { return norm(pass, h); }
  /// The weight (V,C) of the output head: its own, or the embedding's.
  [[nodiscard]] Variable<Master, D> head(Pass<T, D>& pass) const {
    return pass.tape.use(config.tie_word_embeddings ? embed_tokens : lm_head);
  }

  // ---- several steps at once
  /// Final hidden states (B,T,C), normalised, of ids (B,T). Errors: token_out_of_range, index_out_of_range (too long).
  [[nodiscard]] Variable<T, D> hidden(Pass<T, D>& pass, View<const std::int32_t, D> ids) const {
    return run_blocks(pass, embed(pass, ids));
  }
  [[nodiscard]] Variable<T, D> operator()(Pass<T, D>& pass, View<const std::int32_t, D> ids) const {
    return hidden(pass, ids);
  }
  /// The same of embedded tokens (B,T,C) that do not know their positions yet.
  [[nodiscard]] Variable<T, D> transform(Pass<T, D>& pass, Variable<T, D> h) const {
    return run_blocks(pass, positions.embed(pass, h));
  }
  /// The same of what `embed` gives, which has served then.
  [[nodiscard]] Variable<T, D> run_blocks(Pass<T, D>& pass, Variable<T, D> h) const {
    const Index tokens = h.shape()[1];
    Stage<D> stage(pass.tape, h);
    for (Index i = 0; i < blocks(); ++i) h = stage.keep(run_block(pass, i, h));
    if (pass.cache != nullptr) pass.cache->advance(tokens);
    return stage.keep(finish(pass, h));
  }
  /// Logits (B,T,V) of ids (B,T).
  [[nodiscard]] Variable<T, D> logits(Pass<T, D>& pass, View<const std::int32_t, D> ids) const {
    return linear(hidden(pass, ids), head(pass));
  }
  /// Mean cross-entropy of the targets (B,T), natural log.
  [[nodiscard]] Variable<Master, D> loss(Pass<T, D>& pass, View<const std::int32_t, D> ids,
                                         View<const std::int32_t, D> targets) const {
    return cross_entropy(hidden(pass, ids), head(pass), targets);
  }
  [[nodiscard]] KeyValueCache<T, D> cache(Index capacity, Index sequences = 1,
                                          CachePrecision precision = CachePrecision::float32) const {
    return {config.num_hidden_layers, sequences, capacity, config.num_key_value_heads, config.head_dim, precision};
  }
  /// Calls what a kind of linear layer does after an update of the optimiser, where it does anything.
  void after_update([[maybe_unused]] Index step, [[maybe_unused]] double t) {
    using Linear = LinearLayer<T, D, F>;
    if constexpr (requires(Linear& linear) { linear.after_update(step, t); }) {
      for (const auto& [name, linear] : linear_layers(*this)) linear->after_update(step, t);
    }
  }
  /// Whether one of them does.
  [[nodiscard]] bool acts_after_update() const {
    using Linear = LinearLayer<T, D, F>;
    bool acts = requires(Linear & linear) { linear.after_update(Index{}, 0.0); };
    if constexpr (requires(const Linear& linear) { linear.acts_after_update(); }) {
      acts = false;
      for_each_linear([&](const auto& linear) { acts = acts || linear.acts_after_update(); }, *this);
    }
    return acts;
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    constexpr DecoderNames names = A::names;
    v(std::string(names.embedding) + ".weight", self.embed_tokens...);
    v(std::string(names.positions), self.positions...);
    const std::size_t count = std::min({self.layers.size()...});
    for (std::size_t i = 0; i < count; ++i) v(std::string(names.layers) + "." + std::to_string(i), self.layers[i]...);
    v(std::string(names.norm), self.norm...);
    v(std::string(names.head) + ".weight", self.lm_head...);
  }
};

/// What algorithms ask of a model: the walk in steps, its parameters by name, and what it is made of.
template <class M>
concept LanguageModel = requires(const std::remove_const_t<M>& model, Pass<typename M::value_type, typename M::device>& pass,
                                 View<const std::int32_t, typename M::device> ids,
                                 Variable<typename M::value_type, typename M::device> h, Index i) {
  typename M::format_type;
  typename M::Master;
  model.config;
  model.format;
  model.block;
  { model.embed(pass, ids) } -> std::same_as<decltype(h)>;
  { model.blocks() } -> std::convertible_to<Index>;
  { model.run_block(pass, i, h) } -> std::same_as<decltype(h)>;
  { model.finish(pass, h) } -> std::same_as<decltype(h)>;
  model.head(pass);
};

/// Normal weights of the given deviation (projections into the stream / sqrt(2 layers), GPT-2's rule), norms 1, biases
/// 0. A pure function of the seed; on a GPU up to the last bit of its logarithm and cosine.
template <class A, class T, class D, class F>
void initialise(CausalLm<A, T, D, F>& model, std::uint64_t seed, double deviation = 0.02) {
  std::vector<std::string> into_stream;
  for_each_linear(
      [&](const std::string& name, const auto& linear) {
        const bool out = linear.shape.role == Role::attention_out || linear.shape.role == Role::mlp_out;
        if (out) into_stream.push_back(name + ".weight");
      },
      model);
  std::uint64_t tensor = 0;
  const double residual = 1 / std::sqrt(2.0 * static_cast<double>(model.config.num_hidden_layers));
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    const Random random(seed, Purpose::initialise, tensor++);
    const bool scaled = std::find(into_stream.begin(), into_stream.end(), name) != into_stream.end();
    if (parameter.rule.decays) {
      Kernel<NormalFill, D>::forward(random, deviation * (scaled ? residual : 1.0), parameter.value);
    } else {
      Kernel<Fill, D>::forward(static_cast<master_t<T>>(parameter.initial),
                               Gradient<master_t<T>, D>(parameter.value, true));
    }
  });
}

}  // namespace binllm
