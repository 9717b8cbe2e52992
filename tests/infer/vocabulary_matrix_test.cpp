// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/infer/vocabulary_matrix.hpp>

#include <array>
#include <cmath>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

struct Case {
  Index vocabulary, cols, tokens;
};
/// One of everything; rows and columns that fill no tile, no vector, several tiles; tokens in all blocks.
constexpr std::array<Case, 7> cases{
    {{1, 1, 1}, {17, 31, 2}, {16, 32, 3}, {37, 64, 4}, {50, 65, 8}, {130, 576, 15}, {700, 200, 1}}};

template <class T>
Tensor<T> logits_of(const VocabularyMatrix<T>& vocabulary, View<const T> x) {
  Tensor<T> y({x.rows(), vocabulary.shape()[0]});
  Tensor<std::byte> memory({vocabulary.workspace(x.rows())});
  vocabulary.logits(x, memory.view(), y.view());
  return y;
}

/// The definition's logits.
template <class Op, class Rows>
Tensor<float> defined(const Rows& w, const Tensor<float>& x) {
  Tensor<float> y({x.shape()[0], w.values.shape()[0]});
  Tensor<std::byte> memory({GenericKernel<Op, Cpu>::workspace(w.width(), x.shape()[0])});
  GenericKernel<Op, Cpu>::forward(w, read(x.view()), memory.view(), y.view());
  return y;
}
template <class Rows>
Tensor<float> computed(const typename Rows::Matrix& w, View<const float> x) {
  Tensor<float> y({x.rows(), w.values.shape()[0]});
  Tensor<std::byte> memory({cpu::vocabulary_workspace(w.width(), x.rows())});
  cpu::multiply_rows<Rows>(w, x, memory.view().data, y.view());
  return y;
}
template <class Rows>
Rows rows_of(const Case& c, std::uint64_t seed) {
  Rows rows(c.vocabulary, c.cols);
  const auto w = normal_tensor<float>({c.vocabulary, c.cols}, seed);
  for (Index i = 0; i < c.vocabulary; ++i) rows.set_row(i, w.view().data + i * c.cols);
  return rows;
}

/// Calls check(rows) for the rows of every instruction set that this processor has.
template <class Check>
void on_bf16_rows(const Check& check) {
  check(cpu::PlainBf16Rows{});
#if defined(__x86_64__)
  if (is_supported(InstructionSet::avx2)) check(cpu::Avx2Bf16Rows{});
  if (is_supported(InstructionSet::avx512)) check(cpu::Avx512Bf16Rows{});
#elif defined(__wasm_simd128__)
  check(cpu::Simd128Bf16Rows{});
#endif
}
template <class Check>
void on_int8_rows(const Check& check) {
  check(cpu::PlainInt8Rows{});
#if defined(__x86_64__)
  if (is_supported(InstructionSet::avx2)) check(cpu::Avx2Int8Rows{});
  if (is_supported(InstructionSet::avx512)) check(cpu::Avx512Int8Rows{});
#elif defined(__wasm_simd128__)
  check(cpu::Simd128Int8Rows{});
#endif
}

}  // namespace

TEST_CASE("bf16: rounded to nearest, ties to even, exact where it can be") {
  for (const float exact : {0.0f, -1.0f, 1.5f, 0x1.fep100f, -0x1.02p-126f, 0x1p-133f})
    CHECK(float_from_bf16(bf16_from_float(exact)) == exact);
  CHECK(float_from_bf16(bf16_from_float(0x1.01p0f)) == 0x1.00p0f);      // a tie: 1.00 has the even last bit
  CHECK(float_from_bf16(bf16_from_float(0x1.03p0f)) == 0x1.04p0f);      // a tie: 1.04 has it
  CHECK(float_from_bf16(bf16_from_float(0x1.010002p0f)) == 0x1.02p0f);  // a little above the tie
  CHECK(float_from_bf16(bf16_from_float(-0x1.00fffep0f)) == -0x1.00p0f);
}

TEST_CASE("bf16 rows: every instruction set agrees with the definition") {
  for (const Case& c : cases) {
    CAPTURE(c.cols);
    const auto w = rows_of<Bf16Rows<Cpu>>(c, 1);
    const auto x = normal_tensor<float>({c.tokens, c.cols}, 2);
    const auto wanted = defined<Bf16RowsProduct>(w, x);
    const double tolerance = 1e-6 * static_cast<double>(c.cols);
    on_bf16_rows([&](auto rows) {
      CHECK(largest_difference(computed<decltype(rows)>(w, x.view()).view(), wanted.view()) < tolerance);
    });
  }
}

TEST_CASE("int8 rows: every instruction set computes the sums of a plain loop, bit for bit") {
  for (const Case& c : cases) {
    CAPTURE(c.cols);
    const auto w = rows_of<Int8Rows<Cpu>>(c, 1);
    auto x = normal_tensor<float>({c.tokens, c.cols}, 2);
    if (c.tokens > 2) x.view().row(1).setZero();
    const auto wanted = defined<Int8RowsProduct>(w, x);
    on_int8_rows([&](auto rows) { CHECK(same_bits(computed<decltype(rows)>(w, x.view()).view(), wanted.view())); });
  }
}

TEST_CASE("int8 rows: the largest sums do not overflow") {
  const Index cols = Index{1} << 16;
  Int8Rows<Cpu> w(2, cols);
  Tensor<float> x({1, cols});
  x.view().flat().setConstant(-1);
  w.set_row(0, x.view().data);
  x.view().flat().setConstant(1);
  w.set_row(1, x.view().data);
  on_int8_rows([&](auto rows) {
    const auto y = computed<decltype(rows)>(w, x.view());
    CHECK(y.view().data[0] == doctest::Approx(-65536));
    CHECK(y.view().data[1] == doctest::Approx(65536));
  });
}

TEST_CASE("a token's logits do not depend on the tokens beside it or the number of threads") {
  for (const Case& c : cases) {
    const auto weights = normal_tensor<float>({c.vocabulary, c.cols}, 1),
               x = normal_tensor<float>({c.tokens, c.cols}, 2);
    for (const VocabularyPrecision precision : {VocabularyPrecision::bfloat16, VocabularyPrecision::int8}) {
      const VocabularyMatrix<float> vocabulary(weights.view(), precision);
      const auto together = logits_of(vocabulary, x.view());
      for (Index n = 0; n < c.tokens; ++n) {
        const auto alone = logits_of(vocabulary, x.view().middle_rows(n, 1));
        CHECK(same_bits(alone.view(), together.view().middle_rows(n, 1)));
      }
      const Threads two(2);
      CHECK(same_bits(logits_of(vocabulary, x.view()).view(), read(together.view())));
    }
  }
}

TEST_CASE_TEMPLATE("vocabularies: rows, and logits within the bounds of their rounding", T, float, double) {
  const Index size = 45, cols = 70;
  const auto weights = normal_tensor<T>({size, cols}, 1), x = normal_tensor<T>({3, cols}, 2);
  const auto ids = list<std::int32_t>({44, 0, 7, 7});
  const VocabularyMatrix<T> exact(weights.view(), VocabularyPrecision::float32);
  const auto wanted = logits_of(exact, x.view());
  CHECK(exact.bytes() == 0);
  for (const VocabularyPrecision precision : vocabulary_precisions) {
    const VocabularyMatrix<T> vocabulary(weights.view(), precision);
    Tensor<T> rows({4, cols});
    vocabulary.gather(ids.view(), rows.view());
    const auto logits = logits_of(vocabulary, x.view());
    for (Index n = 0; n < 4; ++n) {
      const auto row = weights.view().row(ids.view().data[n]);
      const double most = static_cast<double>(row.abs().maxCoeff());
      const double step = precision == VocabularyPrecision::float32    ? 0
                          : precision == VocabularyPrecision::bfloat16 ? most / 256
                                                                       : most / 253;
      CHECK(static_cast<double>((rows.view().row(n) - row).abs().maxCoeff()) <= step);
    }
    for (Index n = 0; n < 3; ++n) {
      const double most_x = static_cast<double>(x.view().row(n).abs().maxCoeff());
      for (Index i = 0; i < size; ++i) {
        const double sum_x = static_cast<double>(x.view().row(n).abs().sum());
        const double sum_w = static_cast<double>(weights.view().row(i).abs().sum());
        const double most_w = static_cast<double>(weights.view().row(i).abs().maxCoeff());
        const double bound =
            precision == VocabularyPrecision::float32 ? 0
            : precision == VocabularyPrecision::bfloat16
                ? most_w / 256 * sum_x
                : (most_w * sum_x + most_x * sum_w) / 253 + static_cast<double>(cols) * most_w * most_x / 64000;
        const double difference = std::abs(static_cast<double>(logits.view().data[n * size + i]) -
                                           static_cast<double>(wanted.view().data[n * size + i]));
        CHECK(difference <= bound + 1e-5);
      }
    }
  }
  CHECK(VocabularyMatrix<T>(weights.view(), VocabularyPrecision::bfloat16).bytes() == 45 * 96 * 2);
  CHECK(VocabularyMatrix<T>(weights.view(), VocabularyPrecision::int8).bytes() == 45 * (128 + 4 + 4));
}

TEST_CASE("vocabularies: names and errors") {
  for (const VocabularyPrecision precision : vocabulary_precisions)
    CHECK(vocabulary_precision_named(name_of(precision)) == precision);
  CHECK(id_of([] { (void)vocabulary_precision_named("fp16"); }) == ErrorId::unknown_name);
  const Tensor<float> flat({4}), wide({1, (1 << 16) + 1});
  const auto made = [](const Tensor<float>& w, VocabularyPrecision precision) {
    return id_of([&] { const VocabularyMatrix<float> matrix(w.view(), precision); });
  };
  CHECK(made(flat, VocabularyPrecision::float32) == ErrorId::rank_unsupported);
  CHECK(made(wide, VocabularyPrecision::int8) == ErrorId::config_inconsistent);
}

TEST_CASE("the vocabulary of a model in bf16: rows of its copy are those of the master weights, rounded") {
  const auto ids = list<std::int32_t>({44, 0, 7, 7});
  for (const Index cols : {1, 70}) {
    const auto weights = normal_tensor<float>({45, cols}, 1);
    const VocabularyMatrix<bf16> from_masters(weights.view(), VocabularyPrecision::float32);
    const VocabularyMatrix<bf16> from_copy(weights.view(), VocabularyPrecision::bfloat16);
    Tensor<bf16> wanted({4, cols}), found({4, cols});
    from_masters.gather(ids.view(), wanted.view());
    from_copy.gather(ids.view(), found.view());
    CHECK(same_bits(found.view(), read(wanted.view())));
  }
}
