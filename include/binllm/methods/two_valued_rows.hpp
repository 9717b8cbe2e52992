// SPDX-License-Identifier: MIT
/// Weights whose rows are +s_i or -s_i, as packed signs: what most kinds of one bit are stored by.
#pragma once
#include <binllm/nn/effective_weight.hpp>
#include <binllm/nn/packed.hpp>

namespace binllm {

/// W_b,ij = s_i (+-1): the signs of W_b, and |W_b,i0|.
template <class Activations, class T>
void store_two_valued_rows(const Tensor<T>& wb, PackedSignsMatrix<Activations, T, Cpu>& to) {
  to.weight.set_signs(read(wb.view()));
  for (Index i = 0; i < wb.shape().rows(); ++i) to.weight.scale.view().data[i] = std::abs(wb.view().row(i)[0]);
}

}  // namespace binllm
