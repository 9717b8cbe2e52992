// SPDX-License-Identifier: MIT
// What a call of parallel_for costs beyond its work: calls one after another, as in a training step, when the threads
// still watch for work, and calls with pauses between them, when they sleep.
#include <array>
#include <thread>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

/// Multiplications that depend on each other: about 50 microseconds.
void work(float* result) {
  float value = *result;
  for (int i = 0; i < 45'000; ++i) value = value * 0.999f + 1e-3f;
  *result = value;
}

/// Median microseconds of a call with one tile for each thread, `pause` before each.
double microseconds(int threads, bool empty, std::chrono::milliseconds pause) {
  std::vector<std::array<float, 16>> results(static_cast<std::size_t>(threads));  // a cache line each
  std::vector<double> seconds;
  for (int call = 0; call < 200; ++call) {
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
    const double start = bl::bench::now();
    bl::parallel_for(threads, [&](Index i) {
      if (!empty) work(results[static_cast<std::size_t>(i)].data());
    });
    seconds.push_back(bl::bench::now() - start);
  }
  return 1e6 * bl::bench::median(seconds);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_thread_pool [--threads N] [--json]");
  const int threads = arguments.number("--threads", 2);
  const bool json = arguments.flag("--json");
  arguments.end();

  using std::chrono::milliseconds;
  const double alone = microseconds(1, false, milliseconds(0));
  bl::set_thread_count(threads);
  const double empty = microseconds(threads, true, milliseconds(0)),
               busy = microseconds(threads, false, milliseconds(0));
  const double empty_asleep = microseconds(threads, true, milliseconds(5));
  const double busy_asleep = microseconds(threads, false, milliseconds(5));
  const char* format =
      json ? "{{\"threads\": {}, \"tile_us\": {:.1f}, \"watching\": {{\"empty_us\": {:.2f}, \"busy_us\": "
             "{:.1f}}}, \"asleep\": {{\"empty_us\": {:.2f}, \"busy_us\": {:.1f}}}}}\n"
           : "{} threads, one tile of {:.0f} us for each: watching, an empty call takes {:.2f} us and "
             "one with the tiles {:.0f} us; asleep {:.2f} us and {:.0f} us\n";
  fmt::print(fmt::runtime(format), threads, alone, empty, busy, empty_asleep, busy_asleep);
}
