// SPDX-License-Identifier: MIT
/// The binarising op on a GPU, as every compiler sees it. A private tail of ops/binarize.hpp: whatever the type of the
/// scale policy, one function for each estimator serves it, with the policy's traits as numbers; an estimator chosen by name
/// is the one behind the name.
#pragma once

namespace binllm {

namespace cuda {
/// Any scale policy, as what it says.
template <std::floating_point T>
struct ScaleByTraits {
  using value_type = T;
  ScaleTraits chosen{};
  [[nodiscard]] ScaleTraits traits() const { return chosen; }
};

template <Estimator E>
inline constexpr bool shipped<Binarize<E, ScaleByTraits<float>>> = list_has<E, ShippedEstimators<float>>;
}  // namespace cuda

template <Estimator E, class S>
struct Kernel<Binarize<E, S>, Cuda> {
  using T = typename E::value_type;
  using Scale = cuda::ScaleByTraits<T>;
  using In = View<const T, Cuda>;
  using Out = View<T, Cuda>;

  static Index workspace(const S& scale, const Shape& weight) {
    return 5 * scale.traits().shape(weight[0], weight[1]).size();
  }
  template <class C>
  static void forward(const E& estimator, const S& scale, In w, In learned, const double* t, Out memory,
                      View<C, Cuda> wb) {
    with_estimator(estimator, [&]<Estimator Chosen>(const Chosen& chosen) {
      using Op = Binarize<Chosen, Scale>;
      cuda::check_callable<Op>();
      cuda::run<Op, cuda::Call::forward>(chosen, Scale{scale.traits()}, w, learned, t, memory, wb);
    });
  }
  template <class C>
  static void backward(const E& estimator, const S& scale, In w, In learned, const double* t, View<const C, Cuda> g,
                       Out memory, Out dw, Out dlearned) {
    with_estimator(estimator, [&]<Estimator Chosen>(const Chosen& chosen) {
      using Op = Binarize<Chosen, Scale>;
      cuda::check_callable<Op>();
      cuda::run<Op, cuda::Call::backward>(chosen, Scale{scale.traits()}, w, learned, t, g, memory, dw, dlearned);
    });
  }
};

}  // namespace binllm
