// expect: incomplete type '(binllm::)?Backend<Abacus>|undefined template 'binllm::Backend<Abacus>'
// SPDX-License-Identifier: MIT
#include <binllm/device/cpu.hpp>

using namespace binllm;

struct Abacus {};

#ifdef VALID
Tensor<float, Cpu> x(Shape{2});
#else
Tensor<float, Abacus> x(Shape{2});
#endif
