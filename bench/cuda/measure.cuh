// SPDX-License-Identifier: MIT
/// Clocks, buffers and lines for benchmarks of kernels on a GPU. Calls are timed in a CUDA graph, as they run in a
/// step.
#pragma once
#include <fmt/core.h>
#include <binllm/core/random.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/assign.hpp>
#include <binllm/device/replay.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cuda/roofline.hpp"

namespace binllm::bench {

/// How many buffers the calls of a recording go round, and how many calls are in one.
struct Rotation {
  int sets, calls;

  /// For calls that move so many bytes: more data than the second cache holds (60 MB in an H200), and a recording that
  /// is long beside the start of a graph.
  [[nodiscard]] static Rotation of(double bytes) {
    const auto times = [&](double wanted, double most) {
      return static_cast<int>(std::clamp(std::ceil(wanted / bytes), 1.0, most));
    };
    return {times(200e6, 40), times(4e9, 120)};
  }
};

/// A tensor for each set, all with normal numbers.
template <class T>
class Sets {
 public:
  Sets(int sets, Shape one, std::uint64_t stream, double deviation = 1) : one_(one), all_(Shape{sets * one.size()}) {
    Kernel<NormalFill, Cuda>::forward(Random(1, Purpose::test, stream), deviation, all_.view());
  }
  [[nodiscard]] View<T, Cuda> operator[](int set) { return {all_.view().data + set * one_.size(), one_}; }

 private:
  Shape one_;
  Tensor<T, Cuda> all_;
};

/// Points in time of the stream.
class Marks {
 public:
  explicit Marks(std::size_t count) : events_(count) {
    for (cudaEvent_t& event : events_) cuda::check(cudaEventCreate(&event), "bench");
  }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;
  ~Marks() {
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  }
  void set(std::size_t i) { cuda::check(cudaEventRecord(events_[i], cuda::stream()), "bench"); }
  /// Seconds between neighbours, the middle one of all. Waits.
  [[nodiscard]] double median() const {
    cuda::check(cudaEventSynchronize(events_.back()), "bench");
    std::vector<float> ms(events_.size() - 1);
    for (std::size_t i = 0; i < ms.size(); ++i)
      cuda::check(cudaEventElapsedTime(&ms[i], events_[i], events_[i + 1]), "bench");
    std::nth_element(ms.begin(), ms.begin() + static_cast<std::ptrdiff_t>(ms.size() / 2), ms.end());
    return static_cast<double>(ms[ms.size() / 2]) * 1e-3;
  }

 private:
  std::vector<cudaEvent_t> events_;
};

/// Seconds of a call of body(set): median of 15 replays.
template <class Body>
[[nodiscard]] double seconds(const Rotation& rotation, const Body& body) {
  constexpr std::size_t repetitions = 15;
  const auto all = [&] {
    for (int call = 0; call < rotation.calls; ++call) body(call % rotation.sets);
  };
  Replay<Cuda> replay;
  for (int i = 0; i < 4; ++i) replay(all);  // twice as it is, then recorded, then as it will be timed
  Marks marks(repetitions + 1);
  marks.set(0);
  for (std::size_t i = 1; i <= repetitions; ++i) {
    replay(all);
    marks.set(i);
  }
  return marks.median() / rotation.calls;
}

/// Seconds of two ways to the same result.
struct Pair {
  std::optional<double> plain;
  double fused;
  std::string_view plain_is = "";
};
/// body(std::type_identity<K>, set) calls the kernel K of Op.
template <class Op, class Body>
[[nodiscard]] Pair both(const Rotation& rotation, const Body& body) {
  const auto with = [&](auto kernel) { return seconds(rotation, [&](int set) { body(kernel, set); }); };
  return {with(std::type_identity<GenericKernel<Op, Cuda>>{}), with(std::type_identity<Kernel<Op, Cuda>>{}),
          "definition"};
}

/// What bounds a kernel, and how much of that it needs: bytes, or operations of tensor cores.
enum class Bound { copy, products };
struct Work {
  Bound bound;
  double amount;
};
[[nodiscard]] inline Work moves(double bytes) { return {Bound::copy, bytes}; }
[[nodiscard]] inline Work computes(double operations) { return {Bound::products, operations}; }

[[nodiscard]] inline double size_of(const Shape& shape) { return static_cast<double>(shape.size()); }

/// Prints a line for each kernel, beside the ceilings.
class Report {
 public:
  Report(Ceilings ceilings, bool json) : ceilings_(ceilings), json_(json) {
    if (json_) return;
    fmt::print("{:<28} {:<2} {:>20}  {:<20} {:>10} {:>10} {:>6} {:>7} {:<8} {:>5}\n", "kernel", "", "shape", "plain is",
               "plain us", "fused us", "ratio", "reached", "", "share");
  }
  void add(std::string_view kernel, const TrainingShape& setting, const std::string& shape, const Pair& times,
           const Work& work) const {
    const bool copy = work.bound == Bound::copy;
    const double rate = work.amount / times.fused;
    const double share = rate / (copy ? ceilings_.bytes_per_second : ceilings_.operations_per_second);
    const double reached = rate / (copy ? 1e9 : 1e12);
    const double ratio = times.plain ? *times.plain / times.fused : 0;
    if (json_) {
      fmt::print(
          "{{\"kernel\": \"{}\", \"setting\": \"{}\", \"shape\": \"{}\", \"plain_is\": \"{}\", \"plain_us\": {}, "
          "\"fused_us\": {:.3f}, \"ratio\": {}, \"bound\": \"{}\", \"{}\": {:.0f}, \"share\": {:.4f}}}\n",
          kernel, setting.name, shape, times.plain_is, times.plain ? fmt::format("{:.3f}", 1e6 * *times.plain) : "null",
          1e6 * times.fused, times.plain ? fmt::format("{:.3f}", ratio) : "null", copy ? "copy" : "products",
          copy ? "gigabytes_per_second" : "teraflops", reached, share);
    } else {
      fmt::print("{:<28} {:<2} {:>20}  {:<20} {:>10} {:>10.2f} {:>6} {:>7.0f} {:<8} {:>4.0f}%\n", kernel, setting.name,
                 shape, times.plain_is, times.plain ? fmt::format("{:.2f}", 1e6 * *times.plain) : "", 1e6 * times.fused,
                 times.plain ? fmt::format("{:.2f}", ratio) : "", reached, copy ? "GB/s" : "TFLOP/s", 100 * share);
    }
    std::fflush(stdout);
  }

 private:
  Ceilings ceilings_;
  bool json_;
};

}  // namespace binllm::bench
