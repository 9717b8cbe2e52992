// SPDX-License-Identifier: MIT
/// The tape: values and backward steps of one forward pass, in the order in which they were made.
/// Nothing owns anything backwards: no cycles, no reference counts, no recursion, no global.
/// Code that records includes <binllm/autodiff/variable.hpp>.
#pragma once
#include <binllm/autodiff/arena.hpp>
#include <binllm/autodiff/parameter.hpp>
#include <binllm/core/check.hpp>

#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <vector>

namespace binllm {

template <class T, class Device>
class Variable;

/// Records ops on a device and plays their backward steps in reverse. Values of several scalar types share one tape.
///
/// Memory: values lie in an arena that `reset` rewinds and keeps. The adjoint of a value is taken at its first use in
/// backward, zero, and returned as soon as the step that produced the value has run, so backward holds few at a time.
/// Closures are copied into host memory and never destroyed, hence must be trivially destructible.
template <class D = Cpu>
class Tape {
 public:
  using Closure = void (*)(void*);

  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  ~Tape() { release_adjoints(0); }

  // ---- making variables
  /// An uninitialised result of an op, of the given shape.
  template <class T>
  [[nodiscard]] Variable<T, D> make(Shape shape) {
    return bind(
        View<T, D>(static_cast<T*>(values_.allocate(static_cast<std::size_t>(shape.size()) * sizeof(T))), shape), {});
  }
  /// A leaf that wants a gradient, with the values copied from host memory. Its gradient lives until `reset`.
  template <class T>
  [[nodiscard]] Variable<T, D> variable(View<const T> values) {
    auto leaf = constant(values);
    nodes_[static_cast<std::size_t>(leaf.node_)].needs_gradient = recording_;
    nodes_[static_cast<std::size_t>(leaf.node_)].kept = true;
    return leaf;
  }
  template <class T>
  [[nodiscard]] Variable<T, D> variable(std::initializer_list<std::initializer_list<T>> rows) {
    const Tensor<T> values = matrix_of(rows);
    return variable(values.view());
  }
  /// A leaf without gradient, with the values copied from host memory.
  template <class T>
  [[nodiscard]] Variable<T, D> constant(View<const T> values) {
    auto leaf = make<T>(values.shape);
    Backend<D>::copy(leaf.value_.data, values.data, static_cast<std::size_t>(values.size()) * sizeof(T));
    return leaf;
  }
  template <class T>
  [[nodiscard]] Variable<T, D> constant(std::initializer_list<std::initializer_list<T>> rows) {
    const Tensor<T> values = matrix_of(rows);
    return constant(values.view());
  }
  /// Memory of somebody else as a value without gradient, not copied; it must outlive the round.
  template <class T>
  [[nodiscard]] Variable<T, D> borrow(View<T, D> value) {
    return bind(value, {});
  }
  /// A parameter as an op's argument: its gradient is the parameter's own and persists across tapes.
  template <class T>
  [[nodiscard]] Variable<T, D> use(const Parameter<T, D>& parameter) {
    Node node;
    node.adjoint = parameter.gradient.data;
    node.kept = node.external = true;
    node.needs_gradient = recording_ && parameter.gradient;
    return bind(parameter.value, node);
  }
  /// The same value and the same adjoint under a new node: how a recomputed region reads its input.
  template <class T>
  [[nodiscard]] Variable<T, D> alias(Variable<T, D> x) {
    Node node;
    node.adjoint = x.needs_gradient() ? x.gradient().data : nullptr;
    node.kept = node.external = true;
    node.needs_gradient = recording_ && node.adjoint != nullptr;
    return bind(x.value_, node);
  }

  // ---- recording
  [[nodiscard]] bool recording() const noexcept { return recording_; }
  /// Registers the backward step of the op that made `y`. It runs only if a gradient has reached `y` and some input
  /// wants one; it reads `y.gradient()` and adds to the inputs' gradients.
  template <class T, class F, class... Inputs>
  void on_backward(Variable<T, D>& y, F step, const Inputs&... inputs) {
    static_assert(std::is_trivially_destructible_v<F>, "a backward step may capture views, variables and scalars only");
    if (!recording_ || !(inputs.needs_gradient() || ...)) return;
    nodes_[static_cast<std::size_t>(y.node_)].needs_gradient = true;
    void* memory = closures_.allocate(sizeof(F));
    steps_.push_back({[](void* closure) { (*static_cast<F*>(closure))(); }, new (memory) F(step),
                      static_cast<std::uint32_t>(nodes_.size())});
  }

  // ---- backward
  /// d y / d everything, times `seed`, added to the gradients of leaves and parameters. y has one element.
  /// Errors: not_scalar, not_recorded (nothing that y depends on wants a gradient), stale_variable.
  template <class T>
  void backward(Variable<T, D> y, std::type_identity_t<T> seed = T(1)) {
    if (y.value().size() != 1) throw Error(ErrorId::not_scalar, "backward", "y", "one element", to_string(y.shape()));
    if (!y.needs_gradient())
      throw Error(ErrorId::not_recorded, "backward", "y", "a recorded dependency on a leaf or parameter", "none");
    for (Node& node : nodes_) node.returned = false;
    const auto top = values_.position();
    const View<T, D> start(static_cast<T*>(values_.allocate(sizeof(T))), y.shape());
    Backend<D>::copy(start.data, &seed, sizeof(T));
    Backend<D>::template map<Write::accumulate>(y.gradient(), formula::Identity{}, elements(start));
    values_.rewind(top);
    run_steps(0);
  }

  /// Forgets all variables and steps; keeps the memory. Variables made before are stale from now on.
  void reset() noexcept { rewind({}); }

  /// Bytes of values that the arena has asked of the device.
  [[nodiscard]] std::size_t value_bytes() const noexcept { return values_.capacity(); }
  [[nodiscard]] std::size_t step_count() const noexcept { return steps_.size(); }

 private:
  template <class, class>
  friend class Variable;
  template <class>
  friend class Mark;
  template <class>
  friend class NoGrad;
  template <class, class>
  friend class Temporary;

  struct Node {
    void* adjoint = nullptr;
    std::size_t bytes = 0;
    std::uint32_t stamp = 0;
    bool needs_gradient = false;
    bool kept = false;      // a leaf: its adjoint lives as long as the node
    bool external = false;  // the adjoint belongs to somebody else
    bool returned = false;  // the adjoint has been used up by this backward
  };
  struct Step {
    Closure run;
    void* closure;
    std::uint32_t node_end;
  };
  struct Position {
    typename Arena<D>::Position values;
    Arena<Cpu>::Position closures;
    std::size_t nodes = 0, steps = 0;
  };

  template <class T>
  [[nodiscard]] Variable<T, D> bind(View<T, D> value, Node node) {
    node.bytes = static_cast<std::size_t>(value.size()) * sizeof(T);
    node.stamp = ++stamp_;
    nodes_.push_back(node);
    return Variable<T, D>(value, this, static_cast<std::uint32_t>(nodes_.size() - 1), node.stamp);
  }
  template <class T>
  [[nodiscard]] static Tensor<T> matrix_of(std::initializer_list<std::initializer_list<T>> rows) {
    const Index cols = rows.size() == 0 ? 0 : static_cast<Index>(rows.begin()->size());
    Tensor<T> values(Shape{static_cast<Index>(rows.size()), cols});
    T* next = values.view().data;
    for (const auto& row : rows) {
      check_shape("Tape", "row", Shape{static_cast<Index>(row.size())}, Shape{cols});
      for (const T value : row) *next++ = value;
    }
    return values;
  }

  [[nodiscard]] bool alive(std::uint32_t node, std::uint32_t stamp) const noexcept {
    return node < nodes_.size() && nodes_[node].stamp == stamp;
  }
  /// The adjoint of a node, taken and zeroed at its first use.
  [[nodiscard]] void* adjoint(std::uint32_t index) {
    Node& node = nodes_[index];
    if (node.returned) {
      throw Error(ErrorId::not_recorded, "gradient", "variable", "a leaf, or a variable inside a backward step",
                  "an intermediate whose gradient has been used up");
    }
    if (node.adjoint == nullptr) {
      node.adjoint = adjoints_.take(node.bytes);
      Backend<D>::zero(node.adjoint, node.bytes);
    }
    return node.adjoint;
  }
  void run_steps(std::size_t base) {
    for (std::size_t i = steps_.size(); i-- > base;) {
      const Step step = steps_[i];  // a copy: a recomputed region records more steps meanwhile
      const std::size_t first = i == 0 ? 0 : steps_[i - 1].node_end;
      bool reached = false;
      for (std::size_t node = first; node < step.node_end; ++node)
        reached = reached || (nodes_[node].adjoint != nullptr && !nodes_[node].kept);
      if (reached) step.run(step.closure);
      for (std::size_t node = first; node < step.node_end; ++node) return_adjoint(nodes_[node]);
    }
  }
  void return_adjoint(Node& node) {
    if (node.kept || node.adjoint == nullptr) return;
    adjoints_.give_back(node.adjoint, node.bytes);
    node.adjoint = nullptr;
    node.returned = true;
  }
  void release_adjoints(std::size_t first) noexcept {
    for (std::size_t i = first; i < nodes_.size(); ++i) {
      if (nodes_[i].adjoint != nullptr && !nodes_[i].external) adjoints_.give_back(nodes_[i].adjoint, nodes_[i].bytes);
    }
  }
  [[nodiscard]] Position position() const noexcept {
    return {values_.position(), closures_.position(), nodes_.size(), steps_.size()};
  }
  void rewind(const Position& to) noexcept {
    release_adjoints(to.nodes);
    nodes_.resize(to.nodes);
    steps_.resize(to.steps);
    values_.rewind(to.values);
    closures_.rewind(to.closures);
  }

  Arena<D> values_;
  Arena<Cpu> closures_;
  SizeClassPool<D> adjoints_;
  std::vector<Node> nodes_;
  std::vector<Step> steps_;
  std::uint32_t stamp_ = 0;
  bool recording_ = true;
};

/// While it lives, ops on the tape record nothing.
template <class D>
class NoGrad {
 public:
  explicit NoGrad(Tape<D>& tape) : tape_(tape), before_(std::exchange(tape.recording_, false)) {}
  ~NoGrad() { tape_.recording_ = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape<D>& tape_;
  bool before_;
};

/// A region of the tape: what is made while it lives is forgotten, and its memory reused, when it ends. Regions nest.
template <class D>
class Mark {
 public:
  explicit Mark(Tape<D>& tape) : tape_(tape), start_(tape.position()) {}
  ~Mark() { tape_.rewind(start_); }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  /// Ends what the region holds so far but moves the value of `y` down to its start, where it survives the mark.
  template <class T>
  [[nodiscard]] Variable<T, D> keep(Variable<T, D> y) {
    const View<T, D> value = y.value_;
    tape_.rewind(start_);
    auto kept = tape_.template make<T>(value.shape);
    Backend<D>::copy(kept.value_.data, value.data, static_cast<std::size_t>(value.size()) * sizeof(T));
    start_ = tape_.position();
    return kept;
  }
  /// Plays the backward steps recorded since the mark, starting from `dy` as the gradient of `y`.
  template <class T>
  void backward(Variable<T, D> y, View<const T, D> dy) {
    if (!y.needs_gradient()) return;
    Backend<D>::template map<Write::accumulate>(y.gradient(), formula::Identity{}, elements(dy));
    tape_.run_steps(start_.steps);
  }

 private:
  Tape<D>& tape_;
  typename Tape<D>::Position start_;
};

/// Memory for the length of a kernel, from the top of the tape's arena.
template <class T, class D>
class Temporary {
 public:
  Temporary(Tape<D>& tape, Shape shape) : tape_(tape), start_(tape.values_.position()) {
    view_ = {static_cast<T*>(tape.values_.allocate(static_cast<std::size_t>(shape.size()) * sizeof(T))), shape};
  }
  ~Temporary() { tape_.values_.rewind(start_); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  [[nodiscard]] View<T, D> view() const noexcept { return view_; }

 private:
  Tape<D>& tape_;
  typename Arena<D>::Position start_;
  View<T, D> view_;
};

}  // namespace binllm
