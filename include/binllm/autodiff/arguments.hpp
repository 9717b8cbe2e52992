// SPDX-License-Identifier: MIT
/// What may stand in the lists of `operation`, what the tape learns from it, and what it becomes while a kernel runs.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace binllm {

inline constexpr struct ResultValue {
} result_value;
inline constexpr struct ResultGradient {
} result_gradient;

template <class T, class D>
struct GradientOf {
  Variable<T, D> of;
  [[nodiscard]] View<T, D> ready(bool) const { return of.gradient(); }
};
template <class T, class D>
struct IncomingOf {
  Variable<T, D> of;
  [[nodiscard]] Gradient<T, D> ready(bool alone) const { return alone ? of.incoming() : of.gradient(); }
};
template <class T, class D>
struct PassingTo {
  Variable<T, D> of;
};
template <class T, class D>
struct Filled {
  Variable<T, D> memory;
  [[nodiscard]] View<T, D> ready(Tape<D>&) const { return memory.value(); }
};
template <class T>
struct WorkingMemory {
  Shape shape;
  template <class D>
  [[nodiscard]] Temporary<T, D> ready(Tape<D>& tape) const {
    return Temporary<T, D>(tape, shape);
  }
};
template <class T, class D>
struct ValueIf {
  Variable<T, D> x;
  bool wanted;
  [[nodiscard]] View<const T, D> ready(Tape<D>&) const { return wanted ? read(x.value()) : View<const T, D>(); }
  template <class Use>
  void each_value(const Use& use) const {
    if (wanted) use(x);
  }
};
inline constexpr struct OnTape {
  template <class D>
  [[nodiscard]] Tape<D>* ready(Tape<D>& tape) const {
    return &tape;
  }
} on_tape;

template <class T, class D>
[[nodiscard]] GradientOf<T, D> gradient(const Variable<T, D>& x) {
  return {x};
}
template <class T, class D>
[[nodiscard]] IncomingOf<T, D> incoming(const Variable<T, D>& x) {
  return {x};
}
template <class T, class D>
[[nodiscard]] PassingTo<T, D> passing_to(const Variable<T, D>& x) {
  return {x};
}
template <class T, class D>
[[nodiscard]] ValueIf<T, D> value_if(bool wanted, const Variable<T, D>& x) {
  return {x, wanted};
}
template <class T>
[[nodiscard]] WorkingMemory<T> working(const Shape& shape) {
  return {shape};
}
/// What an op keeps for its backward step besides its result.
template <class T, class D>
[[nodiscard]] Variable<T, D> saved(Tape<D>& tape, const Shape& shape) {
  return tape.template make<T>(shape);
}
template <class T, class D>
[[nodiscard]] Filled<T, D> filled(const Variable<T, D>& saved) {
  return {saved};
}

namespace detail {

template <class A>
inline constexpr bool is_variable = false;
template <class T, class D>
inline constexpr bool is_variable<Variable<T, D>> = true;
template <class A>
inline constexpr bool is_gradient = false;
template <class T, class D>
inline constexpr bool is_gradient<GradientOf<T, D>> = true;
template <class T, class D>
inline constexpr bool is_gradient<IncomingOf<T, D>> = true;
template <class T, class D>
inline constexpr bool is_gradient<PassingTo<T, D>> = true;

/// Calls use(x) for every variable whose value the argument stands for. A struct that holds some has `each_value`.
template <class A, class Use>
void each_value(const A& argument, const Use& use) {
  if constexpr (is_variable<A>) {
    use(argument);
  } else if constexpr (requires { argument.each_value(use); }) {
    argument.each_value(use);
  }
}
/// Whether the argument stands for a gradient that is wanted. A struct that holds some has `needs_gradient`.
template <class A>
[[nodiscard]] bool wants_gradient(const A& argument) {
  if constexpr (is_gradient<A>) {
    return argument.of.needs_gradient();
  } else if constexpr (!is_variable<A> && requires { argument.needs_gradient(); }) {
    return argument.needs_gradient();
  } else {
    return false;
  }
}
/// Whether no two gradients among the arguments are one.
template <class... A>
[[nodiscard]] bool distinct_gradients(const A&... arguments) {
  bool distinct = true;
  if constexpr ((0 + ... + int(is_gradient<A>)) > 1) {
    std::uint32_t nodes[sizeof...(A)];
    std::size_t count = 0;
    const auto note = [&](const auto& argument) {
      if constexpr (is_gradient<std::remove_cvref_t<decltype(argument)>>) {
        for (std::size_t i = 0; i < count; ++i) distinct = distinct && !argument.of.shares_gradient(nodes[i]);
        nodes[count++] = argument.of.node();
      }
    };
    (note(arguments), ...);
  }
  return distinct;
}

/// What an argument is while a kernel runs.
template <class A, class D>
[[nodiscard]] decltype(auto) ready(const A& argument, Tape<D>& tape) {
  if constexpr (is_variable<A>) {
    return read(argument.value());
  } else if constexpr (requires { argument.ready(tape); }) {
    return argument.ready(tape);
  } else {
    return (argument);
  }
}
/// The same in the backward step of the op that made y.
template <class A, class T, class D>
[[nodiscard]] decltype(auto) ready(const A& argument, const Variable<T, D>& y, bool distinct) {
  if constexpr (std::is_same_v<A, ResultValue>) {
    return read(y.value());
  } else if constexpr (std::is_same_v<A, ResultGradient>) {
    return read(y.gradient());
  } else if constexpr (is_gradient<A>) {
    return argument.ready(distinct);
  } else {
    return ready(argument, y.tape());
  }
}
/// What the kernel is given of it.
template <class R>
[[nodiscard]] decltype(auto) given(const R& argument) {
  if constexpr (requires { argument.view(); }) {
    return argument.view();
  } else {
    return (argument);
  }
}

/// A call of a kernel. Made with braces: the arguments become ready from left to right, and are let go in reverse.
template <class K>
struct ForwardCall {
  template <class... R>
  explicit ForwardCall(const R&... arguments) {
    K::forward(given(arguments)...);
  }
};
template <class K>
struct BackwardCall {
  template <class... R>
  explicit BackwardCall(const R&... arguments) {
    K::backward(given(arguments)...);
  }
};

/// The scalar type and the device of the first variable among some arguments.
template <class... A>
struct FirstVariable {};
template <class A, class... Rest>
struct FirstVariable<A, Rest...> : FirstVariable<Rest...> {};
template <class T, class D, class... Rest>
struct FirstVariable<Variable<T, D>, Rest...> {
  using Scalar = T;
  using Device = D;
};
/// The arguments of a call by reference, for the expression that they stand in; `apply` calls use(arguments...).
template <class First, class Apply>
struct ArgumentList : First {
  Apply apply;
  explicit ArgumentList(const Apply& closure) : apply(closure) {}
};
template <class... A>
[[nodiscard]] auto arguments(const A&... list) {
  const auto apply = [&](const auto& use) { return use(list...); };
  return ArgumentList<FirstVariable<A...>, decltype(apply)>(apply);
}

}  // namespace detail

template <class... A>
[[nodiscard]] auto forward(const A&... list) {
  return detail::arguments(list...);
}
template <class... A>
[[nodiscard]] auto backward(const A&... list) {
  return detail::arguments(list...);
}

}  // namespace binllm
