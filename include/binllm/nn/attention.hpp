// SPDX-License-Identifier: MIT
/// Causal self-attention with grouped query heads: y = r + W_o attention(W_q x, W_k x, W_v x), the linear layers in the
/// model's format, queries and keys at their positions. An architecture may have a norm of each head of both,
/// HeadNorm<T, D>.
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/device/replay.hpp>
#include <binllm/nn/architecture.hpp>
#include <binllm/nn/joint_products.hpp>
#include <binllm/nn/key_value_cache.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/nn/norm.hpp>
#include <binllm/ops/cached_attention.hpp>

namespace binllm {

struct HeadShape {
  Index heads, kv_heads, head_dim;
};

namespace detail {
template <class Architecture, class T, class Device>
struct HeadNormOf {
  using type = NoNorm<T, Device>;
};
template <class Architecture, class T, class Device>
requires requires { typename Architecture::template HeadNorm<T, Device>; }
struct HeadNormOf<Architecture, T, Device> {
  using type = typename Architecture::template HeadNorm<T, Device>;
};
}  // namespace detail

template <class Architecture, class T, class Device, class F>
struct SelfAttention {
  using Linear = LinearLayer<T, Device, F>;
  using Input = typename F::template Input<T, Device>;
  using HeadNorm = typename detail::HeadNormOf<Architecture, T, Device>::type;
  Input input;  ///< where x enters q, k and v
  Linear q_proj, k_proj, v_proj;
  HeadNorm q_norm, k_norm;
  Input o_input;  ///< where the heads' output enters o
  Linear o_proj;
  HeadShape shape;

  /// `biases`: of all four layers, beside those that the architecture has.
  SelfAttention(const F& format, Index channels, HeadShape s, double epsilon, bool biases)
      : input(format, {Role::attention_in, channels, 1, s.head_dim}),
        q_proj(format, entered(s.heads * s.head_dim, channels, biases)),
        k_proj(format, entered(s.kv_heads * s.head_dim, channels, biases)),
        v_proj(format, entered(s.kv_heads * s.head_dim, channels, biases)),
        q_norm(s.head_dim, epsilon),
        k_norm(s.head_dim, epsilon),
        o_input(format, {Role::attention_out, s.heads * s.head_dim, s.heads / s.kv_heads, s.head_dim}),
        o_proj(format, {channels, s.heads * s.head_dim, Role::attention_out, Architecture::attention_out_bias || biases,
                        !folds<Architecture>(Role::attention_out)}),
        shape(s) {}

  /// residual + attention(x), both (B,T,C). With a cache row b is a sequence of its own: the keys and values of its
  /// earlier tokens are read from there and the new ones kept. No gradient goes through a cache.
  template <class Positions>
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Positions& positions, Index layer,
                                               Variable<T, Device> x, Variable<T, Device> residual) const {
    Stage<Device> stage(pass.tape);
    pass.observe(layer, Role::attention_in, x);
    const auto entered = input(pass, x);
    const auto projected = products_of_input(pass, input, entered, q_proj, k_proj, v_proj);
    const auto q = placed(pass, positions, projected, 0, q_norm), k = placed(pass, positions, projected, 1, k_norm),
               v = projected(2);
    stage.keep(q, k, v);
    const auto heads = stage.keep(attend(pass, layer, q, k, v));
    pass.observe(layer, Role::attention_out, heads);
    return stage.keep(o_proj(pass, o_input, o_input(pass, heads), residual));
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    constexpr auto names = Architecture::names;
    v("input", self.input...);
    v(std::string(names.query), self.q_proj...);
    v(std::string(names.key), self.k_proj...);
    v(std::string(names.value), self.v_proj...);
    v(std::string(names.query_norm), self.q_norm...);
    v(std::string(names.key_norm), self.k_norm...);
    v("o_input", self.o_input...);
    v(std::string(names.attention_output), self.o_proj...);
  }

 private:
  [[nodiscard]] static LinearShape entered(Index out, Index in, bool bias) {
    return {out, in, Role::attention_in, Architecture::attention_bias || bias,
            !folds<Architecture>(Role::attention_in)};
  }
  /// The heads of the projection of that number, normalised where the architecture does that, turned to the positions of their tokens.
  template <class Positions, class Projected>
  [[nodiscard]] Variable<T, Device> placed(Pass<T, Device>& pass, const Positions& positions,
                                           const Projected& projected, std::size_t number, const HeadNorm& norm) const {
    Stage<Device> stage(pass.tape);
    return stage.keep(positions.rotate(pass, normalised(pass, norm, projected(number)), shape.head_dim));
  }
  [[nodiscard]] Variable<T, Device> normalised(Pass<T, Device>& pass, const HeadNorm& norm,
                                               Variable<T, Device> x) const {
    if constexpr (std::is_same_v<HeadNorm, NoNorm<T, Device>>) {
      return x;
    } else {
      const Shape& s = x.shape();
      return norm(pass, x.reshaped({s[0], s[1], s[2] / shape.head_dim, shape.head_dim})).reshaped(s);
    }
  }
  [[nodiscard]] Variable<T, Device> attend(Pass<T, Device>& pass, Index layer, Variable<T, Device> q,
                                           Variable<T, Device> k, Variable<T, Device> v) const {
    return pass.cache == nullptr ? attention(q, k, v, shape.heads, shape.kv_heads)
                                 : attend_to_cache(*pass.cache, layer, q, k, v);
  }
  /// Keys and values go to the cache; each row sees what its sequence has there.
  [[nodiscard]] Variable<T, Device> attend_to_cache(KeyValueCache<T, Device>& cache, Index layer, Variable<T, Device> q,
                                                    Variable<T, Device> k, Variable<T, Device> v) const {
    cache.check_room(q.shape()[0], q.shape()[1]);
    auto& stored = cache.layer(layer);
    if constexpr (records<Device>) {
      if (cache.places() != nullptr) {
        const AttentionAtPlaces a{q.shape()[0], shape.heads, shape.kv_heads, shape.head_dim, cache.capacity()};
        return attention_at_places(a, q, k, v, stored.keys.view(), stored.values.view(), cache.places());
      }
    }
    cache.append(stored.keys, read(k.value()));
    cache.append(stored.values, read(v.value()));
    if (cache.fresh()) return attention(q, k, v, shape.heads, shape.kv_heads);
    const CachedAttention a{q.shape()[0],   q.shape()[1],     shape.heads,           shape.kv_heads,
                            shape.head_dim, cache.capacity(), cache.active().data(), cache.lengths().data()};
    return cached_attention(a, q, stored.keys, stored.values);
  }
};

}  // namespace binllm
