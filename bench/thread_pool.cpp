// SPDX-License-Identifier: MIT
// What a call of parallel_for costs beyond its work: calls one after another, as in a training step, when the threads
// still watch for work, and calls with pauses between them, when they sleep. `--neighbours` lets four threads compute
// beside them all the time, as other programs do; there the mean says more than the median.
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

/// Multiplications that depend on each other: about 50 microseconds for 45 000.
void work(float* result, int steps) {
  float value = *result;
  for (int i = 0; i < steps; ++i) value = value * 0.999f + 1e-3f;
  *result = value;
}

struct Times {
  double median, mean;  // microseconds a call
};

/// Calls of `tiles` tiles each, `pause` before each call.
Times times(int calls, Index tiles, int steps, std::chrono::milliseconds pause) {
  std::vector<std::array<float, 16>> results(static_cast<std::size_t>(tiles));  // a cache line each
  std::vector<double> seconds;
  double sum = 0;
  for (int call = 0; call < calls; ++call) {
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
    const double start = bl::bench::now();
    bl::parallel_for(tiles, [&](Index i) {
      if (steps > 0) work(results[static_cast<std::size_t>(i)].data(), steps);
    });
    seconds.push_back(bl::bench::now() - start);
    sum += seconds.back();
  }
  return {1e6 * bl::bench::median(seconds), 1e6 * sum / calls};
}

void print(const char* name, const Times& result, bool json) {
  fmt::print(fmt::runtime(json ? "{{\"call\": \"{}\", \"median_us\": {:.2f}, \"mean_us\": {:.2f}}}\n"
                               : "{:<40} median {:8.2f} us, mean {:8.2f} us\n"),
             name, result.median, result.mean);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_thread_pool [--threads N] [--neighbours] [--json]");
  const int threads = arguments.number("--threads", 2);
  const int neighbours = arguments.flag("--neighbours") ? 4 : 0;
  const bool json = arguments.flag("--json");
  arguments.end();

  std::atomic<bool> stop = false;
  std::vector<std::thread> others;
  for (int i = 0; i < neighbours; ++i) {
    others.emplace_back([&stop] {
      float value = 0;
      while (!stop) work(&value, 1000);
    });
  }
  using std::chrono::milliseconds;
  constexpr milliseconds none(0), five(5);
  print("one tile of 50 us, one thread", times(2000, 1, 45'000, none), json);
  bl::set_thread_count(threads);
  print("nothing to do", times(20'000, threads, 0, none), json);
  print("8 tiles of 0.4 us", times(100'000, 8, 330, none), json);
  print("a tile of 50 us for each thread", times(4000, threads, 45'000, none), json);
  print("asleep: nothing to do", times(200, threads, 0, five), json);
  print("asleep: a tile of 50 us for each thread", times(200, threads, 45'000, five), json);
  stop = true;
  for (std::thread& other : others) other.join();
}
