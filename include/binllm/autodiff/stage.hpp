// SPDX-License-Identifier: MIT
/// Which values a module keeps: said by stages of its forward pass, decided by what ops declare.
#pragma once
#include <binllm/autodiff/variable.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace binllm {

/// The values that a tape makes from here on. `keep` ends a stage: all of them have served but for the named ones.
///   Stage stage(tape);
///   const auto q = query(x), k = key(x), v = value(x);
///   stage.keep(q, k, v);
///   return stage.keep(attention(q, k, v));
/// A value that has served
///   - where nothing is recorded, or no backward step reads it, goes: its memory serves others at once;
///   - stays if a backward step reads it,
///   - unless its op is cheap and all that it was computed from is there or in turn computed again: then it goes too,
///     and who reads it has it computed again, into memory that goes back after that step (`forget`).
/// Stages nest, like the modules that have them. What was made before a stage is somebody else's, and untouched; so are
/// leaves, parameters, borrowed values, what ops have saved, and recorded values of a few bytes.
template <class D>
class Stage {
 public:
  explicit Stage(Tape<D>& tape) : tape_(tape), first_(node_count()), next_(first_) {}
  /// A stage that a value made before belongs to.
  template <class T>
  Stage(Tape<D>& tape, const Variable<T, D>& taken) : Stage(tape) {
    named_[named_count_++] = name(taken);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  template <class T>
  Variable<T, D> keep(Variable<T, D> y) {
    settle(std::array{name(y)});
    return y;
  }
  template <class... T>
  void keep(const Variable<T, D>&... values) {
    settle(std::array<Name, sizeof...(T)>{name(values)...});
  }

 private:
  static constexpr std::size_t most_named = 8;
  struct Name {
    std::uint32_t node, stamp;
  };
  [[nodiscard]] std::uint32_t node_count() const noexcept { return static_cast<std::uint32_t>(tape_.nodes_.size()); }
  template <class T>
  [[nodiscard]] Name name(const Variable<T, D>& x) const {
    x.check_alive();
    const std::uint32_t node = tape_.nodes_.source(x.node_);
    return {node, tape_.nodes_[node].stamp};
  }
  /// Settles what was named last time and what was made since.
  template <std::size_t count>
  void settle(const std::array<Name, count>& kept) noexcept {
    static_assert(count <= most_named, "name fewer values");
    const auto is_in = [](const auto& names, std::size_t size, std::uint32_t node) {
      return std::any_of(names.begin(), names.begin() + size, [&](const Name& name) { return name.node == node; });
    };
    std::array<Name, most_named> still{};
    std::size_t still_count = 0;
    for (const Name& name : kept) {
      if (name.node >= first_ || is_in(named_, named_count_, name.node)) still[still_count++] = name;
    }
    const auto serve = [&](std::uint32_t node) {
      if (!is_in(kept, count, node)) tape_.nodes_.settle(node, tape_.recording());
    };
    for (std::size_t i = 0; i < named_count_; ++i) {
      if (tape_.nodes_.alive(named_[i].node, named_[i].stamp)) serve(named_[i].node);
    }
    const std::uint32_t end = node_count();
    for (std::uint32_t node = next_; node < end; ++node) serve(node);
    next_ = end, named_ = still, named_count_ = still_count;
  }

  Tape<D>& tape_;
  std::uint32_t first_, next_;  // the first node of the stage, and the first that is not settled
  std::array<Name, most_named> named_{};
  std::size_t named_count_ = 0;
};

}  // namespace binllm
