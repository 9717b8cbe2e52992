// SPDX-License-Identifier: MIT
/// How a unit of binllm::cuda names the kernels that it holds: it takes their addresses.
#pragma once
#include <binllm/device/cuda/kernel.hpp>

namespace binllm::cuda {

using Function = void (*)();
/// A kernel as it is called with arguments of these types. Whoever has the address has the function instantiated.
template <class Op, Call call, class... A>
Function kernel() {
  return reinterpret_cast<Function>(&run<Op, call, A...>);
}
template <class Op, class... A>
Function room() {
  return reinterpret_cast<Function>(&workspace<Op, A...>);
}
/// The product of blocks of T, added up in a block of C.
template <class T, class C>
Function product() {
  return reinterpret_cast<Function>(&gemm<T, C>);
}

}  // namespace binllm::cuda
