// SPDX-License-Identifier: MIT
/// How an op is written down: one declaration of what its kernel is given, forward and backward.
///
///   return operation<Softmax>("softmax", x.shape(),
///                             forward(x, rows),
///                             backward(result_value, result_gradient, rows, gradient(x)));
///
/// calls Kernel<Softmax, Device>::forward(x, rows, y) now, and records backward(y, dy, rows, dx). In a list stand
///
///   x                 a variable: its value, to read
///   result_value      the op's own value, and
///   result_gradient   its gradient
///   gradient(x)       the gradient of x, to add to: zeros at first; an empty view if x wants none
///   incoming(x)       the same as a Gradient, which may be fresh: the kernel then writes all of it
///   working<M>(shape) memory for the length of the kernel
///   filled(s)         a variable made by `saved`, which forward writes; backward reads it as s
///   value_if(c, x)    the value of x where c holds, else an empty view
///   on_tape           a pointer to the tape, for kernels that have more to compute
///   anything else     itself: numbers, views, options
///
/// and after the lists
///
///   passing_to(r)     r is a term of the result, and its gradient the result's
///
/// Arguments are made ready from left to right. Values stand first: those that have to be computed again are so before
/// working memory is taken. Two gradients of one variable, or of two uses of one parameter, are not fresh, so kernels
/// may add in any order.
///
/// From the lists the tape knows which inputs want a gradient and which values backward reads (autodiff/stage.hpp). An
/// op that is one pass over its arguments says so: `static constexpr bool cheap = true`.
#pragma once
#include <binllm/autodiff/arguments.hpp>
#include <binllm/device/kernel.hpp>

#include <string_view>
#include <type_traits>

namespace binllm {

/// An op without backward: nothing is recorded. The result's scalar type is that of the first variable, unless T says
/// another. Errors: foreign_tape.
template <class Op, class T = void, class Forward>
[[nodiscard]] auto operation(std::string_view name, const Shape& shape, const Forward& list) {
  using D = typename Forward::Device;
  using Y = std::conditional_t<std::is_void_v<T>, typename Forward::Scalar, T>;
  Tape<D>* tape = nullptr;
  list.apply([&](const auto&... argument) {
    const auto check = [&](const auto& x) {
      if (tape != nullptr && tape != &x.tape()) detail::refuse_foreign_tape(name);
      tape = &x.tape();
    };
    (detail::each_value(argument, check), ...);
  });
  const Variable<Y, D> y = list.apply([&](const auto&... argument) {
    return tape->template compute<Y>(shape, [=](View<Y, D> out) {
      static_cast<void>(detail::ForwardCall<Kernel<Op, D>>{detail::ready(argument, *tape)..., out});
    });
  });
  if constexpr (requires { Op::cheap; }) {
    if (tape->recording()) {
      list.apply([&](const auto&... argument) {
        const auto note = [&](const auto& x) { tape->cheap(y, x); };
        (detail::each_value(argument, note), ...);
      });
    }
  }
  return y;
}

/// The same, recorded.
template <class Op, class T = void, class Forward, class Backward, class... Term>
[[nodiscard]] auto operation(std::string_view name, const Shape& shape, const Forward& forward_list,
                             const Backward& list, const Term&... terms) {
  using D = typename Forward::Device;
  const auto y = operation<Op, T>(name, shape, forward_list);
  Tape<D>& tape = y.tape();
  if (!tape.recording()) return y;
  const bool wanted = list.apply([&](const auto&... argument) {
    return (detail::wants_gradient(argument) || ...) || (terms.of.needs_gradient() || ...);
  });
  if (!wanted) return y;
  list.apply([&](const auto&... argument) {
    tape.record(y, [=] {
      [[maybe_unused]] const bool distinct = detail::distinct_gradients(argument...);
      static_cast<void>(detail::BackwardCall<Kernel<Op, D>>{detail::ready(argument, y, distinct)...});
      (y.pass_gradient(terms.of), ...);
    });
  });
  const auto reads = [&](const auto& x) { tape.reads(x); };
  list.apply([&](const auto&... argument) {
    [[maybe_unused]] const auto note = [&](const auto& a) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(a)>, ResultValue>) {
        reads(y);
      } else {
        detail::each_value(a, reads);
      }
    };
    (note(argument), ...);
  });
  return y;
}

}  // namespace binllm
