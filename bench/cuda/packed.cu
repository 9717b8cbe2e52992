// SPDX-License-Identifier: MIT
// Packed models on a GPU. Products of packed matrices beside cuBLASLt's of bf16 weights, in recorded graphs of many
// products whose matrices go round past the second cache: with few tokens by the bits, with many by weights that are
// unpacked for the length of a product. The time of a product includes bringing the activations into digits.
// --decode: a random model of the shape of Llama-3.2-1B decodes token by token, packed and in bf16.
// Columns:
//   tokens     rows of the activations
//   bf16 us    cuBLASLt
//   float us   the packed matrix, activations of bf16; and how many times as fast
//   int8 us    the packed matrix, activations of eight bits; likewise
#include <binllm/device/host.hpp>
#include <binllm/infer/decoder.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/nn/packed.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <span>
#include <vector>

#include "cuda/products.cuh"
#include "support/arguments.hpp"

namespace bl = binllm;
namespace bench = binllm::bench;
using bl::bf16, bl::Cuda, bl::Index, bl::Shape, bl::Tensor, bl::View;

namespace {

/// Signs of all kinds, in no order.
void fill_signs(View<std::uint8_t, Cuda> signs, std::uint32_t state) {
  Tensor<std::uint8_t> random(signs.shape);
  for (Index i = 0; i + 4 <= signs.size(); i += 4) {
    state = state * 1664525u + 1013904223u;
    bl::SignTiles::store(random.view().data + i, state ^ state >> 16);
  }
  bl::copy_to_device(bl::read(random.view()), signs);
  bl::Backend<Cuda>::synchronise();
}
void fill_matrix(bl::PackedMatrix<float, Cuda>& matrix, std::uint32_t state) {
  fill_signs(matrix.tiles.view(), state);
  const float scale = 1.0f / std::sqrt(static_cast<float>(matrix.cols));
  bl::Kernel<bl::Fill, Cuda>::forward(scale, bl::Gradient<float, Cuda>(matrix.scale.view(), true));
}

template <class Activations>
double packed_seconds(Index tokens, Index rows, Index cols, View<const bf16, Cuda> x, View<bf16, Cuda> y) {
  using K = bl::Kernel<bl::PackedLinear<Activations>, Cuda>;
  const bench::Rotation rotation{static_cast<int>(std::min<Index>(100, 200'000'000 * 8 / (rows * cols))),
                                 tokens > 64 ? 20 : 240};
  std::vector<bl::PackedMatrix<float, Cuda>> matrices;
  for (int i = 0; i < rotation.sets; ++i) fill_matrix(matrices.emplace_back(rows, cols), static_cast<std::uint32_t>(i));
  using Product = bl::PackedProduct<bf16, Cuda>;
  const Product first{matrices.data(), y};
  Tensor<std::uint8_t, Cuda> memory(Shape{K::template workspace<bf16>(tokens, std::span(&first, 1))});
  return bench::seconds(rotation, [&](int set) {
    const Product product{&matrices[static_cast<std::size_t>(set)], y};
    K::template forward_each<bf16>(x, std::span(&product, 1), memory.view());
  });
}

void print_product(Index tokens, Index rows, Index cols) {
  bench::Sets<bf16> x(1, Shape{tokens, cols}, 1), y(1, Shape{tokens, rows}, 2);
  const int sets = static_cast<int>(std::min<Index>(40, 1 + 100'000'000 / (rows * cols)));
  bench::Sets<bf16> weights(sets, Shape{rows, cols}, 3, 0.02);
  const double dense = bench::seconds({sets, tokens > 64 ? 20 : 240}, [&](int set) {
    bl::Backend<Cuda>::gemm(bl::Product::nt, bl::read(x[0]), bl::read(weights[set]), y[0]);
  });
  const double floats = packed_seconds<bl::FloatActivations>(tokens, rows, cols, bl::read(x[0]), y[0]);
  fmt::print("{:>6} {:>6} {:>6} {:>10.2f} {:>10.2f} {:>6.2f}", rows, cols, tokens, 1e6 * dense, 1e6 * floats,
             dense / floats);
  if (tokens <= 8) {
    const double bytes = packed_seconds<bl::Int8Activations>(tokens, rows, cols, bl::read(x[0]), y[0]);
    fmt::print(" {:>10.2f} {:>6.2f}\n", 1e6 * bytes, dense / bytes);
  } else {
    const double operations = 2.0 * static_cast<double>(tokens) * static_cast<double>(rows) * static_cast<double>(cols);
    fmt::print("   {:.0f} of {:.0f} TFLOP/s\n", operations / floats / 1e12, operations / dense / 1e12);
  }
  std::fflush(stdout);
}

bl::LlamaConfig shape_1b(Index positions) {
  bl::LlamaConfig c;
  c.vocab_size = 128256, c.hidden_size = 2048, c.intermediate_size = 8192, c.num_hidden_layers = 16;
  c.num_attention_heads = 32, c.num_key_value_heads = 8, c.head_dim = 64;
  c.tie_word_embeddings = true, c.max_position_embeddings = positions;
  return c;
}

/// Prompts of `seen` tokens, then token by token.
template <class Model>
void print_decode(std::string_view name, Model&& model, Index seen) {
  constexpr Index steps = 64;
  bl::Decoder<std::remove_cvref_t<Model>> decoder(std::move(model), {.capacity = seen + steps});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(seen));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 37 % 1000);
  const Index only = 0;
  double prefill = 0, decode = 0;
  for (int round = 0; round < 3; ++round) {  // the last one counts
    decoder.restart(0);
    const auto now = [] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    const double start = now();
    static_cast<void>(decoder.prefill(0, ids));
    const double read = now();
    for (Index i = 0; i < steps; ++i) {
      const std::int32_t token = static_cast<std::int32_t>(i);
      static_cast<void>(decoder.step({&only, 1}, {&token, 1}));
    }
    prefill = read - start, decode = (now() - read) / static_cast<double>(steps);
  }
  const bl::DecoderMemory memory = decoder.memory();
  constexpr double mib = 1 << 20;
  fmt::print("{:<8} {:>6} {:>12.0f} {:>10.1f} {:>10.1f} {:>10.1f} {:>10.1f}\n", name, seen,
             static_cast<double>(seen) / prefill, 1 / decode, static_cast<double>(memory.linear_layers) / mib,
             static_cast<double>(memory.key_value_cache) / mib, static_cast<double>(memory.total()) / mib);
  std::fflush(stdout);
}

void print_decodes(Index seen) {
  using Packed = bl::Llama<bf16, Cuda, bl::PackedFormat<bl::FloatActivations>>;
  {
    bl::Llama<bf16, Cuda> dense(shape_1b(seen + 64));
    bl::initialise(dense, 1);
    print_decode("bf16", std::move(dense), seen);
  }
  Packed packed(shape_1b(seen + 64));
  bl::initialise(packed, 1);
  std::uint32_t state = 1;
  bl::for_each_linear([&](auto& linear) { fill_matrix(linear.weight, state++); }, packed);
  print_decode("packed", std::move(packed), seen);
}

}  // namespace

int main(int count, char** words) {
  bench::Arguments arguments(count, words, "bench_cuda_packed [--decode]");
  const bool decode = arguments.flag("--decode");
  arguments.end();
  try {
    fmt::print("{}\n", bl::cuda::device_name());
    if (decode) {
      fmt::print("{:<8} {:>6} {:>12} {:>10} {:>10} {:>10} {:>10}\n", "model", "seen", "prompt tok/s", "tok/s",
                 "layers MiB", "cache MiB", "all MiB");
      for (const Index seen : {64, 8192}) print_decodes(seen);
      return 0;
    }
    fmt::print("{:>6} {:>6} {:>6} {:>10} {:>10} {:>6} {:>10} {:>6}\n", "rows", "cols", "tokens", "bf16 us", "float us",
               "times", "int8 us", "times");
    constexpr std::array<std::array<Index, 2>, 3> shapes{{{4096, 4096}, {11008, 4096}, {4096, 11008}}};
    for (const auto [rows, cols] : shapes)
      for (const Index tokens : {1, 2, 4, 8, 32, 2048}) print_product(tokens, rows, cols);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
