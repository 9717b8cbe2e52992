// SPDX-License-Identifier: MIT
// The steps of docs/packed-kernels.md, from the plain loop to the kernels, each timed on the same matrix and token.
#include "support/arguments.hpp"
#include "support/packed_product.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bl = binllm;

namespace {

constexpr bl::Index rows = 4096, cols = 4096;

/// One token of int8 activations, one packed matrix, and sums to write.
struct Work {
  bl::PackedMatrix<float> matrix{rows, cols};
  std::vector<std::uint8_t> row_bits;  ///< rows as files hold them
  bl::Tensor<std::int8_t> x{bl::Shape{cols}};
  std::vector<std::int32_t> sums = std::vector<std::int32_t>(rows);

  Work() : row_bits(static_cast<std::size_t>(rows * cols / 8)) {
    const bl::Random random(1, bl::Purpose::test);
    for (std::size_t i = 0; i < row_bits.size(); ++i) row_bits[i] = static_cast<std::uint8_t>(random.bits(i));
    for (bl::Index i = 0; i < rows; ++i) matrix.set_row(i, row_bits.data() + i * cols / 8);
    for (bl::Index j = 0; j < cols; ++j) {
      const double value = 35 * random.normal(static_cast<std::uint64_t>(j));
      x.view().data[j] = static_cast<std::int8_t>(std::clamp(value, -127.0, 127.0));
    }
  }
  [[nodiscard]] const std::uint8_t* row(bl::Index i) const { return row_bits.data() + i * cols / 8; }
};

/// 1. A bit, a sign, an addition.
void bit_by_bit(Work& work) {
  for (bl::Index i = 0; i < rows; ++i) {
    std::int32_t sum = 0;
    for (bl::Index j = 0; j < cols; ++j) {
      const std::int32_t x = work.x.view().data[j];
      sum += (work.row(i)[j / 8] >> (j % 8)) & 1 ? x : -x;
    }
    work.sums[static_cast<std::size_t>(i)] = sum;
  }
}

#if defined(__x86_64__)
/// 2. Sixty-four signs are a mask: it lets activations through, and vpdpbusd adds them up. Rows in the order of files.
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vnni")]] void masks(Work& work) {
  const __m512i ones = _mm512_set1_epi8(1);
  const std::int8_t* const x = work.x.view().data;
  __m512i all = _mm512_setzero_si512();
  for (bl::Index j = 0; j < cols; j += 64) all = _mm512_dpbusd_epi32(all, ones, _mm512_load_si512(x + j));
  const std::int32_t total = _mm512_reduce_add_epi32(all);
  for (bl::Index i = 0; i < rows; i += 8) {
    __m512i sum[8];
#pragma GCC unroll 8
    for (auto& s : sum) s = _mm512_setzero_si512();
    for (bl::Index j = 0; j < cols; j += 64) {
      const __m512i values = _mm512_load_si512(x + j);
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) {
        std::uint64_t signs;
        std::memcpy(&signs, work.row(i + r) + j / 8, sizeof signs);
        sum[r] = _mm512_dpbusd_epi32(sum[r], ones, _mm512_maskz_mov_epi8(signs, values));
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r)
      work.sums[static_cast<std::size_t>(i + r)] = 2 * _mm512_reduce_add_epi32(sum[r]) - total;
  }
}

/// 3. Tiles: a dword a row, so that nothing is summed across lanes and memory is one stream. Four signs become four
/// bytes of 0 and 1, and vpdpbusd multiplies them with the same four activations for sixteen rows.
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]] void bytes_in_tiles(Work& work) {
  const __m512i ones = _mm512_set1_epi8(1), at = _mm512_set1_epi64(0x2322212003020100);
  const std::uint8_t* signs = work.matrix.tiles.view().data;
  const std::int8_t* const x = work.x.view().data;
  __m512i all = _mm512_setzero_si512();
  for (bl::Index j = 0; j < cols; j += 64) all = _mm512_dpbusd_epi32(all, ones, _mm512_load_si512(x + j));
  const __m512i total = _mm512_set1_epi32(_mm512_reduce_add_epi32(all));
  for (bl::Index i = 0; i < rows; i += 64) {
    __m512i sum[4];
#pragma GCC unroll 4
    for (auto& s : sum) s = _mm512_setzero_si512();
    for (bl::Index j = 0; j < cols; j += 32, signs += 256) {
#pragma GCC unroll 8
      for (int four = 0; four < 8; ++four) {
        std::int32_t values;
        std::memcpy(&values, x + j + 4 * four, sizeof values);
        const __m512i activations = _mm512_set1_epi32(values);
        const __m512i first = _mm512_set1_epi8(static_cast<char>(8 * (four % 4) + four / 4 * 4));
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const __m512i dwords = _mm512_load_si512(signs + 64 * v);
          const __m512i bits = _mm512_multishift_epi64_epi8(_mm512_add_epi8(at, first), dwords);
          sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_and_si512(bits, ones), activations);
        }
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v)
      _mm512_storeu_si512(work.sums.data() + i + 16 * v, _mm512_sub_epi32(_mm512_slli_epi32(sum[v], 1), total));
  }
}
#endif

double check_and_time(Work& work, void (*step)(Work&), const std::vector<std::int32_t>& wanted, std::string_view name) {
  step(work);
  if (work.sums != wanted) {
    fmt::print(stderr, "{}: wrong sums\n", name);
    std::exit(1);
  }
  return bl::bench::median_seconds([&] { step(work); }, 9, 3);
}

double of_kernel(bl::InstructionSet set, bl::Index tokens) {
  bl::set_instruction_set(set);
  bl::bench::PackedProduct<bl::Int8Activations> product(rows, cols, tokens, bl::bench::Resident::cache);
  return bl::bench::median_seconds([&] { product.multiply(); }, 9, 5) / static_cast<double>(tokens);
}

void print(std::string_view name, double seconds, double before) {
  fmt::print("| {} | {:.1f} | {:.1f} | {:.2f} |\n", name, seconds * 1e6,
             static_cast<double>(rows * cols) / seconds * 1e-9, before / seconds);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_packed_steps");
  arguments.end();
  Work work;
  bit_by_bit(work);
  const std::vector<std::int32_t> wanted = work.sums;
  fmt::print("| step | µs a token | G weights/s | times the step before |\n| --- | --- | --- | --- |\n");
  double before = check_and_time(work, bit_by_bit, wanted, "bit by bit");
  print("1 bit by bit", before, before);
  const auto next = [&](std::string_view name, double seconds) {
    print(name, seconds, before);
    before = seconds;
  };
  using bl::InstructionSet;
#if defined(__x86_64__)
  if (bl::is_supported(InstructionSet::avx512)) {
    next("2 masks of 64", check_and_time(work, masks, wanted, "masks"));
    next("3 bytes in tiles", check_and_time(work, bytes_in_tiles, wanted, "bytes in tiles"));
    next("4 look-ups: the kernel, activations quantised", of_kernel(InstructionSet::avx512, 1));
    next("5 four tokens share indices", of_kernel(InstructionSet::avx512, 4));
  }
#endif
  if (bl::is_supported(InstructionSet::amx)) next("6 tiles of AMX, 32 tokens", of_kernel(InstructionSet::amx, 32));
  if (bl::is_supported(InstructionSet::avx2)) {
    fmt::print("| look-ups with AVX2, one token | {:.1f} | | |\n", of_kernel(InstructionSet::avx2, 1) * 1e6);
    fmt::print("| the same, 32 tokens | {:.1f} | | |\n", of_kernel(InstructionSet::avx2, 32) * 1e6);
  }
}
