// SPDX-License-Identifier: MIT
/// The seam between units of the host's compiler and units of nvcc. A kernel is called through a function template that
/// only nvcc defines: with the op's own implementation (ops/cuda/*.cuh), or its definition on Backend services.
/// binllm::cuda holds it for all that the library ships.
#pragma once
#include <binllm/device/cuda.hpp>
#include <binllm/device/generic_kernel.hpp>

namespace binllm::cuda {

enum class Call { forward, backward, update };

/// What runs on a GPU for an op: its definition, unless a .cuh specialises this.
template <class Op>
struct Implementation : GenericKernel<Op, Cuda> {};

template <class Op, Call call, class... A>
void run(A... arguments);
template <class Op, class... A>
Index workspace(A... arguments);

/// Whether binllm::cuda holds the op, so that a unit of the host's compiler may call it.
template <class Op>
inline constexpr bool shipped = false;

/// A constant of each unit by itself: read in assertions alone.
#if defined(__CUDACC__)
static constexpr bool translated_by_nvcc = true;
#else
static constexpr bool translated_by_nvcc = false;
#endif

template <class Op>
constexpr void check_callable() {
  static_assert(translated_by_nvcc || shipped<Op>,
                "an op or formula of your own runs on Cuda from units that nvcc compiles: make this file a .cu");
}

}  // namespace binllm::cuda

namespace binllm {

template <class Op>
struct Kernel<Op, Cuda> {
  template <class... A>
  static void forward(const A&... arguments) {
    cuda::check_callable<Op>();
    cuda::run<Op, cuda::Call::forward>(arguments...);
  }
  template <class... A>
  static void backward(const A&... arguments) {
    cuda::check_callable<Op>();
    cuda::run<Op, cuda::Call::backward>(arguments...);
  }
  template <class... A>
  static void update(const A&... arguments) {
    cuda::check_callable<Op>();
    cuda::run<Op, cuda::Call::update>(arguments...);
  }
  template <class... A>
  [[nodiscard]] static Index workspace(const A&... arguments) {
    cuda::check_callable<Op>();
    return cuda::workspace<Op>(arguments...);
  }
};

}  // namespace binllm

#if defined(__CUDACC__)
#include <binllm/device/cuda/formulas.cuh>
#include <binllm/device/cuda/gemm.cuh>
#include <binllm/device/cuda/runtime.cuh>

namespace binllm::cuda {

template <class Op, Call call, class... A>
void run(A... arguments) {
  if constexpr (call == Call::forward) {
    Implementation<Op>::forward(arguments...);
  } else if constexpr (call == Call::backward) {
    Implementation<Op>::backward(arguments...);
  } else {
    Implementation<Op>::update(arguments...);
  }
}
template <class Op, class... A>
Index workspace(A... arguments) {
  return Implementation<Op>::workspace(arguments...);
}

}  // namespace binllm::cuda
#endif
