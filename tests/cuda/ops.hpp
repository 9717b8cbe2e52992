// SPDX-License-Identifier: MIT
/// Ops on the GPU against the CPU in double.
#pragma once
#include "cuda/gpu.hpp"
#include "support/op_checks.hpp"

#include <binllm/binllm.hpp>

namespace binllm::test {

template <class T, class Body, class... Inputs>
void check_op_in(Asked asked, const Body& body, const Inputs&... inputs) {
  check_op_on<T, Cuda>(asked, body, inputs...);
}
/// The same in several types.
template <class... T, class Body, class... Inputs>
void check_op_in_each(const Body& body, const Inputs&... inputs) {
  (check_op_in<T>(Asked::after, body, inputs...), ...);
}
/// The same in all of them.
template <class Body, class... Inputs>
void check_op(const Body& body, const Inputs&... inputs) {
  check_op_in_each<bf16, float, double>(body, inputs...);
}

}  // namespace binllm::test
