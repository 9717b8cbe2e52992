// SPDX-License-Identifier: MIT
/// The tape: values and backward steps of one forward pass, in the order in which they were made.
/// Nothing owns anything backwards: no cycles, no reference counts, no recursion, no global.
/// Code that records includes <binllm/autodiff/variable.hpp>.
#pragma once
#include <binllm/autodiff/arena.hpp>
#include <binllm/autodiff/fresh_gradients.hpp>
#include <binllm/autodiff/nodes.hpp>
#include <binllm/autodiff/parameter.hpp>
#include <binllm/core/check.hpp>
#include <binllm/device/assign.hpp>

#include <cstdint>
#include <initializer_list>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace binllm {

template <class T, class Device>
class Variable;

/// Hears how far a round of a tape has come. Steps count from 0 in the order in which forward records them: backward has
/// added all there is to the gradient of a parameter once it has passed the step that was to come when the parameter was
/// first used. (What a recomputed region uses, the step of that region passes.)
class TapeObserver {
 public:
  virtual ~TapeObserver() = default;
  /// This parameter becomes an op's argument; `step` comes next. Its values are not read before.
  virtual void used(const void* parameter, std::size_t step) = 0;
  /// Backward has run all steps from this one on.
  virtual void passed(std::size_t step) = 0;
};

/// Records ops on a device and plays their backward steps in reverse. Values of several scalar types share one tape.
///
/// Memory: the results of ops lie in blocks of a pool, which `reset` takes back and keeps. A result that was forgotten
/// gives its block back at once; who reads it later has it computed again, into a block that is returned as soon as the
/// step of its op has run. The adjoint of a value comes from the same pool, at its first use in backward, zero, and
/// goes back in the same way, so backward holds few at a time. Leaves, what ops save besides their results, and working
/// memory lie in an arena. Closures are copied into host memory and never destroyed, hence must be trivially
/// destructible.
template <class D = Cpu>
class Tape {
 public:
  using Closure = void (*)(void*);

  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  ~Tape() { reset(); }

  // ---- making variables
  /// The result of an op, written at once by `fill(View<T, D>)`. While the tape records, a copy of `fill` is kept, so
  /// that the value can be forgotten and computed again: what it captures must stay readable for the tape's round.
  /// (Values of at most `not_worth_forgetting` bytes are smaller than that copy; they stay.)
  template <class T, class F>
  [[nodiscard]] Variable<T, D> compute(const Shape& shape, const F& fill) {
    const auto y = unfilled<T>(shape, fill, bytes_of<T>(shape) > not_worth_forgetting);
    fill(y.room());
    return y;
  }
  static constexpr std::size_t not_worth_forgetting = 256;
  /// The same, but while the tape records `fill` does not run before the value is asked for. A backward step that has
  /// the value at hand writes it to `room()` instead.
  template <class T, class F>
  [[nodiscard]] Variable<T, D> deferred(const Shape& shape, const F& fill) {
    return recording_ ? unfilled<T>(shape, fill, true) : compute<T>(shape, fill);
  }
  /// Uninitialised memory from the arena, until `reset`: what an op saves besides its result.
  template <class T>
  [[nodiscard]] Variable<T, D> make(Shape shape) {
    return bind(View<T, D>(static_cast<T*>(values_.allocate(bytes_of<T>(shape))), shape), {});
  }
  /// A leaf that wants a gradient, with the values copied from host memory. Its gradient lives until `reset`.
  template <class T>
  [[nodiscard]] Variable<T, D> variable(View<const T> values) {
    auto leaf = constant(values);
    nodes_[leaf.node_].needs_gradient = recording_;
    nodes_[leaf.node_].kept = true;
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
    Backend<D>::copy(leaf.value().data, values.data, static_cast<std::size_t>(values.size()) * sizeof(T));
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
  template <class T>
  [[nodiscard]] Variable<T, D> borrow(View<const T, D> value) {
    return bind(View<T, D>(const_cast<T*>(value.data), value.shape), {});  // nobody writes to a value that is borrowed
  }
  /// A parameter as an op's argument: its gradient is the parameter's own and persists across tapes. It is added to, or
  /// written where it is expected anew (`expect`).
  template <class T>
  [[nodiscard]] Variable<T, D> use(const Parameter<T, D>& parameter) {
    if (observer_ != nullptr) observer_->used(&parameter, steps_.size());
    Node node;
    node.adjoint = parameter.gradient.data;
    node.kept = node.external = true;
    node.needs_gradient = recording_ && parameter.gradient;
    if (node.needs_gradient && fresh_ != nullptr)
      node.fresh = fresh_->find(parameter.gradient.data, bytes_of<T>(parameter.shape()));
    return bind(parameter.value, node);
  }
  /// The same value and the same adjoint under a new node: how a recomputed region reads its input.
  template <class T>
  [[nodiscard]] Variable<T, D> alias(Variable<T, D> x) {
    Node node;
    node.adjoint = recording_ && x.needs_gradient() ? x.gradient().data : nullptr;
    node.kept = node.external = node.alias = true;
    node.needs_gradient = node.adjoint != nullptr;
    node.source = nodes_.source(x.node_);
    return bind<T>(node, x.shape());
  }

  // ---- recording
  [[nodiscard]] bool recording() const noexcept { return recording_; }
  /// Registers the backward step of the op that made `y`. It runs only if a gradient has reached `y` and some input
  /// wants one; it reads `y.gradient()` and adds to the inputs' gradients. It is taken to read the values of `y` and of
  /// all inputs; `operation` knows better, and is what ops use.
  template <class T, class F, class... Inputs>
  void on_backward(Variable<T, D>& y, const F& step, const Inputs&... inputs) {
    if (!recording_ || !(inputs.needs_gradient() || ...)) return;
    record(y, step);
    const auto note = [](Tape& tape, const auto& x) {  // nvcc cannot ask `this` in a lambda
      if constexpr (requires { tape.reads(x); }) tape.reads(x);
    };
    note(*this, y), (note(*this, inputs), ...);
  }
  /// The step alone: what it reads is said by `reads`.
  template <class T, class F>
  void record(const Variable<T, D>& y, const F& step) {
    static_assert(std::is_trivially_destructible_v<F>, "a backward step may capture views, variables and scalars only");
    nodes_[y.node_].needs_gradient = true;
    steps_.push_back({[](void* closure) { (*static_cast<F*>(closure))(); }, new (closures_.allocate(sizeof(F))) F(step),
                      static_cast<std::uint32_t>(nodes_.size())});
  }
  /// Some backward step reads the value of x: a Stage keeps it, or has it computed again.
  template <class T>
  void reads(const Variable<T, D>& x) noexcept {
    nodes_.note_read(x.node_);
  }
  /// y is one pass over the values of x and of what else it is said of: a Stage rather has it computed again than kept,
  /// where all of them are there.
  template <class T, class X>
  void cheap(const Variable<T, D>& y, const Variable<X, D>& x) noexcept {
    nodes_.note_cheap(y.node_, x.node_);
  }

  // ---- backward
  /// d y / d everything, times `seed`, added to the gradients of leaves and parameters. y has one element.
  /// Errors: not_scalar, not_recorded (nothing that y depends on wants a gradient), stale_variable; and those of the
  /// steps, after which the round is lost: reset.
  template <class T>
  void backward(Variable<T, D> y, std::type_identity_t<T> seed = T(1)) {
    const bool recorded = y.needs_gradient();
    if (y.shape().size() != 1) throw Error(ErrorId::not_scalar, "backward", "y", "one element", to_string(y.shape()));
    if (!recorded)
      throw Error(ErrorId::not_recorded, "backward", "y", "a recorded dependency on a leaf or parameter", "none");
    nodes_.start_backward();
    Kernel<Fill, D>::forward(seed, y.incoming());
    run_steps(0);
  }

  /// Forgets all variables and steps; keeps the memory. Variables made before are stale from now on.
  void reset() noexcept { rewind({}); }

  /// Bytes that values, adjoints and working memory have asked of the device.
  [[nodiscard]] std::size_t value_bytes() const noexcept { return values_.capacity() + nodes_.pool().capacity(); }
  /// Bytes of results and adjoints that are held at present, and the most that were held at once so far.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return nodes_.pool().held(); }
  [[nodiscard]] std::size_t peak_bytes() const noexcept { return nodes_.pool().most_held(); }
  [[nodiscard]] std::size_t step_count() const noexcept { return steps_.size(); }
  /// One at a time, for as long as it lives; null: none.
  void observe(TapeObserver* observer) noexcept { observer_ = observer; }
  /// Parameters whose gradients may hold nothing yet, for as long as the list lives; null: none may.
  void expect(FreshGradients<D>* gradients) noexcept { fresh_ = gradients; }

 private:
  template <class, class>
  friend class Variable;
  template <class>
  friend class Mark;
  template <class>
  friend class NoGrad;
  template <class, class>
  friend class Temporary;
  template <class>
  friend class Stage;

  using Node = detail::Node;
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
  [[nodiscard]] static std::size_t bytes_of(const Shape& shape) noexcept {
    return static_cast<std::size_t>(shape.size()) * sizeof(T);
  }
  template <class T>
  [[nodiscard]] Variable<T, D> bind(View<T, D> value, Node node) {
    node.value = value.data;
    return bind<T>(node, value.shape);
  }
  template <class T>
  [[nodiscard]] Variable<T, D> bind(Node node, const Shape& shape) {
    node.bytes = bytes_of<T>(shape);
    const std::uint32_t index = nodes_.add(node);
    return Variable<T, D>(shape, this, index, nodes_[index].stamp);
  }
  /// A block of the pool, whose value nobody can compute again, under a node of its own.
  template <class T>
  [[nodiscard]] Variable<T, D> adopt(View<T, D> block) {
    Node node;
    node.pooled = true;
    return bind(block, node);
  }
  /// A result without memory yet, and how it is computed if the tape records and that is wanted.
  template <class T, class F>
  [[nodiscard]] Variable<T, D> unfilled(const Shape& shape, const F& fill, bool again) {
    static_assert(std::is_trivially_destructible_v<F>, "a fill may capture views, variables and scalars only");
    using Computation = detail::ComputationOf<T, D, F>;
    Node node;
    node.pooled = true;
    node.recorded = recording_;
    if (recording_ && again) node.computation = new (closures_.allocate(sizeof(Computation))) Computation(fill, shape);
    return bind<T>(node, shape);
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

  void run_steps(std::size_t base) {
    for (std::size_t i = steps_.size(); i-- > base;) {
      const Step step = steps_[i];  // a copy: a recomputed region records more steps meanwhile
      const std::size_t first = i == 0 ? 0 : steps_[i - 1].node_end;
      if (nodes_.reached(first, step.node_end)) step.run(step.closure);
      nodes_.return_used(first, step.node_end);
      if (base == 0 && observer_ != nullptr) observer_->passed(i);
    }
  }
  [[nodiscard]] Position position() const noexcept {
    return {values_.position(), closures_.position(), nodes_.size(), steps_.size()};
  }
  void rewind(const Position& to) noexcept {
    nodes_.rewind(to.nodes);
    steps_.resize(to.steps);
    values_.rewind(to.values);
    closures_.rewind(to.closures);
  }

  Arena<D> values_;
  Arena<Cpu> closures_;
  detail::Nodes<D> nodes_;
  std::vector<Step> steps_;
  TapeObserver* observer_ = nullptr;
  FreshGradients<D>* fresh_ = nullptr;
  bool recording_ = true;
};

}  // namespace binllm
