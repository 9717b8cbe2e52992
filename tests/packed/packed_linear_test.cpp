// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/packed/packed_linear.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {
PackedMatrix<float> packed_normal(Index rows, Index cols, std::uint64_t seed) {
  const auto w = normal_tensor<float>({rows, cols}, seed);
  PackedMatrix<float> matrix(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    pack_row(View<const float>(w.view().data + i * cols, Shape{cols}),
             matrix.signs.view().data + i * matrix.signs.shape()[1]);
    matrix.scale.view().data[i] = 0.1f + static_cast<float>(i);
  }
  return matrix;
}
}  // namespace

TEST_CASE("packing and unpacking are inverses for any width, zero counts as plus, pad bits are zero") {
  for (Index cols = 1; cols <= 70; ++cols) {
    CAPTURE(cols);
    auto w = normal_tensor<float>({cols}, static_cast<std::uint64_t>(cols));
    w.view().data[cols / 2] = 0;
    w.view().data[0] = -0.0f;
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(PackedMatrix<float>::row_bytes(cols)), 0xff);
    pack_row(read(w.view()), bits.data());
    Tensor<float> back({cols});
    unpack_row(bits.data(), back.view());
    for (Index j = 0; j < cols; ++j) CHECK(back.view().data[j] == (w.view().data[j] >= 0 ? 1.0f : -1.0f));
    if (cols % 8 != 0) CHECK((bits.back() >> (cols % 8)) == 0);
  }
}

TEST_CASE("a known block of bits") {
  const std::vector<float> w{1, -1, -1, 1, 1, 1, -1, -1, 1, -1};
  std::vector<std::uint8_t> bits(2);
  pack_row(View<const float>(w.data(), Shape{10}), bits.data());
  CHECK(bits[0] == 0b00111001);
  CHECK(bits[1] == 0b00000001);
}

TEST_CASE("the kernel computes what the definition says, for odd shapes and any number of threads") {
  for (const auto [tokens, rows, cols] : {std::array<Index, 3>{1, 1, 1}, {3, 65, 7}, {17, 130, 33}, {2, 64, 200}}) {
    CAPTURE(tokens);
    CAPTURE(rows);
    CAPTURE(cols);
    const auto x = normal_tensor<float>({tokens, cols}, 1);
    const auto matrix = packed_normal(rows, cols, 2);
    Tensor<float> plain({tokens, rows}), fast({tokens, rows}), again({tokens, rows});
    GenericKernel<PackedLinear, Cpu>::forward(x.view(), matrix.signs.view(), matrix.scale.view(), plain.view());
    set_thread_count(1);
    Kernel<PackedLinear, Cpu>::forward(x.view(), matrix.signs.view(), matrix.scale.view(), fast.view());
    set_thread_count(3);
    Kernel<PackedLinear, Cpu>::forward(x.view(), matrix.signs.view(), matrix.scale.view(), again.view());
    set_thread_count(1);
    const float scale = matrix.scale.view().flat().maxCoeff() * std::sqrt(static_cast<float>(cols));
    CHECK((plain.view().flat() - fast.view().flat()).abs().maxCoeff() < 1e-5f * scale);
    CHECK((fast.view().flat() == again.view().flat()).all());
  }
}
