// SPDX-License-Identifier: MIT
/// NVIDIA GPUs. This header is for every compiler: it declares what nvcc defines (device/cuda/*.cuh). A unit that the
/// host's compiler translates may use all that the library ships on Cuda, and links binllm::cuda; a unit that nvcc
/// translates needs no library, and may bring formulas and ops of its own.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/core/device.hpp>
#include <binllm/core/error.hpp>
#include <binllm/device/operands.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace binllm {

/// The GPU that cuda::use_device has chosen, else the first one. All work of a process goes to one stream of it, in the
/// order in which it is asked for: by one host thread at a time, since kernels share working memory and plans.
struct Cuda {};

namespace cuda {

/// Bytes of the GPU's memory.
struct Memory {
  std::size_t used = 0;  ///< held by this process's tensors and arenas
  std::size_t peak = 0;  ///< the most that they held since the last reset_peak_memory
  std::size_t free = 0;  ///< not taken by anybody
  std::size_t total = 0;
};

/// How products of floats are computed. Products of bf16 and of doubles have one way each.
enum class MatmulPrecision {
  float32,  ///< as floats
  tf32,     ///< on tensor cores: factors rounded to 11 bits, sums in float
};

/// What the library asks of CUDA's runtime: one set of functions, as a template so that nvcc may define it in every
/// unit. Errors of all: device_missing (no GPU, or no driver), device_failed, with CUDA's own words.
template <class = void>
struct Runtime {
  [[nodiscard]] static int device_count();
  static void use_device(int index);
  [[nodiscard]] static int device();
  [[nodiscard]] static std::string device_name();
  [[nodiscard]] static Memory memory();
  static void reset_peak_memory();
  static void set_matmul_precision(MatmulPrecision precision);
  [[nodiscard]] static MatmulPrecision matmul_precision();

  [[nodiscard]] static void* allocate(std::size_t bytes);
  static void release(void* pointer) noexcept;
  static void copy(void* to, const void* from, std::size_t bytes);
  static void zero(void* pointer, std::size_t bytes);
  static void synchronise();
  /// Host memory that the GPU may write without a stop on the way; where the system refuses, copies stop as before.
  static void lock_pages(void* pointer, std::size_t bytes) noexcept;
  static void unlock_pages(void* pointer) noexcept;

  // a recording of work: between begin and end nothing runs; `replay` runs all of it
  static void begin_recording();
  [[nodiscard]] static void* end_recording();
  static void abandon_recording() noexcept;
  static void replay(void* recording);
  static void discard(void* recording) noexcept;
};

/// GPUs that this process sees; 0 without a GPU or a driver. No errors.
[[nodiscard]] inline int device_count() { return Runtime<>::device_count(); }
/// All later work and memory belongs to this GPU; to be called before any.
/// Errors: device_missing naming how many there are, device_failed.
inline void use_device(int index) { Runtime<>::use_device(index); }
/// "NVIDIA H200".
[[nodiscard]] inline std::string device_name() { return Runtime<>::device_name(); }
[[nodiscard]] inline Memory memory() { return Runtime<>::memory(); }
inline void reset_peak_memory() { Runtime<>::reset_peak_memory(); }
/// For all products of floats from now on; before a training begins, since its step is recorded.
inline void set_matmul_precision(MatmulPrecision precision) { Runtime<>::set_matmul_precision(precision); }

/// c = addend + a b, or a b where there is no addend; defined by nvcc for bf16 (into bf16 or float), float and double.
template <class T, class C>
void gemm(Product product, View<const T, Cuda> a, View<const T, Cuda> b, View<const C, Cuda> addend, View<C, Cuda> c);

// Defined by nvcc; who calls one of these in a unit of the host's compiler is told so (see kernel.hpp).
template <Write mode, class T, std::size_t count, class F, class... In>
void map(std::array<Target<T>, count> outs, F f, In... in);
template <class Reduction, class T, class F, class... In>
void row_reduce(View<T, Cuda> out, Index cols, F f, In... in);
template <class T, class F, class... In>
void column_reduce(View<T, Cuda> out, Index rows, F f, In... in);

}  // namespace cuda

/// The services of a GPU. What each means stands at Backend<Cpu>; formulas run as constexpr functions of scalars, one
/// element a thread, in master_t of the type that they are stored in.
template <>
struct Backend<Cuda> {
  using R = cuda::Runtime<>;

  // ---- memory, in the order of the stream
  /// Errors: out_of_memory with the bytes asked for, used and free; the process can go on.
  [[nodiscard]] static void* allocate(std::size_t bytes) { return R::allocate(bytes); }
  static void release(void* pointer) noexcept { R::release(pointer); }
  /// Between host and device or on the device. The host may use its block at once; a locked one after `synchronise`.
  static void copy(void* to, const void* from, std::size_t bytes) { R::copy(to, from, bytes); }
  static void zero(void* pointer, std::size_t bytes) { R::zero(pointer, bytes); }
  /// Waits for all work. Errors: device_failed, also for what failed earlier.
  static void synchronise() { R::synchronise(); }
  /// For host memory that is copied to again and again.
  static void lock_pages(void* pointer, std::size_t bytes) noexcept { R::lock_pages(pointer, bytes); }
  static void unlock_pages(void* pointer) noexcept { R::unlock_pages(pointer); }

  // ---- formulas over blocks
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(View<T, Cuda> out, F f, In... in) {
    cuda::map<mode>(std::array{Target<T>(out)}, f, in...);
  }
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(Target<T> out, F f, In... in) {
    cuda::map<mode>(std::array{out}, f, in...);
  }
  template <Write mode = Write::assign, class T, std::size_t count, class F, class... In>
  static void map(std::array<Target<T>, count> outs, F f, In... in) {
    cuda::map<mode>(outs, f, in...);
  }
  template <class Reduction, class T, class F, class... In>
  static void row_reduce(View<T, Cuda> out, Index cols, F f, In... in) {
    cuda::row_reduce<Reduction>(out, cols, f, in...);
  }
  template <class T, class F, class... In>
  static void column_reduce(View<T, Cuda> out, Index rows, F f, In... in) {
    cuda::column_reduce(out, rows, f, in...);
  }

  // ---- matrix products; those of bf16 may be added up in float blocks
  template <class T, class C>
  static void gemm(Product product, View<const T, Cuda> a, View<const T, Cuda> b, View<C, Cuda> c,
                   Write write = Write::assign) {
    cuda::gemm(product, a, b, write == Write::assign ? View<const C, Cuda>() : View<const C, Cuda>(c), c);
  }
  template <class T, class C>
  static void gemm_add(Product product, View<const T, Cuda> a, View<const T, Cuda> b, View<const C, Cuda> addend,
                       View<C, Cuda> c) {
    cuda::gemm(product, a, b, addend, c);
  }
};

}  // namespace binllm
