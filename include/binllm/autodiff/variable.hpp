// SPDX-License-Identifier: MIT
/// A variable is a value on a tape: cheap to copy, owning nothing, refused once its tape has moved on.
#pragma once
#include <binllm/autodiff/scopes.hpp>
#include <binllm/autodiff/tape.hpp>

namespace binllm {

namespace detail {
[[noreturn]] inline void refuse_stale_variable() {
  throw Error(ErrorId::stale_variable, "Variable", "this", "a variable of the tape's present round",
              "one from before a reset or outside its Mark");
}
[[noreturn]] inline void refuse_foreign_tape(std::string_view operation) {
  throw Error(ErrorId::foreign_tape, operation, "arguments", "variables of one tape", "variables of two tapes");
}
}  // namespace detail

/// The shape of a value, and the node that knows where the value and its gradient lie.
/// Errors of every member that touches the tape: stale_variable after `reset` or after the end of its Mark.
template <class T, class D = Cpu>
class Variable {
 public:
  using Scalar = T;

  /// The value; computed now if it was forgotten or deferred. The view holds until the value is forgotten, or until the
  /// backward step of its op has run if it was forgotten before. Errors: stale_variable if it was forgotten while
  /// nothing was recorded.
  [[nodiscard]] View<T, D> value() const {
    check_alive();
    return {static_cast<T*>(tape_->nodes_.value(node_)), shape_};
  }
  /// Memory of the value, whatever it holds, for who writes all of it: from now on it counts as computed.
  [[nodiscard]] View<T, D> room() const {
    check_alive();
    return {static_cast<T*>(tape_->nodes_.room(node_)), shape_};
  }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] Tape<D>& tape() const noexcept { return *tape_; }
  [[nodiscard]] bool needs_gradient() const {
    check_alive();
    return tape_->nodes_[node_].needs_gradient;
  }
  /// d(result)/d(this), shaped like the value, zeros at first; an empty view if this variable wants none.
  /// After backward only leaves still have theirs; an intermediate's is refused (not_recorded).
  [[nodiscard]] View<T, D> gradient() const { return incoming().zeroed(); }
  /// The same for a backward step that adds to it: where it is fresh, the step has to write all of it.
  [[nodiscard]] Gradient<T, D> incoming() const {
    if (!needs_gradient()) return {};
    const auto adjoint = tape_->nodes_.adjoint(node_);
    return {View<T, D>(static_cast<T*>(adjoint.data), shape_), adjoint.fresh};
  }
  /// Adds this result's gradient to that of x, which is a term of it: the last thing that its step does. Where x has
  /// none yet, the block changes hands and nothing is computed.
  void pass_gradient(const Variable& x) const {
    if (!x.needs_gradient() || tape_->nodes_.hand_over(node_, x.node_)) return;
    Kernel<Accumulate, D>::forward(View<const T, D>(gradient()), x.incoming());
  }
  /// The same value and gradient with another shape of the same size, without copying.
  [[nodiscard]] Variable reshaped(Shape shape) const {
    check_alive();
    if (shape.size() != shape_.size()) check_shape("reshaped", "shape", shape, shape_);
    Variable other = *this;
    other.shape_ = shape;
    return other;
  }
  /// Whether both stand for one value and one gradient, in whatever shape.
  [[nodiscard]] bool is(const Variable& other) const noexcept {
    return tape_ == other.tape_ && node_ == other.node_ && stamp_ == other.stamp_;
  }
  /// Its number on the tape.
  [[nodiscard]] std::uint32_t node() const noexcept { return node_; }
  /// Whether the variable of that number adds to the same gradient: it is this one, or another use of its parameter.
  [[nodiscard]] bool shares_gradient(std::uint32_t node) const noexcept {
    return tape_->nodes_.share_adjoint(node_, node);
  }
  /// See the free function.
  void forget() const {
    check_alive();
    tape_->nodes_.forget(node_, tape_->recording());
  }

 private:
  friend class Tape<D>;
  friend class Mark<D>;
  template <class>
  friend class Stage;
  Variable(const Shape& shape, Tape<D>* tape, std::uint32_t node, std::uint32_t stamp)
      : shape_(shape), tape_(tape), node_(node), stamp_(stamp) {}

  void check_alive() const {
    if (!tape_->nodes_.alive(node_, stamp_)) detail::refuse_stale_variable();
  }

  Shape shape_;
  Tape<D>* tape_;
  std::uint32_t node_, stamp_;
};

/// The values have served: their memory is returned at once. (Modules say so with a Stage, which knows what backward
/// reads; this is what it is written on.) Where the tape records, who asks for such a value later,
/// usually a backward step, has it computed again; that may go through other forgotten values, one inside the other, so
/// a long chain of ops should keep a value here and there. Where it does not record, the value is gone.
/// Leaves, parameters, borrowed and aliased values, what an op has saved, recorded values of a few bytes, and recorded
/// results of a recomputed region stay as they are. Errors: stale_variable.
template <class... T, class D>
void forget(const Variable<T, D>&... values) {
  (values.forget(), ...);
}
/// The same for values that backward reads: only where the tape does not record.
template <class... T, class D>
void forget_unless_recording(const Variable<T, D>&... values) {
  const auto one = [](const auto& value) {
    if (!value.tape().recording()) value.forget();
  };
  (one(values), ...);
}

/// All arguments of an op must lie on one tape. Errors: foreign_tape.
template <class First, class... Rest>
void check_same_tape(std::string_view operation, const First& first, const Rest&... rest) {
  if (!((&rest.tape() == &first.tape()) && ...)) detail::refuse_foreign_tape(operation);
}

}  // namespace binllm
