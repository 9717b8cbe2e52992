// SPDX-License-Identifier: MIT
/// Clocks and ceilings for benchmarks.
#pragma once
#include <binllm/device/thread_pool.hpp>

#include <sys/resource.h>
#include <Eigen/Core>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

namespace binllm::bench {

/// Seconds of a clock that never goes back.
[[nodiscard]] inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[nodiscard]] inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Seconds of processors that all threads of this process have used: on a machine with other busy programs the measure
/// that they disturb least.
[[nodiscard]] inline double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// The largest resident set that this process has had.
[[nodiscard]] inline Index peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<Index>(usage.ru_maxrss) * 1024;
}

/// Median seconds of f() over batches of `calls` calls each.
template <class F>
[[nodiscard]] double median_seconds(const F& f, int batches, int calls) {
  std::vector<double> seconds;
  for (int batch = 0; batch < batches; ++batch) {
    const double start = now();
    for (int call = 0; call < calls; ++call) f();
    seconds.push_back((now() - start) / calls);
  }
  return median(seconds);
}

/// Fused multiply-adds of one thread in operations (2 a lane) a second: twelve independent chains hide the latency.
[[nodiscard]] inline double fma_rate(long rounds, float* result) {
  using Packet = Eigen::internal::packet_traits<float>::type;
  constexpr int lanes = Eigen::internal::packet_traits<float>::size;
  struct Chain {  // a packet alone, as a template argument, would lose its alignment
    Packet value;
  };
  constexpr std::size_t count = 12;
  const Packet factor = Eigen::internal::pset1<Packet>(0.999f), summand = Eigen::internal::pset1<Packet>(1e-3f);
  double seconds = 0;
  // Written out by index, so that all chains stay in registers.
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    Chain chains[count] = {Chain{Eigen::internal::pset1<Packet>(0.5f + 0.01f * static_cast<float>(i))}...};
    const double start = now();
    for (long round = 0; round < rounds; ++round) {
      ((chains[i].value = Eigen::internal::pmadd(chains[i].value, factor, summand)), ...);
    }
    seconds = now() - start;
    *result += (Eigen::internal::predux(chains[i].value) + ...);
  }
  (std::make_index_sequence<count>{});
  return 2.0 * lanes * static_cast<double>(count) * static_cast<double>(rounds) / seconds;
}

/// What the threads of the library's pool reach together, best of three.
[[nodiscard]] inline double fma_peak(int threads, long rounds = 10'000'000) {
  double best = 0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::vector<float> results(16 * rates.size());
    parallel_for(threads, [&](Index i) {
      const auto slot = static_cast<std::size_t>(i);
      rates[slot] = fma_rate(rounds, &results[16 * slot]);
    });
    double sum = 0;
    for (const double rate : rates) sum += rate;
    volatile float sink = results[0];  // without a reader the loops would be dropped
    static_cast<void>(sink);
    best = std::max(best, sum);
  }
  return best;
}

}  // namespace binllm::bench
