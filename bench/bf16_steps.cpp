// SPDX-License-Identifier: MIT
// One product, c(512, 576) = a(512, 576) b(576, 576)^T, from the tile of floats to that of bf16: with the instructions
// of each set that the processor has.
#include <binllm/device/cpu.hpp>

#include "support/arguments.hpp"
#include "support/gemm_shares.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

template <class T>
double rate(int calls) {
  constexpr Index rows = 512, inner = 576, cols = 576;
  const auto a = bl::bench::random_tensor<T>({rows, inner}, 0), b = bl::bench::random_tensor<T>({cols, inner}, 1);
  bl::Tensor<T> c({rows, cols});
  const auto product = [&] { bl::Backend<bl::Cpu>::gemm(bl::Product::nt, read(a.view()), read(b.view()), c.view()); };
  return 2.0 * rows * inner * cols / bl::bench::median_seconds(product, 9, calls);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_bf16_steps [--threads N] [--calls K]");
  const int threads = arguments.number("--threads", 1), calls = arguments.number("--calls", 20);
  arguments.end();
  bl::set_thread_count(threads);
  fmt::print("{:<40}{:>8} GFLOP/s\n", "floats, the tile of floats", static_cast<long>(rate<float>(calls) / 1e9));
  for (const auto& [set, how] : {std::pair{bl::InstructionSet::plain, "bf16, copied to panels of floats"},
                                 std::pair{bl::InstructionSet::avx512_bf16, "bf16, pairs: AVX512-BF16"},
                                 std::pair{bl::InstructionSet::amx, "bf16, tiles: AMX"}}) {
    if (!is_supported(set)) continue;
    bl::set_instruction_set(set);
    fmt::print("{:<40}{:>8} GFLOP/s\n", how, static_cast<long>(rate<bl::bf16>(calls) / 1e9));
  }
}
