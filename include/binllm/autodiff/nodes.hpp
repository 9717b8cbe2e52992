// SPDX-License-Identifier: MIT
/// Where the values and gradients of a tape's variables lie, and how a value that is absent is computed.
/// Private to the tape.
#pragma once
#include <binllm/autodiff/arena.hpp>
#include <binllm/core/error.hpp>
#include <binllm/core/view.hpp>

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace binllm::detail {

[[noreturn]] inline void refuse_forgotten_value() {
  throw Error(ErrorId::stale_variable, "Variable", "value", "a value that is kept, or whose computation is recorded",
              "one that was forgotten while nothing was recorded");
}
[[noreturn]] inline void refuse_used_gradient() {
  throw Error(ErrorId::not_recorded, "gradient", "variable", "a leaf, or a variable inside a backward step",
              "an intermediate whose gradient has been used up");
}

/// How a result is computed (again): the head of a ComputationOf, which lies in an arena.
struct Computation {
  static constexpr std::size_t most_inputs = 4;
  void (*run)(Computation*, void* to);
  std::array<std::uint32_t, most_inputs> inputs{};  // of a cheap one: the nodes whose values it reads
  std::uint32_t input_count = 0;                    // 0: not cheap, or nobody said so
};
template <class T, class D, class F>
struct ComputationOf : Computation {
  F fill;
  Shape shape;
  ComputationOf(const F& f, const Shape& s)
      : Computation{[](Computation* computation, void* to) {
          auto* self = static_cast<ComputationOf*>(computation);
          self->fill(View<T, D>(static_cast<T*>(to), self->shape));
        }},
        fill(f),
        shape(s) {}
};

struct Node {
  void* value = nullptr;  // null where it is yet to be computed, was forgotten, or has no elements
  void* adjoint = nullptr;
  Computation* computation = nullptr;
  bool* fresh = nullptr;  // of an external adjoint: its owner's mark that it holds nothing yet
  std::size_t bytes = 0;
  std::uint32_t stamp = 0;
  std::uint32_t source = 0;  // of an alias: the node that has the value
  bool needs_gradient = false;
  bool kept = false;       // a leaf: its adjoint lives as long as the node
  bool external = false;   // the adjoint belongs to somebody else
  bool returned = false;   // the adjoint has been used up by this backward
  bool alias = false;      // the value is another node's
  bool pooled = false;     // the value is a block of the pool
  bool recorded = false;   // it was made while the tape recorded
  bool forgotten = false;  // and goes back once the step of its op has run
  bool read = false;       // some backward step reads the value
};

/// The nodes of a tape in the order in which they were made, and the pool that their blocks come from.
template <class D>
class Nodes {
 public:
  [[nodiscard]] std::uint32_t add(Node node) {
    node.stamp = ++stamp_;
    nodes_.push_back(node);
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] Node& operator[](std::size_t index) noexcept { return nodes_[index]; }
  [[nodiscard]] bool alive(std::uint32_t index, std::uint32_t stamp) const noexcept {
    return index < nodes_.size() && nodes_[index].stamp == stamp;
  }
  [[nodiscard]] const SizeClassPool<D>& pool() const noexcept { return pool_; }

  /// The node that has the value of this one.
  [[nodiscard]] std::uint32_t source(std::uint32_t index) const noexcept {
    return nodes_[index].alias ? nodes_[index].source : index;
  }
  /// Where the value lies, computed if it was forgotten or deferred. Errors: stale_variable.
  [[nodiscard]] void* value(std::uint32_t index) {
    void* data = nodes_[index].value;
    return data != nullptr ? data : absent_value(source(index));
  }
  /// Memory for the value, whatever it holds.
  [[nodiscard]] void* room(std::uint32_t index) {
    Node& node = nodes_[source(index)];
    if (node.value == nullptr && node.pooled) node.value = pool_.take(node.bytes);
    return node.value;
  }
  /// Returns the value's block, unless backward may want the value and nothing can compute it.
  void forget(std::uint32_t index, bool recording) noexcept {
    Node& node = nodes_[index];
    const bool wanted = recording || node.recorded || node.needs_gradient;
    if (!node.pooled || (node.computation == nullptr && wanted)) return;
    node.forgotten = true;
    return_value(node);
  }
  /// Some backward step reads the value.
  void note_read(std::uint32_t index) noexcept { nodes_[source(index)].read = true; }
  /// The value is one pass over that of `input`, among others: rather computed again than kept.
  void note_cheap(std::uint32_t index, std::uint32_t input) noexcept {
    Computation* const computation = nodes_[index].computation;
    if (computation == nullptr) return;
    assert(computation->input_count < Computation::most_inputs);
    computation->inputs[computation->input_count++] = input;
  }
  /// The value has served in forward: the rule of a Stage.
  void settle(std::uint32_t index, bool recording) noexcept {
    const Node& node = nodes_[index];
    if (!node.pooled || node.value == nullptr) return;
    if (recording && node.read) {
      if (!computes_again(node, longest_chain)) return;
      for_each_input(node, [&](std::uint32_t input) { want(input); });
    }
    forget(index, recording);
  }
  /// The adjoint, taken at its first use; whether it is fresh, that is, holds nothing yet.
  /// Errors: not_recorded once it has been used up.
  struct Adjoint {
    void* data;
    bool fresh;
  };
  [[nodiscard]] Adjoint adjoint(std::uint32_t index) {
    Node& node = nodes_[index];
    if (node.returned) refuse_used_gradient();
    if (node.adjoint != nullptr) return {node.adjoint, node.fresh != nullptr && std::exchange(*node.fresh, false)};
    return {node.adjoint = pool_.take(node.bytes), true};
  }
  /// Whether both have one adjoint: two uses of one parameter have.
  [[nodiscard]] bool share_adjoint(std::uint32_t one, std::uint32_t other) const noexcept {
    return one == other || (nodes_[one].adjoint != nullptr && nodes_[one].adjoint == nodes_[other].adjoint);
  }
  /// Whether the adjoint of `from`, whose step is running, has become the first one of `to`, block and all.
  [[nodiscard]] bool hand_over(std::uint32_t from, std::uint32_t to) noexcept {
    Node &giver = nodes_[from], &taker = nodes_[to];
    const bool possible = giver.adjoint != nullptr && !giver.kept && taker.adjoint == nullptr && !taker.kept &&
                          !taker.returned && taker.bytes == giver.bytes;
    if (!possible) return false;
    taker.adjoint = std::exchange(giver.adjoint, nullptr);
    giver.returned = true;
    return true;
  }

  // ---- the walk of backward over nodes [first, end)
  void start_backward() noexcept {
    for (Node& node : nodes_) node.returned = false;
  }
  /// Whether a gradient has arrived at one of them.
  [[nodiscard]] bool reached(std::size_t first, std::size_t end) const noexcept {
    bool any = false;
    for (std::size_t i = first; i < end; ++i) any = any || (nodes_[i].adjoint != nullptr && !nodes_[i].kept);
    return any;
  }
  /// Their step has run: adjoints go back, and with them values that had been forgotten and were computed again.
  void return_used(std::size_t first, std::size_t end) noexcept {
    for (std::size_t i = first; i < end; ++i) {
      Node& node = nodes_[i];
      if (node.forgotten) return_value(node);
      if (node.kept || node.adjoint == nullptr) continue;
      pool_.give_back(std::exchange(node.adjoint, nullptr), node.bytes);
      node.returned = true;
    }
  }
  /// Drops all nodes from `size` on.
  void rewind(std::size_t size) noexcept {
    for (std::size_t i = size; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      if (node.adjoint != nullptr && !node.external) pool_.give_back(node.adjoint, node.bytes);
      if (node.pooled) return_value(node);
    }
    nodes_.resize(size);
  }

 private:
  [[nodiscard]] void* absent_value(std::uint32_t index) {
    const Node node = nodes_[index];  // a copy: who computes a value may make others
    if (node.value != nullptr || !node.pooled) return node.value;
    if (node.computation == nullptr) refuse_forgotten_value();
    void* data = pool_.take(node.bytes);
    try {
      node.computation->run(node.computation, data);
    } catch (...) {
      pool_.give_back(data, node.bytes);
      throw;
    }
    return nodes_[index].value = data;
  }

  /// So many cheap values are computed one inside the other at most.
  static constexpr int longest_chain = 4;

  template <class F>
  void for_each_input(const Node& node, const F& f) noexcept {
    for (std::uint32_t i = 0; i < node.computation->input_count; ++i) f(source(node.computation->inputs[i]));
  }
  /// Whether the value comes from one cheap pass over values that are there or, in turn, computed again.
  [[nodiscard]] bool computes_again(const Node& node, int chain) noexcept {
    if (chain == 0 || node.computation == nullptr || node.computation->input_count == 0) return false;
    bool possible = true;
    for_each_input(node, [&](std::uint32_t index) {
      const Node& input = nodes_[index];
      possible = possible && (!input.pooled || input.value != nullptr || computes_again(input, chain - 1));
    });
    return possible;
  }
  /// What is computed again reads this value, as a backward step would.
  void want(std::uint32_t index) noexcept {
    Node& node = nodes_[index];
    node.read = true;
    if (node.pooled && node.value == nullptr) for_each_input(node, [&](std::uint32_t input) { want(input); });
  }
  void return_value(Node& node) noexcept {
    if (node.value != nullptr) pool_.give_back(std::exchange(node.value, nullptr), node.bytes);
  }

  std::vector<Node> nodes_;
  SizeClassPool<D> pool_;
  std::uint32_t stamp_ = 0;
};

}  // namespace binllm::detail
