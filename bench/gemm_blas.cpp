// SPDX-License-Identifier: MIT
// bench_gemm beside the system's BLAS, shape by shape in turn.
#include <binllm/device/blas.hpp>

#include <chrono>
#include <thread>

#include "support/arguments.hpp"
#include "support/gemm_shares.hpp"

namespace bl = binllm;

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_gemm_blas [--threads N] [--rounds R] [--json]");
  const int threads = arguments.number("--threads", 2), rounds = arguments.number("--rounds", 9);
  const bool json = arguments.flag("--json");
  arguments.end();
  bl::set_thread_count(threads);

  bl::bench::GemmMeans own, blas;
  for (const auto& layer : bl::bench::layers) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until the other's threads have stopped waiting
    bl::use_blas(false);
    const auto ours = bl::bench::gemm_shares(layer, threads, rounds);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    bl::use_blas(true);
    const auto theirs = bl::bench::gemm_shares(layer, threads, rounds);
    own.add(ours);
    blas.add(theirs);
    if (json) continue;
    fmt::print("x ({}, {}), W ({}, {}):", layer.tokens, layer.in, layer.out, layer.in);
    for (std::size_t kind = 0; kind < ours.size(); ++kind)
      fmt::print("  {} {:.3f} / {:.3f}", bl::bench::product_names[kind], ours[kind], theirs[kind]);
    fmt::print("\n");
  }
  const char* format =
      json ? "{{\"threads\": {}, \"own\": {:.3f}, \"blas\": {:.3f}, \"ratio\": {:.3f}}}\n"
           : "{} threads, harmonic means of all, share of the FMA peak: binllm {:.3f}, BLAS {:.3f}, ratio {:.2f}\n";
  fmt::print(fmt::runtime(format), threads, own.all(), blas.all(), own.all() / blas.all());
}
