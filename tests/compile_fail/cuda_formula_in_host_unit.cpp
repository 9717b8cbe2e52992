// expect: make this file a .cu
// SPDX-License-Identifier: MIT
#include <binllm/ops/elementwise.hpp>

using namespace binllm;

struct Square {
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return x * x;
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    return x + x;
  }
};

#ifdef VALID
using Chosen = Cpu;
#else
using Chosen = Cuda;
#endif

Variable<float, Chosen> squares(Variable<float, Chosen> x) { return elementwise(Square{}, x); }
