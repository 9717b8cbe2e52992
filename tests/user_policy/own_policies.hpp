// SPDX-License-Identifier: MIT
/// What a user of the library writes: an estimator and a schedule of their own. Nothing of the library knows of them.
#pragma once
#include <cmath>
#include <limits>

namespace user {

/// A(x, t) = x sqrt(1 + t^2) / sqrt(1 + t^2 x^2): plain functions of scalars. A(+-1, t) = +-1, the identity at t = 0.
template <class T>
struct AlgebraicSign {
  using value_type = T;
  static T value(T x, T t) {
    if (t == std::numeric_limits<T>::infinity()) return x >= 0 ? T(1) : T(-1);
    return x * std::sqrt((1 + t * t) / (1 + t * t * x * x));
  }
  static T slope(T x, T t) {
    if (t == std::numeric_limits<T>::infinity()) return 0;
    const T under = 1 + t * t * x * x;
    return std::sqrt((1 + t * t) / under) / under;
  }
};

/// The same, written for scalars and packs alike.
template <class T>
struct AlgebraicSignInPacks {
  using value_type = T;
  template <class X>
  static X value(const X& x, T t) {
    using std::sqrt;
    if (t == std::numeric_limits<T>::infinity()) return AlgebraicSignInPacks::limit(x);
    return x * sqrt(X((T(1) + t * t) / (T(1) + t * t * x * x)));
  }
  template <class X>
  static X slope(const X& x, T t) {
    using std::sqrt;
    const X under = T(1) + t * t * x * x;
    if (t == std::numeric_limits<T>::infinity()) return x - x;
    return sqrt(X((T(1) + t * t) / under)) / under;
  }

 private:
  static T limit(T x) { return x >= 0 ? T(1) : T(-1); }
  template <class X>
  static X limit(const X& x) {
    return (x >= T(0)).select(X::Ones(), -X::Ones());
  }
};

/// t = c^2 / 4
struct Parabola {
  double operator()(double c) const { return c * c / 4; }
};

}  // namespace user
