// SPDX-License-Identifier: MIT
/// U = R^-1, H = R R^T, in the order of inverse_factor.hpp: with the order of rows and columns turned round, H = L L^T, which
/// cuSOLVER factorises. The library is loaded when it is first used. nvcc only.
#pragma once
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/device/cuda/late_library.hpp>
#include <binllm/device/host.hpp>
#include <binllm/methods/post_training/cuda/tiles.cuh>

#include <cusolverDn.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace binllm::cuda {

/// What is used of cuSOLVER.
struct Cusolver {
  LateLibrary library{"hessian", fmt::format("libcusolver.so.{}", CUSOLVER_VER_MAJOR)};
  decltype(&cusolverDnCreate) create = library["cusolverDnCreate"];
  decltype(&cusolverDnSetStream) set_stream = library["cusolverDnSetStream"];
  decltype(&cusolverDnDpotrf_bufferSize) potrf_memory = library["cusolverDnDpotrf_bufferSize"];
  decltype(&cusolverDnDpotrf) potrf = library["cusolverDnDpotrf"];
  decltype(&cusolverDnXtrtri_bufferSize) trtri_memory = library["cusolverDnXtrtri_bufferSize"];
  decltype(&cusolverDnXtrtri) trtri = library["cusolverDnXtrtri"];
};
/// Errors: device_missing where the library is not to be found.
[[nodiscard]] inline const Cusolver& cusolver() {
  static const Cusolver functions;
  return functions;
}

inline void check(cusolverStatus_t status, std::string_view operation) {
  if (status != CUSOLVER_STATUS_SUCCESS)
    throw Error(ErrorId::device_failed, operation, "cusolver", "success", fmt::format("{}", static_cast<int>(status)));
}
template <class = void>
struct Solver {
  inline static cusolverDnHandle_t handle = nullptr;
  [[nodiscard]] static cusolverDnHandle_t get() {
    if (handle == nullptr) {
      check(cusolver().create(&handle), "cusolver");
      check(cusolver().set_stream(handle, stream()), "cusolver");
    }
    return handle;
  }
};

/// a_ij = H of the order turned round, damped.
static __global__ void turned_hessian(const double* h, const Index* order, Index n, double factor, double damping,
                                      double* a) {
  const Index i = tile_row(), j = tile_col();
  if (i >= n || j >= n) return;
  const Index row = order[n - 1 - i], col = order[n - 1 - j];
  const double value = factor * h[row * n + col];
  a[i * n + j] = i != j ? value : (value == 0 ? 1 : value) + damping;
}
/// U from L^-1 as cuSOLVER leaves it: columns one after the other.
static __global__ void turned_back(const double* l, Index n, double* u) {
  const Index i = tile_row(), j = tile_col();
  if (i < n && j < n) u[i * n + j] = i <= j ? l[(n - 1 - j) * n + (n - 1 - i)] : 0;
}
static __global__ void scaled_diagonal(const double* h, Index n, double factor, double* diagonal) {
  const Index j = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (j < n) diagonal[j] = factor * h[j * n + j];
}

/// Whether a (n, n) is positive definite; then it becomes L^-1.
[[nodiscard]] inline bool invert_factor(View<double, Cuda> a) {
  const auto n = static_cast<int>(a.rows());
  const auto handle = Solver<>::get();
  Tensor<std::int32_t, Cuda> info(Shape{1});
  int elements = 0;
  check(cusolver().potrf_memory(handle, CUBLAS_FILL_MODE_LOWER, n, a.data, n, &elements), "potrf");
  {
    Tensor<double, Cuda> memory(Shape{std::max(elements, 1)});
    check(
        cusolver().potrf(handle, CUBLAS_FILL_MODE_LOWER, n, a.data, n, memory.view().data, elements, info.view().data),
        "potrf");
  }
  if (scalar_on_host(info.view()) != 0) return false;
  std::size_t on_device = 0, on_host = 0;
  check(cusolver().trtri_memory(handle, CUBLAS_FILL_MODE_LOWER, CUBLAS_DIAG_NON_UNIT, n, CUDA_R_64F, a.data, n,
                                &on_device, &on_host),
        "trtri");
  Tensor<std::uint8_t, Cuda> memory(Shape{std::max<Index>(static_cast<Index>(on_device), 1)});
  std::vector<std::byte> host_memory(on_host);
  check(cusolver().trtri(handle, CUBLAS_FILL_MODE_LOWER, CUBLAS_DIAG_NON_UNIT, n, CUDA_R_64F, a.data, n,
                         memory.view().data, on_device, host_memory.data(), on_host, info.view().data),
        "trtri");
  return scalar_on_host(info.view()) == 0;
}

}  // namespace binllm::cuda
