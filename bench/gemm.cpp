// SPDX-License-Identifier: MIT
// The products of linear layers over the shapes of bench_train_step's two configurations and over a vocabulary head:
// operations a second as a share of the peak of their instruction, which is measured between the rounds.
#include "support/arguments.hpp"
#include "support/gemm_shares.hpp"

namespace bl = binllm;

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_gemm [--precision float32|bf16] [--threads N] [--rounds R] [--json]");
  const std::string precision = arguments.text("--precision", "float32");
  const int threads = arguments.number("--threads", 2), rounds = arguments.number("--rounds", 9);
  const bool json = arguments.flag("--json");
  if (precision != "float32" && precision != "bf16") arguments.refuse("--precision " + precision);
  arguments.end();
  bl::set_thread_count(threads);

  bl::bench::GemmMeans means;
  for (const auto& layer : bl::bench::layers) {
    const auto share = precision == "bf16" ? bl::bench::gemm_shares<bl::bf16>(layer, threads, rounds)
                                           : bl::bench::gemm_shares<float>(layer, threads, rounds);
    means.add(share);
    if (json) continue;
    fmt::print("x ({}, {}), W ({}, {}):  nt {:.3f}  nn {:.3f}  tn {:.3f}\n", layer.tokens, layer.in, layer.out,
               layer.in, share[0], share[1], share[2]);
  }
  const char* format =
      json ? "{{\"threads\": {}, \"nt\": {:.3f}, \"nn\": {:.3f}, \"tn\": {:.3f}, \"mean\": {:.3f}}}\n"
           : "{} threads, harmonic means, share of the peak: nt {:.3f}, nn {:.3f}, tn {:.3f}; all {:.3f}\n";
  fmt::print(fmt::runtime(format), threads, means.of(0), means.of(1), means.of(2), means.all());
}
