// SPDX-License-Identifier: MIT
/// Regions whose inner values are dropped after forward and computed again in backward: memory for time.
/// (Griewank and Walther, "Algorithm 799: revolve", 2000; Chen et al., arXiv 1604.06174.)
#pragma once
#include <binllm/autodiff/variable.hpp>

namespace binllm {

/// y = f(x), keeping only y. Backward runs f once more, recorded, and plays it back.
/// f: Variable -> Variable, pure, with captures that outlive the tape's round; parameters that it uses get their
/// gradients.
template <class F, class T, class D>
[[nodiscard]] Variable<T, D> recompute(F f, Variable<T, D> x) {
  Tape<D>& tape = x.tape();
  Variable<T, D> y = [&] {
    Mark<D> region(tape);
    const NoGrad<D> pause(tape);
    return region.keep(f(tape.alias(x)));  // an alias, which f cannot forget
  }();
  const struct {
    [[nodiscard]] bool needs_gradient() const { return true; }
  } parameters_inside;
  tape.on_backward(
      y,
      [f, x, y] {
        const View<const T, D> dy = y.gradient();
        Mark<D> region(x.tape());
        region.backward(f(x.tape().alias(x)), dy);
      },
      parameters_inside);
  if (tape.recording()) tape.reads(x);  // by the steps that backward will record
  return y;
}

}  // namespace binllm
