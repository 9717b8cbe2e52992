// SPDX-License-Identifier: MIT
/// A variable is a value on a tape: cheap to copy, owning nothing, refused once its tape has moved on.
#pragma once
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

/// A view of the value, and the node that knows its gradient.
/// Errors of every member that touches the tape: stale_variable after `reset` or after the end of its Mark.
template <class T, class D = Cpu>
class Variable {
 public:
  using Scalar = T;

  /// The computed value; writable, because the op that makes a variable fills it.
  [[nodiscard]] View<T, D> value() const {
    check_alive();
    return value_;
  }
  [[nodiscard]] const Shape& shape() const noexcept { return value_.shape; }
  [[nodiscard]] Tape<D>& tape() const noexcept { return *tape_; }
  [[nodiscard]] bool needs_gradient() const {
    check_alive();
    return tape_->nodes_[node_].needs_gradient;
  }
  /// d(result)/d(this), shaped like the value; an empty view if this variable wants none.
  /// After backward only leaves still have theirs; an intermediate's is refused (not_recorded).
  [[nodiscard]] View<T, D> gradient() const {
    if (!needs_gradient()) return {};
    return {static_cast<T*>(tape_->adjoint(node_)), value_.shape};
  }
  /// The same value and gradient with another shape of the same size, without copying.
  [[nodiscard]] Variable reshaped(Shape shape) const {
    check_alive();
    if (shape.size() != value_.size()) check_shape("reshaped", "shape", shape, value_.shape);
    Variable other = *this;
    other.value_.shape = shape;
    return other;
  }

 private:
  friend class Tape<D>;
  friend class Mark<D>;
  Variable(View<T, D> value, Tape<D>* tape, std::uint32_t node, std::uint32_t stamp)
      : value_(value), tape_(tape), node_(node), stamp_(stamp) {}

  void check_alive() const {
    if (!tape_->alive(node_, stamp_)) detail::refuse_stale_variable();
  }

  View<T, D> value_;
  Tape<D>* tape_;
  std::uint32_t node_, stamp_;
};

/// All arguments of an op must lie on one tape. Errors: foreign_tape.
template <class First, class... Rest>
void check_same_tape(std::string_view operation, const First& first, const Rest&... rest) {
  if (!((&rest.tape() == &first.tape()) && ...)) detail::refuse_foreign_tape(operation);
}

}  // namespace binllm
