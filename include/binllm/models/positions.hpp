// SPDX-License-Identifier: MIT
/// How a model knows where a token stands. An architecture chooses one; each has
///   embed(pass, h)               h (B,T,C), embedded tokens, as they enter the first layer
///   rotate(pass, x, head_dim)    x (B,T,H*D), queries or keys, as they enter attention
///   bytes()                      of its tables; and it is a module
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/core/mutex.hpp>
#include <binllm/device/host.hpp>
#include <binllm/device/replay.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/key_value_cache.hpp>
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/rotary.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

namespace binllm {

/// theta^{-2j/D} of the D dimensions that turn, stretched where the configuration says so.
[[nodiscard]] inline std::vector<double> rotary_frequencies(const ModelConfig& c) {
  std::vector<double> frequencies;
  const Index turning = c.rotary_dim();
  for (Index j = 0; j < turning / 2; ++j) {
    double f = std::pow(c.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(turning));
    if (c.rope_scaling) {
      const RopeScaling& s = *c.rope_scaling;
      const double turns =
          static_cast<double>(s.original_max_position_embeddings) * f / (2 * std::numbers::pi);  // o / L
      if (s.type == RopeType::linear || turns < s.low_freq_factor) {
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

/// Rotary tables of as many positions as are in use, so that memory follows the work and not the number of positions
/// that a configuration allows. A table stays where it is when a longer one is made: recorded steps and graphs of a GPU
/// go on reading it. Lengths at least double, so all tables together are less than twice the last. Safe to use from
/// several threads.
template <class T, class Device>
class RotaryTables {
 public:
  RotaryTables(Index limit, std::vector<double> frequencies)
      : state_(std::make_unique<State>()), limit_(limit), frequencies_(std::move(frequencies)) {}

  /// A table of at least so many positions. Errors: index_out_of_range beyond the limit.
  [[nodiscard]] const RotaryTable<T, Device>& of(Index positions) const {
    if (positions > limit_) {
      throw Error(ErrorId::index_out_of_range, "rotary", "position", message("at most {} positions", limit_),
                  message("{}", positions));
    }
    const Lock lock(state_->mutex);
    auto& tables = state_->tables;
    const Index last = tables.empty() ? 0 : tables.back()->cosine.shape().rows();
    if (tables.empty() || positions > last) {
      const Index length = std::max<Index>(1, std::max(positions, std::min(limit_, 2 * last)));
      tables.push_back(std::make_unique<RotaryTable<T, Device>>(length, frequencies_));
    }
    return *tables.back();
  }
  [[nodiscard]] Index limit() const noexcept { return limit_; }
  /// Of all tables.
  [[nodiscard]] std::size_t bytes() const noexcept {
    const Lock lock(state_->mutex);
    std::size_t bytes = 0;
    for (const auto& table : state_->tables)
      bytes += static_cast<std::size_t>(table->cosine.size() + table->sine.size()) * sizeof(T);
    return bytes;
  }

 private:
  struct State {
    Mutex mutex;
    std::vector<std::unique_ptr<RotaryTable<T, Device>>> tables;
  };
  std::unique_ptr<State> state_;
  Index limit_;
  std::vector<double> frequencies_;
};

/// Queries and keys turn by an angle that grows with the position (Su et al., arXiv 2104.09864).
template <class T, class Device>
struct RotaryPositions {
  static constexpr bool rotary = true;
  static constexpr bool at_places = true;  ///< reads positions from the cache's places where it has some
  using Table = RotaryTable<master_t<T>, Device>;
  RotaryTables<master_t<T>, Device> tables;

  explicit RotaryPositions(const ModelConfig& c) : tables(c.max_position_embeddings, rotary_frequencies(c)) {}

  [[nodiscard]] Variable<T, Device> embed(Pass<T, Device>&, Variable<T, Device> h) const { return h; }
  /// With a cache each row stands behind what its sequence has seen.
  [[nodiscard]] Variable<T, Device> rotate(Pass<T, Device>& pass, Variable<T, Device> x, Index head_dim) const {
    if (pass.cache != nullptr) return rotate_rows(*pass.cache, x, head_dim);
    check_rank("rotary", "x", x.shape(), 3);
    return binllm::rotary(x, tables.of(x.shape()[1]), 0, head_dim);
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return tables.bytes(); }
  template <class V, class... Self>
  static void visit(V&&, Self&...) {}

 private:
  [[nodiscard]] Variable<T, Device> rotate_rows(const KeyValueCache<T, Device>& cache, Variable<T, Device> x,
                                                Index head_dim) const {
    const Index rows = x.shape()[0], tokens = x.shape()[1];
    cache.check_room(rows, tokens);
    Index end = 0;
    for (const Index sequence : cache.active()) end = std::max(end, cache.length(sequence) + tokens);
    // A table as long as the cache serves until that is full: decoding asks for no memory as it goes on.
    const Table& table = tables.of(std::max(end, std::min(cache.capacity(), tables.limit())));
    if constexpr (records<Device>) {
      if (cache.places() != nullptr) return rotary_at_places(x, table, cache.places(), head_dim);
    }
    return x.tape().template compute<T>(x.shape(), [=, &cache, &table](View<T, Device> out) {
      const auto seen = [&cache](Index b) { return cache.length(cache.active()[static_cast<std::size_t>(b)]); };
      for (Index first = 0, last = 0; first < rows; first = last) {  // neighbours of the same length turn together
        while (last < rows && seen(last) == seen(first)) ++last;
        const auto part = [=](auto view) {
          return view.middle_rows(first * tokens, (last - first) * tokens)
              .reshaped(Shape{last - first, tokens, view.cols()});
        };
        rotate_from(table, seen(first), head_dim, read(part(x.value())), part(out));
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
                  message("at most {} positions", positions), message("{}", first + count));
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
