// SPDX-License-Identifier: MIT
/// The binarising op of one shipped estimator: cmake/cuda.cmake makes a unit of it for each estimator of
/// policy/shipped.hpp and each type that a model computes in.
#pragma once
#include <binllm/device/cuda/shipped.cuh>
#include <binllm/ops/binarize.hpp>

namespace binllm::cuda {

/// W_b of an estimator over floats, for a model that computes in T.
template <class T, Estimator E>
struct ShippedEstimator {
  using Op = Binarize<E, ScaleByTraits<float>>;
  using In = View<const float, Cuda>;
  using Out = View<float, Cuda>;
  static const Function functions[];
};
template <class T, Estimator E>
const Function ShippedEstimator<T, E>::functions[] = {
    kernel<Op, Call::forward, E, ScaleByTraits<float>, In, In, const double*, Out, View<T, Cuda>>(),
    kernel<Op, Call::backward, E, ScaleByTraits<float>, In, In, const double*, View<const T, Cuda>, Out, Out, Out>(),
};

}  // namespace binllm::cuda
