// SPDX-License-Identifier: MIT
/// How a model knows where a token stands. An architecture chooses one; each has
///   embed(pass, h)               h (B,T,C), embedded tokens, as they enter the first layer
///   rotate(pass, x, head_dim)    x (B,T,H*D), queries or keys, as they enter attention
///   bytes()                      of its tables; and it is a module
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/key_value_cache.hpp>
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>
#include <binllm/ops/rotary.hpp>

#include <cmath>
#include <numbers>
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
      const auto seen = [&cache](Index b) { return cache.length(cache.active()[static_cast<std::size_t>(b)]); };
      for (Index first = 0, last = 0; first < rows; first = last) {  // neighbours of the same length turn together
        while (last < rows && seen(last) == seen(first)) ++last;
        const auto part = [=](auto view) {
          return view.middle_rows(first * tokens, (last - first) * tokens)
              .reshaped(Shape{last - first, tokens, view.cols()});
        };
        rotate_from(own, seen(first), head_dim, read(part(x.value())), part(out));
      }
    });
  }
  static void rotate_from(const Table& table, Index first, Index head_dim, View<const T, Device> x, View<T, Device> y) {
    Kernel<Rotary, Device>::forward(x, table.cosine.view(), table.sine.view(), first, head_dim, y);
  }
};

}  // namespace binllm
