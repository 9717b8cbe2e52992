// SPDX-License-Identifier: MIT
/// Matrix products by cuBLASLt, which the first one loads. Plans are kept by shape, so only the first product of a shape
/// asks for one. nvcc only.
#pragma once
#include <binllm/device/cuda/late_library.hpp>
#include <binllm/device/cuda/runtime.cuh>

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <type_traits>

namespace binllm::cuda {

template <class T>
inline constexpr cudaDataType_t data_type = std::is_same_v<T, bf16>    ? CUDA_R_16BF
                                            : std::is_same_v<T, float> ? CUDA_R_32F
                                                                       : CUDA_R_64F;

/// What is used of cuBLASLt.
struct CublasLt {
  LateLibrary library{"gemm", fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR)};
  decltype(&cublasLtCreate) create = library["cublasLtCreate"];
  decltype(&cublasLtGetStatusString) status_string = library["cublasLtGetStatusString"];
  decltype(&cublasLtMatmul) matmul = library["cublasLtMatmul"];
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = library["cublasLtMatmulAlgoGetHeuristic"];
  decltype(&cublasLtMatmulDescCreate) create_operation = library["cublasLtMatmulDescCreate"];
  decltype(&cublasLtMatmulDescSetAttribute) set_operation = library["cublasLtMatmulDescSetAttribute"];
  decltype(&cublasLtMatrixLayoutCreate) create_layout = library["cublasLtMatrixLayoutCreate"];
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = library["cublasLtMatmulPreferenceCreate"];
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = library["cublasLtMatmulPreferenceSetAttribute"];
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = library["cublasLtMatmulPreferenceDestroy"];
};
/// Errors: device_missing where the library is not to be found.
[[nodiscard]] inline const CublasLt& cublas_lt() {
  static const CublasLt functions;
  return functions;
}

inline void check(cublasStatus_t status, const Shape& a, const Shape& b, const Shape& c) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorId::device_failed, "gemm", "cublasLt", "success",
              fmt::format("{} for {} times {} into {}", cublas_lt().status_string(status), to_string(a), to_string(b),
                          to_string(c)));
}

/// What a plan depends on: kinds of numbers, extents, which factor is transposed, alignments.
using ProductKey = std::array<Index, 9>;

/// How cuBLASLt, which counts columns first, is to compute a product of ours: c^T = b^T a^T, so its first factor is b.
struct ProductPlan {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t left = nullptr, right = nullptr, result = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};
template <class = void>
struct Products {
  inline static cublasLtHandle_t handle = nullptr;
  inline static std::map<ProductKey, ProductPlan> plans;
};

/// The largest power of two that divides an address, up to 64: blocks of arenas and pools start at multiples of that,
/// so plans do not depend on where else a block happens to start.
[[nodiscard]] inline Index alignment_of(const void* pointer) {
  return Index{1} << std::min(std::countr_zero(reinterpret_cast<std::uintptr_t>(pointer) | 64u), 6);
}

[[nodiscard]] inline cublasStatus_t make_plan(const ProductKey& key, ProductPlan& plan) {
  const CublasLt& lt = cublas_lt();
  const auto product = static_cast<Product>(key[0]);
  const auto in = static_cast<cudaDataType_t>(key[1]), out = static_cast<cudaDataType_t>(key[2]);
  const auto m = static_cast<std::uint64_t>(key[3]), n = static_cast<std::uint64_t>(key[4]),
             k = static_cast<std::uint64_t>(key[5]);
  const bool tf32 = in == CUDA_R_32F && Process<>::state.precision == MatmulPrecision::tf32;
  const auto computed = in == CUDA_R_64F ? CUBLAS_COMPUTE_64F
                        : tf32           ? CUBLAS_COMPUTE_32F_FAST_TF32
                                         : CUBLAS_COMPUTE_32F;
  const cublasOperation_t left = product == Product::nt ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t right = product == Product::tn ? CUBLAS_OP_T : CUBLAS_OP_N;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  cublasStatus_t status = lt.create_operation(&plan.operation, computed, in == CUDA_R_64F ? in : CUDA_R_32F);
  const auto then = [&](auto&& call) {
    if (status == CUBLAS_STATUS_SUCCESS) status = call();
  };
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    then([&] { return lt.set_preference(preference, what, &value, sizeof(value)); });
  };
  then([&] { return lt.set_operation(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &left, sizeof(left)); });
  then([&] { return lt.set_operation(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, &right, sizeof(right)); });
  const auto layout = [&](cublasLtMatrixLayout_t& made, cudaDataType_t type, bool transposed, std::uint64_t rows,
                          std::uint64_t cols) {
    if (transposed) std::swap(rows, cols);
    then([&] { return lt.create_layout(&made, type, rows, cols, static_cast<std::int64_t>(rows)); });
  };
  layout(plan.left, in, left == CUBLAS_OP_T, n, k);
  layout(plan.right, in, right == CUBLAS_OP_T, k, m);
  layout(plan.result, out, false, n, m);
  then([&] { return lt.create_preference(&preference); });
  // Parts of a sum are added up as floats, not as the numbers that the result holds.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
         static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::size_t>(scratch_bytes));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(key[7]));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(key[6]));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(key[8] & 0xffff));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(key[8] & 0xffff));
  then([&] {
    return lt.heuristic(Products<>::handle, plan.operation, plan.left, plan.right, plan.result, plan.result, preference,
                        1, &found, &count);
  });
  if (preference != nullptr) lt.destroy_preference(preference);
  if (status == CUBLAS_STATUS_SUCCESS && count == 0) status = CUBLAS_STATUS_NOT_SUPPORTED;
  plan.algorithm = found.algo;
  return status;
}

template <class T, class C>
void gemm(Product product, View<const T, Cuda> a, View<const T, Cuda> b, View<const C, Cuda> addend, View<C, Cuda> c) {
  using Scale = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const Index m = product == Product::tn ? a.cols() : a.rows();
  const Index k = product == Product::tn ? a.rows() : a.cols();
  const Index n = product == Product::nt ? b.rows() : b.cols();
  if (m == 0 || n == 0) return;
  const std::size_t bytes = static_cast<std::size_t>(c.size()) * sizeof(C);
  if (k == 0) {
    if (!addend) return Runtime<>::zero(c.data, bytes);
    return addend.data == c.data ? void() : Runtime<>::copy(c.data, addend.data, bytes);
  }
  const cudaStream_t to = stream();
  if (Products<>::handle == nullptr) check(cublas_lt().create(&Products<>::handle), a.shape, b.shape, c.shape);
  const Index precision = static_cast<Index>(Process<>::state.precision);
  const ProductKey key{static_cast<Index>(product),
                       data_type<T>,
                       data_type<C>,
                       m,
                       n,
                       k,
                       alignment_of(a.data),
                       alignment_of(b.data),
                       std::min(alignment_of(c.data), alignment_of(addend.data)) | precision << 16};
  auto plan = Products<>::plans.find(key);
  if (plan == Products<>::plans.end()) {
    ProductPlan made;
    check(make_plan(key, made), a.shape, b.shape, c.shape);
    plan = Products<>::plans.emplace(key, made).first;
  }
  const Scale one = 1, with_addend = addend ? 1 : 0;
  const ProductPlan& p = plan->second;
  check(cublas_lt().matmul(Products<>::handle, p.operation, &one, b.data, p.left, a.data, p.right, &with_addend,
                           addend ? addend.data : c.data, p.result, c.data, p.result, &p.algorithm, state().scratch,
                           scratch_bytes, to),
        a.shape, b.shape, c.shape);
}

}  // namespace binllm::cuda
