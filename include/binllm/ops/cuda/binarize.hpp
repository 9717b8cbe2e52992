// SPDX-License-Identifier: MIT
/// The binarising op on a GPU, as every compiler sees it. A private tail of ops/binarize.hpp: whatever the type of the
/// scale policy, one function for each estimator serves it, with the policy's traits as numbers.
#pragma once

namespace binllm {

template <std::floating_point T>
struct ProgressiveSign;
template <std::floating_point T>
struct StraightThrough;
template <std::floating_point T>
struct ErrorDecay;
template <std::floating_point T>
struct ProgressiveForward;
template <std::floating_point T>
struct RuntimeEstimator;

namespace cuda {
/// Any scale policy, as what it says.
template <std::floating_point T>
struct ScaleByTraits {
  using value_type = T;
  ScaleTraits chosen{};
  [[nodiscard]] ScaleTraits traits() const { return chosen; }
};

template <class E>
inline constexpr bool shipped_estimator = false;
template <>
inline constexpr bool shipped_estimator<ProgressiveSign<float>> = true;
template <>
inline constexpr bool shipped_estimator<StraightThrough<float>> = true;
template <>
inline constexpr bool shipped_estimator<ErrorDecay<float>> = true;
template <>
inline constexpr bool shipped_estimator<ProgressiveForward<float>> = true;
template <>
inline constexpr bool shipped_estimator<RuntimeEstimator<float>> = true;
template <Estimator E>
inline constexpr bool shipped<Binarize<E, ScaleByTraits<float>>> = shipped_estimator<E>;
}  // namespace cuda

template <Estimator E, class S>
struct Kernel<Binarize<E, S>, Cuda> {
  using T = typename E::value_type;
  using Scale = cuda::ScaleByTraits<T>;
  using Op = Binarize<E, Scale>;
  using In = View<const T, Cuda>;
  using Out = View<T, Cuda>;

  static Index workspace(const S& scale, const Shape& weight) {
    return 5 * scale.traits().shape(weight[0], weight[1]).size();
  }
  template <class C>
  static void forward(const E& estimator, const S& scale, In w, In learned, const double* t, Out memory,
                      View<C, Cuda> wb) {
    cuda::check_callable<Op>();
    cuda::run<Op, cuda::Call::forward>(estimator, Scale{scale.traits()}, w, learned, t, memory, wb);
  }
  template <class C>
  static void backward(const E& estimator, const S& scale, In w, In learned, const double* t, View<const C, Cuda> g,
                       Out memory, Out dw, Out dlearned) {
    cuda::check_callable<Op>();
    cuda::run<Op, cuda::Call::backward>(estimator, Scale{scale.traits()}, w, learned, t, g, memory, dw, dlearned);
  }
};

}  // namespace binllm
