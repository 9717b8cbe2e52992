// SPDX-License-Identifier: MIT
// Products with packed matrices on the GPU, by their bits and with unpacked weights, and models that compute with them.
#include "cuda/models.hpp"

#include <binllm/device/host.hpp>
#include <binllm/infer/generate.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/packed/kernels.hpp>
#include <binllm/packed/packed_linear.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

PackedMatrix<float> packed_normal(Index rows, Index cols) {
  PackedMatrix<float> matrix(rows, cols);
  matrix.set_signs(read(normal_tensor<float>({rows, cols}, 5).view()));
  for (Index i = 0; i < rows; ++i) matrix.scale.view().data[i] = 0.1f + static_cast<float>(i % 7);
  return matrix;
}
PackedMatrix<float, Cuda> on_gpu(const PackedMatrix<float>& matrix) {
  PackedMatrix<float, Cuda> moved(matrix.rows(), matrix.cols);
  detail::copy_packed<Backend<Cuda>>(matrix, moved);
  return moved;
}
PackedMatrix<double> in_double(const PackedMatrix<float>& matrix) {
  PackedMatrix<double> exact(matrix.rows(), matrix.cols);
  std::copy_n(matrix.tiles.view().data, matrix.tiles.size(), exact.tiles.view().data);
  std::copy_n(matrix.scale.view().data, matrix.rows(), exact.scale.view().data);
  return exact;
}
template <class Activations, class T>
Tensor<T> on_gpu_product(const Tensor<T>& x, const PackedMatrix<float, Cuda>& matrix) {
  using K = Kernel<PackedLinear<Activations>, Cuda>;
  const auto input = on_device<Cuda>(x);
  Tensor<T, Cuda> y(Shape{x.shape()[0], matrix.rows()});
  const PackedProduct<T, Cuda> only{&matrix, y.view()};
  const std::span<const PackedProduct<T, Cuda>> all(&only, 1);
  Tensor<std::uint8_t, Cuda> memory(Shape{K::template workspace<T>(x.shape()[0], all)});
  K::template forward_each<T>(input.view(), all, memory.view());
  return host(read(y.view()));
}
template <class Activations, class T>
Tensor<T> by_definition(const Tensor<T>& x, const PackedMatrix<T>& matrix) {
  Tensor<T> y({x.shape()[0], matrix.rows()});
  GenericKernel<PackedLinear<Activations>, Cpu>::forward(read(x.view()), matrix, y.view());
  return y;
}

/// Rows and columns that fill no tile, no chunk and no access, more columns than shared memory holds, and a layer's.
constexpr std::array<std::array<Index, 2>, 8> matrices{
    {{1, 1}, {3, 7}, {65, 33}, {130, 264}, {64, 1000}, {300, 2048}, {33, 9001}, {70, 40000}}};

}  // namespace

TEST_CASE("cuda packed: products of eight bits are the CPU's bits") {
  if (!gpu()) return;
  for (const auto [rows, cols] : matrices) {
    CAPTURE(rows);
    CAPTURE(cols);
    const auto matrix = packed_normal(rows, cols);
    const auto moved = on_gpu(matrix);
    for (const Index tokens : {1, 3, 8, 11}) {
      CAPTURE(tokens);
      auto x = normal_tensor<float>({tokens, cols}, 6);
      if (tokens > 3) {  // a token of zeros, and two that no eight bits hold
        for (Index j = 0; j < cols; ++j) x.view().data[j] = 0;
        x.view().data[cols] = std::numeric_limits<float>::infinity();
        x.view().data[3 * cols - 1] = std::numeric_limits<float>::quiet_NaN();
      }
      const auto wanted = by_definition<Int8Activations>(x, matrix);
      const auto found = on_gpu_product<Int8Activations>(x, moved);
      Index different = 0;
      for (Index i = 0; i < wanted.size(); ++i) {
        const float a = wanted.view().data[i], b = found.view().data[i];
        different += !(a == b || (std::isnan(a) && std::isnan(b)));
      }
      CHECK(different == 0);
    }
  }
}

TEST_CASE("cuda packed: products of floats, of few tokens and of many") {
  if (!gpu()) return;
  for (const auto [rows, cols] : matrices) {
    CAPTURE(rows);
    CAPTURE(cols);
    const auto matrix = packed_normal(rows, cols);
    const auto moved = on_gpu(matrix);
    const auto exact = in_double(matrix);
    for (const Index tokens : {1, 2, 3, 5, 8, 20, 33}) {
      CAPTURE(tokens);
      const auto check = [&]<class T>(std::type_identity<T>, double allowed) {
        const auto x = typed<double, T>(normal_tensor({tokens, cols}, 6));
        const auto found = on_gpu_product<FloatActivations>(typed<T, T>(x), moved);
        CHECK(relative_distance(test::in_double(read(found.view())), by_definition<FloatActivations>(x, exact)) <
              allowed);
      };
      check(std::type_identity<float>(), 1e-5);
      check(std::type_identity<bf16>(), 5e-3);
    }
  }
}

TEST_CASE("cuda packed: a token has the same bits whatever is multiplied beside it") {
  if (!gpu()) return;
  const auto moved = on_gpu(packed_normal(300, 2048));
  const auto x = normal_tensor<float>({20, 2048}, 6);
  const auto together = on_gpu_product<FloatActivations>(x, moved);
  for (const Index n : {0, 7, 8, 19}) {
    Tensor<float> one({1, 2048});
    std::copy_n(x.view().data + n * 2048, 2048, one.view().data);
    const auto alone = on_gpu_product<FloatActivations>(one, moved);
    CHECK(std::equal(alone.view().data, alone.view().data + 300, together.view().data + n * 300));
  }
}

TEST_CASE("cuda packed: a packed model keeps its bits on the GPU, and says there what it says on the CPU") {
  if (!gpu()) return;
  const auto packed = pack<FloatActivations>(binary_start());
  const PerplexityOptions windows{.context = 31, .batch = 3, .max_windows = 10};
  const double wanted = evaluate_perplexity(packed, gpu_corpus(), windows).nll;
  const auto in_float = on_device<Cuda, float>(packed);
  const auto in_bf16 = on_device<Cuda, bf16>(packed);
  CHECK(evaluate_perplexity(in_float, gpu_corpus(), windows).nll == doctest::Approx(wanted).epsilon(1e-5));
  CHECK(evaluate_perplexity(in_bf16, gpu_corpus(), windows).nll == doctest::Approx(wanted).epsilon(2e-2));

  const std::vector<std::vector<std::int32_t>> prompts{{1, 4, 9}, {16, 25}};
  const GenerateOptions options{.max_tokens = 12, .vocabulary = VocabularyPrecision::float32};
  const auto here = generate_batch(packed, prompts, options), there = generate_batch(in_float, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) CHECK(here.sequences[i].tokens == there.sequences[i].tokens);

  const DecoderMemory on_host = Decoder(packed).memory(), on_device = Decoder(in_bf16).memory();
  CHECK(on_device.linear_layers == on_host.linear_layers);
  CHECK(Decoder(in_bf16).precision() == VocabularyPrecision::bfloat16);
  CHECK(Decoder(in_float).precision() == VocabularyPrecision::float32);
}

TEST_CASE("cuda packed: eight bits on the GPU continue a text as eight bits on the CPU do") {
  if (!gpu()) return;
  const auto packed = pack(binary_start());
  const auto there = on_device<Cuda, float>(packed);
  const std::vector<std::vector<std::int32_t>> prompts{{1, 4, 9}, {16, 25}};
  const GenerateOptions options{.max_tokens = 12, .vocabulary = VocabularyPrecision::float32};
  const auto wanted = generate_batch(packed, prompts, options), found = generate_batch(there, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) CHECK(wanted.sequences[i].tokens == found.sequences[i].tokens);
}
