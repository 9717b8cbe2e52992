// SPDX-License-Identifier: MIT
/// CUDA's runtime as the backend uses it: a stream, stream-ordered memory, checked calls and launches. nvcc only.
#pragma once
#include <binllm/device/cuda.hpp>

#include <cuda_runtime.h>

#include <cstdint>
#include <mutex>
#include <string_view>

namespace binllm::cuda {

[[noreturn]] inline void fail(cudaError_t status, std::string_view operation, std::string_view found) {
  const bool missing = status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver ||
                       status == cudaErrorInvalidDevice || status == cudaErrorInitializationError;
  throw Error(missing ? ErrorId::device_missing : ErrorId::device_failed, operation, "cuda",
              missing ? "an NVIDIA GPU and its driver" : "success",
              fmt::format("{} ({}){}{}", cudaGetErrorString(status), cudaGetErrorName(status),
                          found.empty() ? "" : ", ", found));
}
/// Throws device_missing or device_failed with CUDA's own words. `found` may add shapes.
inline void check(cudaError_t status, std::string_view operation, std::string_view found = {}) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky must not be found a second time
  fail(status, operation, found);
}

/// What the process knows of its GPU.
struct State {
  int device = 0;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
  std::byte* scratch = nullptr;
  int shared_bytes = 0;  // of a block, at most
  MatmulPrecision precision = MatmulPrecision::float32;
};
template <class = void>
struct Process {
  inline static std::mutex mutex;
  inline static State state;
};

/// Working memory of kernels that need some for the length of one call; what the next call does with it comes later in
/// the stream.
inline constexpr std::size_t scratch_bytes = std::size_t{64} << 20;

/// Makes what the process needs of its GPU, all of it or nothing.
inline void open_device(State& s) {
  check(cudaDeviceGetDefaultMemPool(&s.pool, s.device), "cuda");
  std::uint64_t keep = UINT64_MAX;  // freed memory stays ours: the next step wants it again
  check(cudaMemPoolSetAttribute(s.pool, cudaMemPoolAttrReleaseThreshold, &keep), "cuda");
  check(cudaDeviceGetAttribute(&s.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, s.device), "cuda");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cuda");
  const cudaError_t status = cudaMallocAsync(&s.scratch, scratch_bytes, stream);
  if (status != cudaSuccess) cudaStreamDestroy(stream);
  check(status, "cuda");
  s.stream = stream;
}
/// The GPU, with its stream and its pool of memory made at the first call.
inline State& state() {
  State& s = Process<>::state;
  thread_local bool current = false;  // CUDA keeps the chosen device thread by thread
  if (current) return s;
  const std::lock_guard lock(Process<>::mutex);
  check(cudaSetDevice(s.device), "cuda");
  if (s.stream == nullptr) open_device(s);
  current = true;
  return s;
}
/// The stream that all work goes to.
inline cudaStream_t stream() { return state().stream; }

/// The scratch as elements of T. Kernels that want more ask their op for working memory.
template <class T>
[[nodiscard]] T* scratch() {
  return reinterpret_cast<T*>(state().scratch);
}
template <class T>
inline constexpr Index scratch_elements = static_cast<Index>(scratch_bytes / sizeof(T));

/// Starts a kernel on the stream; nothing where the grid is empty. Errors: device_failed.
template <class Kernel, class... A>
void launch(std::string_view operation, Kernel kernel, dim3 grid, dim3 block, std::size_t shared_bytes,
            A... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const cudaStream_t to = stream();
  if (shared_bytes > 48 * 1024) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          operation);
  }
  kernel<<<grid, block, shared_bytes, to>>>(arguments...);
  check(cudaGetLastError(), operation);
}

template <class Unused>
int Runtime<Unused>::device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return count;
}
template <class Unused>
void Runtime<Unused>::use_device(int index) {
  int count = 0;
  check(cudaGetDeviceCount(&count), "use_device");
  if (index < 0 || index >= count) {
    throw Error(ErrorId::device_missing, "use_device", "index", fmt::format("a GPU below {}", count),
                fmt::format("{}", index));
  }
  State& s = Process<>::state;
  if (s.stream != nullptr && s.device != index) {
    throw Error(ErrorId::device_failed, "use_device", "index", fmt::format("GPU {}, which is in use", s.device),
                fmt::format("{}", index));
  }
  s.device = index;
}
template <class Unused>
int Runtime<Unused>::device() {
  return state().device;
}
template <class Unused>
std::string Runtime<Unused>::device_name() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, state().device), "device_name");
  return properties.name;
}
template <class Unused>
Memory Runtime<Unused>::memory() {
  Memory memory;
  std::uint64_t used = 0, peak = 0;
  check(cudaMemPoolGetAttribute(state().pool, cudaMemPoolAttrUsedMemCurrent, &used), "memory");
  check(cudaMemPoolGetAttribute(state().pool, cudaMemPoolAttrUsedMemHigh, &peak), "memory");
  check(cudaMemGetInfo(&memory.free, &memory.total), "memory");
  memory.used = used;
  memory.peak = peak;
  return memory;
}
template <class Unused>
void Runtime<Unused>::reset_peak_memory() {
  std::uint64_t zero = 0;
  check(cudaMemPoolSetAttribute(state().pool, cudaMemPoolAttrUsedMemHigh, &zero), "reset_peak_memory");
}
template <class Unused>
void Runtime<Unused>::set_matmul_precision(MatmulPrecision precision) {
  Process<>::state.precision = precision;
}
template <class Unused>
MatmulPrecision Runtime<Unused>::matmul_precision() {
  return Process<>::state.precision;
}

template <class Unused>
void* Runtime<Unused>::allocate(std::size_t bytes) {
  const State& s = state();
  void* pointer = nullptr;
  const std::size_t wanted = bytes == 0 ? 1 : bytes;
  cudaError_t status = cudaMallocAsync(&pointer, wanted, s.stream);
  if (status == cudaErrorMemoryAllocation) {  // memory that was freed, in pieces of other sizes, may help
    cudaGetLastError();
    cudaStreamSynchronize(s.stream);
    cudaMemPoolTrimTo(s.pool, 0);
    status = cudaMallocAsync(&pointer, wanted, s.stream);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    const Memory now = memory();
    throw Error(
        ErrorId::out_of_memory, "Backend<Cuda>::allocate", "bytes", "GPU memory for the request",
        fmt::format("{} bytes refused; {} used by this process, {} free of {}", bytes, now.used, now.free, now.total));
  }
  check(status, "Backend<Cuda>::allocate");
  return pointer;
}
template <class Unused>
void Runtime<Unused>::release(void* pointer) noexcept {
  if (pointer != nullptr) cudaFreeAsync(pointer, Process<>::state.stream);
}
template <class Unused>
void Runtime<Unused>::copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream()), "Backend<Cuda>::copy");
}
template <class Unused>
void Runtime<Unused>::zero(void* pointer, std::size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(pointer, 0, bytes, stream()), "Backend<Cuda>::zero");
}
template <class Unused>
void Runtime<Unused>::synchronise() {
  check(cudaStreamSynchronize(stream()), "Backend<Cuda>::synchronise");
}

template <class Unused>
void Runtime<Unused>::lock_pages(void* pointer, std::size_t bytes) noexcept {
  if (cudaHostRegister(pointer, bytes, cudaHostRegisterDefault) != cudaSuccess) cudaGetLastError();
}
template <class Unused>
void Runtime<Unused>::unlock_pages(void* pointer) noexcept {
  if (cudaHostUnregister(pointer) != cudaSuccess) cudaGetLastError();
}

template <class Unused>
void Runtime<Unused>::begin_recording() {
  check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "recording");
}
template <class Unused>
void* Runtime<Unused>::end_recording() {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream(), &graph), "recording");
  cudaGraphExec_t recording = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&recording, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "recording");
  return recording;
}
template <class Unused>
void Runtime<Unused>::abandon_recording() noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(Process<>::state.stream, &graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}
template <class Unused>
void Runtime<Unused>::replay(void* recording) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording), stream()), "replay");
}
template <class Unused>
void Runtime<Unused>::discard(void* recording) noexcept {
  if (recording != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recording));
}

}  // namespace binllm::cuda
