// SPDX-License-Identifier: MIT
/// Matrix products by the system's BLAS instead of ours. Link binllm::blas.
#pragma once

namespace binllm {

/// From now on `Backend<Cpu>::gemm` hands products of float and double of a million multiplications and more to
/// `cblas_sgemm` and `cblas_dgemm`; with false, to nobody. Results then depend on that library: whether they have the
/// same bits on another day or at another number of threads is its promise, not ours. An OpenBLAS is told to use as
/// many threads as `set_thread_count` says at the time of each product; any other library follows its own settings. Not
/// to be called while another thread multiplies.
void use_blas(bool wanted = true);

}  // namespace binllm
