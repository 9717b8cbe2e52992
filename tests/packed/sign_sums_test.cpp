// SPDX-License-Identifier: MIT
#include <binllm/packed/kernels.hpp>

#include "support/tensors.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// The kernels of all sets that this processor has; says which it has not.
template <class X, class Sum>
std::vector<const SignSumKernel<X, Sum>*> kernels() {
  std::vector<const SignSumKernel<X, Sum>*> found;
  for (const InstructionSet set : instruction_sets) {
    if (!is_supported(set)) {
      MESSAGE("not tested, this processor does not have it: " << std::string(name_of(set)));
      continue;
    }
    for (const Index tokens : {Index{1}, Index{1000}}) {
      const auto* const kernel = &sign_sum_kernel<X, Sum>(set, tokens);
      if (kernel->set == set && (found.empty() || found.back() != kernel)) found.push_back(kernel);
    }
  }
  return found;
}

PackedMatrix<float> random_signs(Index rows, Index cols, std::uint64_t seed) {
  PackedMatrix<float> matrix(rows, cols);
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)));
  for (Index i = 0; i < rows; ++i) {
    const auto weights = normal_tensor<float>({cols}, seed + static_cast<std::uint64_t>(i));
    pack_row(read(weights.view()), bits.data());
    matrix.set_row(i, bits.data());
  }
  return matrix;
}

/// Activations (tokens, padded columns), zero after the last column.
template <class X>
struct Activations {
  Index tokens, cols;
  Tensor<X> values;
  Activations(Index token_count, Index col_count)
      : tokens(token_count), cols(col_count), values({token_count, padded_cols(col_count)}) {}
  [[nodiscard]] X& at(Index n, Index j) { return values.view().data[n * padded_cols(cols) + j]; }
  [[nodiscard]] X at(Index n, Index j) const { return values.view().data[n * padded_cols(cols) + j]; }
};

template <class X, class Value>
Activations<X> fill(Index tokens, Index cols, const Value& value) {
  Activations<X> x(tokens, cols);
  for (Index n = 0; n < tokens; ++n) {
    for (Index j = 0; j < cols; ++j) x.at(n, j) = static_cast<X>(value(n, j));
  }
  return x;
}

/// The sums of all rows of all tiles, (tokens, 64 tiles), in as many rounds as the kernel needs.
template <class X, class Sum>
Tensor<Sum> sums_of(const SignSumKernel<X, Sum>& kernel, const PackedMatrix<float>& matrix, const Activations<X>& x) {
  const Index cols = x.cols, tiles = SignTiles::tiles(matrix.rows()), width = tiles * SignTiles::rows;
  Tensor<Sum> all({x.tokens, width});
  Tensor<std::uint8_t> scratch({static_cast<Index>(kernel.scratch_bytes(cols)) + 1});
  for (Index first = 0; first < x.tokens; first += kernel.tokens_at_once) {
    const Index tokens = std::min(x.tokens - first, kernel.tokens_at_once);
    Tensor<std::uint8_t> prepared({static_cast<Index>(kernel.prepared_bytes(tokens, cols))});
    auto* const memory = reinterpret_cast<std::byte*>(prepared.view().data);
    for (Index n = 0; n < tokens; ++n)
      kernel.prepare(x.values.view().data + (first + n) * padded_cols(cols), n, cols, memory);
    for (Index tile = 0; tile < tiles; ++tile) {
      Tensor<Sum> sums({tokens, SignTiles::rows});
      kernel.sums(matrix.tiles.view().data + tile * SignTiles::blocks(cols) * SignTiles::block_bytes, cols, memory,
                  tokens, reinterpret_cast<std::byte*>(scratch.view().data), sums.view().data);
      for (Index n = 0; n < tokens; ++n)
        std::copy_n(sums.view().data + n * SignTiles::rows, SignTiles::rows,
                    all.view().data + (first + n) * width + tile * SignTiles::rows);
    }
  }
  return all;
}

constexpr const SignSumKernel<std::int8_t, std::int32_t>& plain_int8 = PlainSignSums<std::int8_t, std::int32_t>::kernel;

void check_exact(const PackedMatrix<float>& matrix, const Activations<std::int8_t>& x) {
  const auto wanted = sums_of(plain_int8, matrix, x);
  static const auto all = kernels<std::int8_t, std::int32_t>();
  for (const auto* const kernel : all) {
    CAPTURE(name_of(kernel->set));
    CAPTURE(kernel->tokens_at_once);
    CHECK(same_bits(sums_of(*kernel, matrix, x).view(), wanted.view()));
  }
}

/// |sum - exact| is at most 1e-6 sum |x|, and with tiles what they take for zero.
void check_close(const PackedMatrix<float>& matrix, const Activations<float>& x) {
  static const auto all = kernels<float, float>();
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(x.cols)));
  for (const auto* const kernel : all) {
    CAPTURE(name_of(kernel->set));
    CAPTURE(kernel->tokens_at_once);
    const auto found = sums_of(*kernel, matrix, x);
    double worst = 0;
    for (Index i = 0; i < matrix.rows(); ++i) {
      matrix.get_row(i, bits.data());
      for (Index n = 0; n < x.tokens; ++n) {
        double sum = 0, size = 0;
        for (Index j = 0; j < x.cols; ++j) {
          const double value = static_cast<double>(x.at(n, j));
          sum += (bits[static_cast<std::size_t>(j / 8)] >> (j % 8) & 1) != 0 ? value : -value;
          size += std::abs(value);
        }
        const double lost = kernel->set == InstructionSet::amx ? std::ldexp(static_cast<double>(x.cols), -125) : 0.0;
        const double error = std::abs(static_cast<double>(found.view().data[n * found.shape()[1] + i]) - sum);
        worst = std::max(worst, error <= lost ? 0.0 : (error - lost) / size);
        if (std::isnan(error)) worst = std::numeric_limits<double>::infinity();
      }
    }
    CHECK(worst <= 1e-6);
  }
}

}  // namespace

TEST_CASE("the plain sums are those of the definition") {
  const Index rows = 70, cols = 45;
  const auto matrix = random_signs(rows, cols, 1);
  const Random random(2, Purpose::test);
  const auto x = fill<std::int8_t>(3, cols, [&](Index n, Index j) {
    return static_cast<int>(random.below(static_cast<std::uint64_t>(n * cols + j), 256)) - 128;
  });
  const auto sums = sums_of(plain_int8, matrix, x);
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)));
  for (Index i = 0; i < rows; ++i) {
    matrix.get_row(i, bits.data());
    for (Index n = 0; n < 3; ++n) {
      std::int32_t sum = 0;
      for (Index j = 0; j < cols; ++j)
        sum += (bits[static_cast<std::size_t>(j / 8)] >> (j % 8) & 1) != 0 ? x.at(n, j) : -x.at(n, j);
      CHECK(sums.view().data[n * sums.shape()[1] + i] == sum);
    }
  }
}

TEST_CASE("every integer kernel gives the exact sums for any size") {
  Index tokens = 1, rows = 1;
  std::vector<Index> widths{4095, 4096, 4097};
  for (Index cols = 1; cols <= 300; cols += 7) widths.push_back(cols);
  for (const Index cols : widths) {
    const auto seed = static_cast<std::uint64_t>(1000 * cols + tokens);
    CAPTURE(seed);
    CAPTURE(rows);
    CAPTURE(cols);
    CAPTURE(tokens);
    const Random random(seed, Purpose::test);
    check_exact(random_signs(rows, cols, seed), fill<std::int8_t>(tokens, cols, [&](Index n, Index j) {
                  return static_cast<int>(random.below(static_cast<std::uint64_t>(n * cols + j), 256)) - 128;
                }));
    tokens = tokens % 40 + 1;
    rows = (rows + 37) % 130 + 1;
  }
}

TEST_CASE("every integer kernel serves any number of tokens") {
  const auto matrix = random_signs(64, 530, 7);
  for (Index tokens = 1; tokens <= 40; ++tokens) {
    CAPTURE(tokens);
    const Random random(8, Purpose::test);
    check_exact(matrix,
                fill<std::int8_t>(tokens, 530, [&](Index n, Index j) {  // like activations: some blocks overflow
                  const double value = 40 * random.normal(static_cast<std::uint64_t>(n * 530 + j));
                  return std::lround(std::clamp(value, -127.0, 127.0));
                }));
  }
}

TEST_CASE("every integer kernel is exact at the ends of the range, where tables overflow") {
  for (const Index cols : {Index{1}, Index{31}, Index{97}, Index{2049}, Index{11008}}) {
    CAPTURE(cols);
    auto matrix = random_signs(66, cols, 3);
    std::vector<std::uint8_t> plus(static_cast<std::size_t>(sign_row_bytes(cols)), 0xff), minus(plus.size());
    if (cols % 8 != 0) plus.back() = static_cast<std::uint8_t>((1u << (cols % 8)) - 1);
    matrix.set_row(0, plus.data());
    matrix.set_row(1, minus.data());
    for (const int value : {127, -127, -128, 64, 0}) {
      CAPTURE(value);
      check_exact(matrix, fill<std::int8_t>(5, cols, [&](Index, Index) { return value; }));
      check_exact(matrix,
                  fill<std::int8_t>(5, cols, [&](Index n, Index j) { return (n + j) % 3 == 0 ? -value / 2 : value; }));
    }
    check_exact(matrix,
                fill<std::int8_t>(5, cols, [&](Index n, Index j) { return j == n * (cols - 1) / 4 ? -128 : 0; }));
  }
}

TEST_CASE("every float kernel is within a few roundings of the exact sums for any size") {
  Index tokens = 1, rows = 1;
  std::vector<Index> widths{4095, 4096, 4097};
  for (Index cols = 1; cols <= 300; cols += 7) widths.push_back(cols);
  for (const Index cols : widths) {
    const auto seed = static_cast<std::uint64_t>(1000 * cols + tokens);
    CAPTURE(seed);
    CAPTURE(rows);
    CAPTURE(cols);
    CAPTURE(tokens);
    const Random random(seed, Purpose::test);
    check_close(random_signs(rows, cols, seed), fill<float>(tokens, cols, [&](Index n, Index j) {
                  return random.normal(static_cast<std::uint64_t>(n * cols + j));
                }));
    tokens = tokens % 40 + 1;
    rows = (rows + 37) % 130 + 1;
  }
}

TEST_CASE("every float kernel keeps its bounds for numbers far apart, of one size, subnormal, and zero") {
  const Index cols = 203;
  const auto matrix = random_signs(70, cols, 4);
  const Random random(5, Purpose::test);
  const auto exponent = [&](Index n, Index j) {
    return static_cast<int>(random.below(static_cast<std::uint64_t>(n * cols + j), 80)) - 40;
  };
  check_close(matrix, fill<float>(9, cols, [&](Index n, Index j) { return std::ldexp(1.2345678f, exponent(n, j)); }));
  check_close(matrix, fill<float>(9, cols, [&](Index, Index) { return 16777215.0f; }));
  check_close(matrix,
              fill<float>(9, cols, [&](Index n, Index j) { return std::ldexp(1.2345678f, exponent(n, j) / 4 - 120); }));
  check_close(matrix, fill<float>(9, cols, [&](Index n, Index j) {
                return std::ldexp(1.0f, -149) * static_cast<float>(n + j);
              }));
  check_close(matrix, fill<float>(9, cols, [&](Index, Index j) { return j % 2 == 0 ? 0.0f : -0.0f; }));
}

TEST_CASE("a single activation comes through every float kernel unchanged") {
  const Index cols = 100;
  const auto matrix = random_signs(64, cols, 6);
  const float value = 1.23456789e-7f;
  const auto x = fill<float>(17, cols, [&](Index n, Index j) { return j == 5 * n + 3 ? value : 0.0f; });
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)));
  for (const auto* const kernel : kernels<float, float>()) {
    CAPTURE(name_of(kernel->set));
    CAPTURE(kernel->tokens_at_once);
    const auto sums = sums_of(*kernel, matrix, x);
    for (Index i = 0; i < 64; ++i) {
      matrix.get_row(i, bits.data());
      for (Index n = 0; n < 17; ++n) {
        const Index j = 5 * n + 3;
        const bool plus = (bits[static_cast<std::size_t>(j / 8)] >> (j % 8) & 1) != 0;
        CHECK(sums.view().data[n * 64 + i] == (plus ? value : -value));
      }
    }
  }
}

TEST_CASE("NaN and infinity of a token give no finite sum, and do not reach the other tokens") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float signalling = std::bit_cast<float>(0x7F800001u), quiet = std::bit_cast<float>(0xFFFFFFFFu);
  const Index cols = 77, tokens = 19, struck = 9;
  const auto matrix = random_signs(64, cols, 9);
  const Random random(10, Purpose::test);
  const auto sound = fill<float>(
      tokens, cols, [&](Index n, Index j) { return random.normal(static_cast<std::uint64_t>(n * cols + j)); });
  for (const float value : {infinity, -infinity, signalling, quiet}) {
    for (const Index column : {Index{0}, Index{38}, cols - 1}) {
      CAPTURE(value);
      CAPTURE(column);
      auto x = fill<float>(tokens, cols, [&](Index n, Index j) { return sound.at(n, j); });
      x.at(struck, column) = value;
      for (const auto* const kernel : kernels<float, float>()) {
        CAPTURE(name_of(kernel->set));
        CAPTURE(kernel->tokens_at_once);
        const auto wanted = sums_of(*kernel, matrix, sound), found = sums_of(*kernel, matrix, x);
        for (Index n = 0; n < tokens; ++n) {
          const auto sums = read(found.view()).middle_rows(n, 1);
          if (n != struck) CHECK(same_bits(sums, read(wanted.view()).middle_rows(n, 1)));
          for (Index i = 0; n == struck && i < 64; ++i) CHECK(!std::isfinite(sums.data[i]));
        }
      }
    }
  }
}

TEST_CASE("the sums of a token are the same bits whichever tokens stand beside it") {
  const Index cols = 1000, tokens = 37;
  const auto matrix = random_signs(64, cols, 11);
  const Random random(12, Purpose::test);
  const auto x = fill<float>(tokens, cols,
                             [&](Index n, Index j) { return random.normal(static_cast<std::uint64_t>(n * cols + j)); });
  for (const auto* const kernel : kernels<float, float>()) {
    CAPTURE(name_of(kernel->set));
    CAPTURE(kernel->tokens_at_once);
    const auto together = sums_of(*kernel, matrix, x);
    for (Index n = 0; n < tokens; ++n) {
      const auto one = fill<float>(1, cols, [&](Index, Index j) { return x.at(n, j); });
      CHECK(same_bits(read(sums_of(*kernel, matrix, one).view()), read(together.view()).middle_rows(n, 1)));
    }
  }
}
