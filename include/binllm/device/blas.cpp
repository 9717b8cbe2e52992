// SPDX-License-Identifier: MIT
#include <binllm/device/blas.hpp>
#include <binllm/device/cpu.hpp>

#include <cblas.h>

extern "C" {
// Only OpenBLAS has it; another library leaves the address null.
__attribute__((weak)) void openblas_set_num_threads(int);
}

namespace binllm {
namespace {

template <class T, auto function>
void multiply(Index m, Index n, Index k, cpu::Operand<T> a, cpu::Operand<T> b, bool add, T* c) {
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(thread_pool().size());
  const auto orientation = [](const cpu::Operand<T>& x) { return x.transposed ? CblasTrans : CblasNoTrans; };
  const auto extent = [](Index index) { return static_cast<int>(index); };
  function(CblasRowMajor, orientation(a), orientation(b), extent(m), extent(n), extent(k), T(1), a.data,
           extent(a.stride), b.data, extent(b.stride), T(add), c, extent(n));
}

}  // namespace

void use_blas(bool wanted) {
  cpu::foreign_product<float> = wanted ? &multiply<float, &cblas_sgemm> : nullptr;
  cpu::foreign_product<double> = wanted ? &multiply<double, &cblas_dgemm> : nullptr;
}

}  // namespace binllm
