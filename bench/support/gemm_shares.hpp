// SPDX-License-Identifier: MIT
/// The three products of a linear layer as shares of the peak of their instruction:
///   nt   y  = x W^T
///   nn   dx = dy W
///   tn   dW = dy^T x
#pragma once
#include <binllm/core/random.hpp>
#include <binllm/device/cpu.hpp>
#include <binllm/device/gemm/bf16/kernels.hpp>

#include <array>

#include "product_peak.hpp"

namespace binllm::bench {

struct Layer {
  Index tokens, out, in;
  [[nodiscard]] double operations() const { return 2.0 * static_cast<double>(tokens * out * in); }
};
inline constexpr std::array<Layer, 8> layers{{{2048, 288, 288},
                                              {2048, 768, 288},
                                              {2048, 288, 768},
                                              {2048, 576, 576},
                                              {2048, 192, 576},
                                              {2048, 1536, 576},
                                              {2048, 576, 1536},
                                              {512, 32000, 288}}};
inline constexpr std::array products{Product::nt, Product::nn, Product::tn};
inline constexpr std::array product_names{"nt", "nn", "tn"};

template <class T = float>
Tensor<T> random_tensor(Shape shape, std::uint64_t stream) {
  Tensor<T> x(shape);
  const Random random(1, Purpose::test, stream);
  for (Index i = 0; i < x.size(); ++i)
    x.view().data[i] = static_cast<T>(static_cast<float>(random.uniform(static_cast<std::uint64_t>(i))) - 0.5f);
  return x;
}

/// Median over rounds of (rate of the product / peak around it). The gradient of W is in float.
template <class T = float>
[[nodiscard]] std::array<double, 3> gemm_shares(const Layer& layer, int threads, int rounds) {
  using B = Backend<Cpu>;
  auto x = random_tensor<T>({layer.tokens, layer.in}, 0), w = random_tensor<T>({layer.out, layer.in}, 1);
  auto y = random_tensor<T>({layer.tokens, layer.out}, 2);
  Tensor<master_t<T>> dw(w.shape());
  const std::array<Tensor<T>*, 3> left{&x, &y, &y}, right{&w, &w, &x};
  const int calls = std::max(1, static_cast<int>(4e9 / layer.operations()));
  std::array<double, 3> share{};
  for (std::size_t kind = 0; kind < products.size(); ++kind) {
    std::vector<double> found;
    for (int round = 0; round <= rounds; ++round) {
      const double before = product_peak<T>(threads, 400'000);
      const double start = now();
      for (int call = 0; call < calls; ++call) {
        const auto a = read(left[kind]->view()), b = read(right[kind]->view());
        if (products[kind] == Product::tn) {
          B::gemm(products[kind], a, b, dw.view());
        } else {
          B::gemm(products[kind], a, b, (products[kind] == Product::nt ? y : x).view());
        }
      }
      const double rate = layer.operations() * calls / (now() - start);
      const double peak = std::max(before, product_peak<T>(threads, 400'000));
      if (round > 0) found.push_back(rate / peak);  // the first round warms up
    }
    share[kind] = median(found);
  }
  return share;
}

/// Harmonic means over the layers, one for each product, and over all.
struct GemmMeans {
  std::array<double, 3> inverse{};
  void add(const std::array<double, 3>& share) {
    for (std::size_t kind = 0; kind < share.size(); ++kind)
      inverse[kind] += 1 / share[kind] / static_cast<double>(layers.size());
  }
  [[nodiscard]] double of(std::size_t kind) const { return 1 / inverse[kind]; }
  [[nodiscard]] double all() const { return 3 / (inverse[0] + inverse[1] + inverse[2]); }
};

}  // namespace binllm::bench
