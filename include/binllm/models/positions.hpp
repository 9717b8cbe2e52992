// SPDX-License-Identifier: MIT
/// How a model knows where a token stands. An architecture chooses one; each has
///   embed(pass, h)               h (B,T,C), embedded tokens, as they enter the first layer
///   rotate(pass, x, head_dim)    x (B,T,H*D), queries or keys, as they enter attention
///   bytes()                      of its tables; and it is a module
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/device/host.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/key_value_cache.hpp>
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/rotary.hpp>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <vector>

namespace binllm {

/// theta^{-2j/D} of the D dimensions that turn, with Llama 3's stretching where the configuration has it.
[[nodiscard]] inline std::vector<double> rotary_frequencies(const ModelConfig& c) {
  std::vector<double> frequencies;
  const Index turning = c.rotary_dim();
  for (Index j = 0; j < turning / 2; ++j) {
    double f = std::pow(c.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(turning));
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

/// Queries and keys turn by an angle that grows with the position (Su et al., arXiv 2104.09864).
template <class T, class Device>
struct RotaryPositions {
  static constexpr bool rotary = true;
  using Table = RotaryTable<master_t<T>, Device>;
  Table table;

  explicit RotaryPositions(const ModelConfig& c) : table(c.max_position_embeddings, rotary_frequencies(c)) {}

  [[nodiscard]] Variable<T, Device> embed(Pass<T, Device>&, Variable<T, Device> h) const { return h; }
  /// With a cache each row stands behind what its sequence has seen.
  [[nodiscard]] Variable<T, Device> rotate(Pass<T, Device>& pass, Variable<T, Device> x, Index head_dim) const {
    return pass.cache == nullptr ? binllm::rotary(x, table, 0, head_dim) : rotate_rows(*pass.cache, x, head_dim);
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(table.cosine.size() + table.sine.size()) * sizeof(master_t<T>);
  }
  template <class V, class... Self>
  static void visit(V&&, Self&...) {}

 private:
  [[nodiscard]] Variable<T, Device> rotate_rows(const KeyValueCache<T, Device>& cache, Variable<T, Device> x,
                                                Index head_dim) const {
    const Index rows = x.shape()[0], tokens = x.shape()[1];
    cache.check_room(rows, tokens);
    for (const Index sequence : cache.active()) check_positions(table, cache.length(sequence), tokens);
    return x.tape().template compute<T>(x.shape(), [=, &cache, &own = table](View<T, Device> out) {
      const auto row_of = [](auto view, Index b) {
        return view.slice(b).reshaped(Shape{1, view.shape[1], view.shape[2]});
      };
      for (Index b = 0; b < rows; ++b) {
        rotate_from(own, cache.length(cache.active()[static_cast<std::size_t>(b)]), head_dim,
                    read(row_of(x.value(), b)), row_of(out, b));
      }
    });
  }
  static void rotate_from(const Table& table, Index first, Index head_dim, View<const T, Device> x, View<T, Device> y) {
    Kernel<Rotary, Device>::forward(x, table.cosine.view(), table.sine.view(), first, head_dim, y);
  }
};

/// A row of a table is added to the token at each position (Radford et al., 2018):
///   h[b,t,:] + table[p + offset,:],   p = t, with a cache behind what sequence b has seen
/// Rows before the offset are in files and serve nothing.
template <class T, class Device, Index offset = 0>
struct LearnedPositions {
  static constexpr bool rotary = false;
  Parameter<master_t<T>, Device> weight;  ///< (positions + offset, C)
  Tensor<std::int32_t, Device> rows;      ///< 0, 1, ...: ids of the rows of the table

  explicit LearnedPositions(const ModelConfig& c)
      : weight({c.max_position_embeddings + offset, c.hidden_size}), rows(Shape{weight.shape()[0]}) {
    Tensor<std::int32_t> count(rows.shape());
    std::iota(count.view().data, count.view().data + count.size(), 0);
    copy_to_device(read(count.view()), rows.view());
  }

  /// Errors: index_out_of_range beyond the last position.
  [[nodiscard]] Variable<T, Device> embed(Pass<T, Device>& pass, Variable<T, Device> h) const {
    const Index batch = h.shape()[0], tokens = h.shape()[1], channels = h.shape()[2];
    if (pass.cache != nullptr) return add(h, behind(*pass.cache, h));
    const auto added = embedding<T>(ids(0, tokens), pass.tape.use(weight));
    const Shape all_tokens{tokens * channels};  // one row for all sequences of the batch
    return add(h.reshaped({batch, tokens * channels}), added.reshaped(all_tokens)).reshaped(h.shape());
  }
  [[nodiscard]] Variable<T, Device> rotate(Pass<T, Device>&, Variable<T, Device> x, Index) const { return x; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(rows.size()) * sizeof(std::int32_t);
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("weight", self.weight...);
  }

 private:
  /// Of the rows for `count` tokens from position `first` on.
  [[nodiscard]] View<const std::int32_t, Device> ids(Index first, Index count) const {
    const Index positions = rows.size() - offset;
    if (first + count > positions) {
      throw Error(ErrorId::index_out_of_range, "LearnedPositions", "position",
                  fmt::format("at most {} positions", positions), fmt::format("{}", first + count));
    }
    return {rows.view().data + first + offset, Shape{count}};
  }
  /// Rows of the table for tokens that stand behind those in a cache.
  [[nodiscard]] Variable<T, Device> behind(const KeyValueCache<T, Device>& cache, Variable<T, Device> h) const {
    const Index tokens = h.shape()[1];
    cache.check_room(h.shape()[0], tokens);
    for (const Index sequence : cache.active()) static_cast<void>(ids(cache.length(sequence), tokens));
    return h.tape().template compute<T>(h.shape(), [=, this, &cache](View<T, Device> out) {
      for (Index b = 0; b < out.shape[0]; ++b) {
        const Index seen = cache.length(cache.active()[static_cast<std::size_t>(b)]);
        Kernel<Embedding, Device>::forward(ids(seen, tokens), read(weight.value), out.slice(b));
      }
    });
  }
};

}  // namespace binllm
