// SPDX-License-Identifier: MIT
// The three products of a linear layer, y = x W^T (nt), dx = dy W (nn) and dW = dy^T x (tn), over the shapes of the two
// configurations of bench_train_step and over the vocabulary head: operations a second as a share of the FMA peak that
// is measured between the rounds.
#include <binllm/core/random.hpp>
#include <binllm/device/cpu.hpp>

#include <array>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

struct Layer {
  Index tokens, out, in;
  [[nodiscard]] double operations() const { return 2.0 * static_cast<double>(tokens * out * in); }
};
constexpr std::array<Layer, 8> layers{{{2048, 288, 288},
                                       {2048, 768, 288},
                                       {2048, 288, 768},
                                       {2048, 576, 576},
                                       {2048, 192, 576},
                                       {2048, 1536, 576},
                                       {2048, 576, 1536},
                                       {512, 32000, 288}}};
constexpr std::array products{bl::Product::nt, bl::Product::nn, bl::Product::tn};
constexpr std::array names{"nt", "nn", "tn"};

bl::Tensor<float> random_tensor(bl::Shape shape, std::uint64_t stream) {
  bl::Tensor<float> x(shape);
  const bl::Random random(1, bl::Purpose::test, stream);
  for (Index i = 0; i < x.size(); ++i)
    x.view().data[i] = static_cast<float>(random.uniform(static_cast<std::uint64_t>(i))) - 0.5f;
  return x;
}

/// Median over rounds of (rate of the product / FMA peak around it).
std::array<double, 3> shares(const Layer& layer, int threads, int rounds) {
  using B = bl::Backend<bl::Cpu>;
  auto x = random_tensor({layer.tokens, layer.in}, 0), w = random_tensor({layer.out, layer.in}, 1);
  auto y = random_tensor({layer.tokens, layer.out}, 2);
  const std::array<bl::Tensor<float>*, 3> left{&x, &y, &y}, right{&w, &w, &x}, result{&y, &x, &w};
  const int calls = std::max(1, static_cast<int>(4e9 / layer.operations()));
  std::array<double, 3> share{};
  for (std::size_t kind = 0; kind < products.size(); ++kind) {
    std::vector<double> found;
    for (int round = 0; round <= rounds; ++round) {
      const double before = bl::bench::fma_peak(threads, 400'000);
      const double start = bl::bench::now();
      for (int call = 0; call < calls; ++call) {
        B::gemm(products[kind], bl::read(left[kind]->view()), bl::read(right[kind]->view()), result[kind]->view());
      }
      const double rate = layer.operations() * calls / (bl::bench::now() - start);
      const double peak = std::max(before, bl::bench::fma_peak(threads, 400'000));
      if (round > 0) found.push_back(rate / peak);  // the first round warms up
    }
    share[kind] = bl::bench::median(found);
  }
  return share;
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_gemm [--threads N] [--rounds R] [--json]");
  const int threads = arguments.number("--threads", 2), rounds = arguments.number("--rounds", 9);
  const bool json = arguments.flag("--json");
  arguments.end();
  bl::set_thread_count(threads);

  std::array<double, 3> inverse{};
  for (const Layer& layer : layers) {
    const auto share = shares(layer, threads, rounds);
    if (!json) fmt::print("x ({}, {}), W ({}, {}):", layer.tokens, layer.in, layer.out, layer.in);
    for (std::size_t kind = 0; kind < share.size(); ++kind) {
      inverse[kind] += 1 / share[kind] / static_cast<double>(layers.size());
      if (!json) fmt::print("  {} {:.3f}", names[kind], share[kind]);
    }
    if (!json) fmt::print("\n");
  }
  const double mean = 3 / (inverse[0] + inverse[1] + inverse[2]);
  fmt::print(
      fmt::runtime(
          json ? "{{\"threads\": {}, \"nt\": {:.3f}, \"nn\": {:.3f}, \"tn\": {:.3f}, \"mean\": {:.3f}}}\n"
               : "{} threads, harmonic means, share of the FMA peak: nt {:.3f}, nn {:.3f}, tn {:.3f}; all {:.3f}\n"),
      threads, 1 / inverse[0], 1 / inverse[1], 1 / inverse[2], mean);
}
