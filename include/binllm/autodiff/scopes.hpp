// SPDX-License-Identifier: MIT
/// Scopes on a tape: without recording, regions, and working memory.
/// Code that uses them includes <binllm/autodiff/variable.hpp>.
#pragma once
#include <binllm/autodiff/tape.hpp>

#include <utility>

namespace binllm {

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

  /// Ends what the region holds so far but for the value of `y`, which survives the mark. A result of the region hands
  /// over its memory; what lies elsewhere is copied.
  template <class T>
  [[nodiscard]] Variable<T, D> keep(Variable<T, D> y) {
    const View<T, D> value = y.value();
    auto& node = tape_.nodes_[y.node_];
    const bool handed_over = node.pooled && y.node_ >= start_.nodes;
    if (handed_over) node.value = nullptr;
    tape_.rewind(start_);
    auto kept = handed_over ? tape_.template adopt<T>(value) : tape_.template make<T>(value.shape);
    if (!handed_over)
      Backend<D>::copy(kept.value().data, value.data, static_cast<std::size_t>(value.size()) * sizeof(T));
    start_ = tape_.position();
    return kept;
  }
  /// Plays the backward steps recorded since the mark, starting from `dy` as the gradient of `y`.
  template <class T>
  void backward(Variable<T, D> y, View<const T, D> dy) {
    if (!y.needs_gradient()) return;
    Kernel<Accumulate, D>::forward(dy, y.incoming());
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
