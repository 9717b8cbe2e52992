// SPDX-License-Identifier: MIT
// From three loops to the library's matrix product in five steps, GFLOP/s of c(512, 576) = a(512, 576) b(576, 576),
// all row-major. docs/training-speed.md tells the story.
#include <array>
#include <cmath>

#include "support/arguments.hpp"
#include "support/gemm_shares.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

constexpr Index rows = 512, inner = 576, cols = 576;

/// Each element of c by itself: b is read down its columns, a cache line for each number.
void three_loops(const float* a, const float* b, float* c) {
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      float sum = 0;
      for (Index p = 0; p < inner; ++p) sum += a[i * inner + p] * b[p * cols + j];
      c[i * cols + j] = sum;
    }
  }
}

/// Rows of b are added to rows of c: neighbours in memory, which the compiler turns into vectors.
void along_rows(const float* __restrict a, const float* __restrict b, float* __restrict c) {
  for (Index i = 0; i < rows; ++i) {
    std::fill_n(c + i * cols, cols, 0.0f);
    for (Index p = 0; p < inner; ++p) {
      const float factor = a[i * inner + p];
      for (Index j = 0; j < cols; ++j) c[i * cols + j] += factor * b[p * cols + j];
    }
  }
}

/// A tile of c in registers, and both factors read where they lie.
class UnpackedTile {
  using Tile = bl::cpu::RegisterTile<float>;
  using Packet = Tile::Packet;
  struct Vector {  // a bare packet, as the element of an array, would lose its alignment
    Packet value;
  };

 public:
  static void product(const float* a, const float* b, float* c) {
    static_assert(rows % Tile::rows == 0 && cols % Tile::width == 0);
    for (Index j = 0; j < cols; j += Tile::width) {
      for (Index i = 0; i < rows; i += Tile::rows) {
        tile(a + i * inner, b + j, c + i * cols + j, std::make_index_sequence<Tile::rows * Tile::vectors>{});
      }
    }
  }

 private:
  template <std::size_t... sum>  // written out by index, so that all sums stay in registers
  static void tile(const float* a, const float* b, float* c, std::index_sequence<sum...>) {
    namespace simd = Eigen::internal;
    constexpr std::size_t across = Tile::vectors;
    Vector sums[] = {(static_cast<void>(sum), Vector{simd::pset1<Packet>(0.0f)})...};
    for (Index p = 0; p < inner; ++p) {
      const float* const right = b + p * cols;
      ((sums[sum].value =
            simd::pmadd(simd::pset1<Packet>(a[static_cast<Index>(sum / across) * inner + p]),
                        simd::ploadu<Packet>(right + static_cast<Index>(sum % across) * Tile::lanes), sums[sum].value)),
       ...);
    }
    (simd::pstoreu(c + static_cast<Index>(sum / across) * cols + static_cast<Index>(sum % across) * Tile::lanes,
                   sums[sum].value),
     ...);
  }
};

/// The same tile with panels, in blocks that fit the caches.
void panels(const float* a, const float* b, float* c) {
  static bl::Scratch memory;
  memory.reserve(bl::cpu::gemm_bytes<float>(rows, cols, inner));
  bl::cpu::gemm_serial<float>(rows, cols, inner, 1.0f, {a, inner, false}, {b, cols, false}, false, c, cols,
                              memory.data());
}

/// And on all threads.
void threads(const float* a, const float* b, float* c) {
  using View = bl::View<const float>;
  bl::Backend<bl::Cpu>::gemm(bl::Product::nn, View(a, {rows, inner}), View(b, {inner, cols}),
                             bl::View<float>(c, {rows, cols}));
}

struct Step {
  const char *name, *words;
  void (*product)(const float*, const float*, float*);
};
constexpr std::array<Step, 5> steps{{{"three_loops", "three loops", three_loops},
                                     {"along_rows", "along rows", along_rows},
                                     {"register_tile", "a tile in registers", UnpackedTile::product},
                                     {"panels", "panels and blocks", panels},
                                     {"threads", "all threads", threads}}};

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_gemm_steps [--threads N] [--rounds R] [--json]");
  const int thread_count = arguments.number("--threads", 2), rounds = arguments.number("--rounds", 9);
  const bool json = arguments.flag("--json");
  arguments.end();
  bl::set_thread_count(thread_count);

  const auto a = bl::bench::random_tensor({rows, inner}, 0), b = bl::bench::random_tensor({inner, cols}, 1);
  bl::Tensor<float> first({rows, cols}), result({rows, cols});
  three_loops(a.view().data, b.view().data, first.view().data);
  const double peak = bl::bench::fma_peak(1), operations = 2.0 * rows * inner * cols;
  const char* separator = "{";
  for (const Step& step : steps) {
    const double seconds =
        bl::bench::median_seconds([&] { step.product(a.view().data, b.view().data, result.view().data); }, rounds, 1);
    const float error = (result.view().flat() - first.view().flat()).abs().maxCoeff();
    if (!(error < 1e-3f)) return fmt::print(stderr, "{}: wrong by {}\n", step.words, error), 1;
    fmt::print(fmt::runtime(json ? "{}\"{}\": {:.2f}" : "{}{:<20} {:8.2f} GFLOP/s\n"), json ? separator : "",
               json ? step.name : step.words, operations / seconds / 1e9);
    separator = ", ";
  }
  fmt::print(fmt::runtime(json ? ", \"fma_peak\": {:.1f}}}\n" : "FMA peak of a thread {:.1f} GFLOP/s\n"), peak / 1e9);
}
