// SPDX-License-Identifier: MIT
// The packed product with float activations beside the system's BLAS on unpacked weights, turn by turn, one thread.
#include <binllm/device/blas.hpp>

#include "support/arguments.hpp"
#include "support/packed_product.hpp"

namespace bl = binllm;

// What the library itself has no use for.
extern "C" void cblas_sgemv(int order, int transposed, int rows, int cols, float alpha, const float* a, int stride,
                            const float* x, int x_step, float beta, float* y, int y_step);

namespace {

/// y (n,rows) = x (n,cols) W^T by sgemv for one token, by sgemm for more.
void multiply_by_blas(bl::View<const float> x, bl::View<const float> w, bl::View<float> y) {
  constexpr int row_major = 101, not_transposed = 111;
  if (x.rows() == 1) {
    const int rows = static_cast<int>(w.rows()), cols = static_cast<int>(w.cols());
    cblas_sgemv(row_major, not_transposed, rows, cols, 1, w.data, cols, x.data, 1, 0, y.data, 1);
  } else {
    bl::Backend<bl::Cpu>::gemm(bl::Product::nt, x, w, y);
  }
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_packed_blas [--rows M] [--cols K] [--batch N] [--rounds R] [--json]");
  const bl::Index rows = arguments.number("--rows", 4096), cols = arguments.number("--cols", 4096);
  const bl::Index batch = arguments.number("--batch", 1);
  const int rounds = arguments.number("--rounds", 7);
  const bool json = arguments.flag("--json");
  arguments.end();
  bl::set_thread_count(1);
  bl::use_blas(true);

  bl::bench::PackedProduct<bl::FloatActivations> product(rows, cols, batch, bl::bench::Resident::cache);
  const auto weights = bl::bench::random_tensor({rows, cols}, 1);
  bl::Tensor<float> y({batch, rows});
  const auto two = bl::bench::random_tensor({2, cols}, 2);
  bl::Tensor<float> of_two({2, rows});
  multiply_by_blas(two.view(), weights.view(), of_two.view());  // a product tells the BLAS how many threads to use
  std::vector<double> ours, theirs;
  for (int round = 0; round <= rounds; ++round) {
    const double packed = bl::bench::median_seconds([&] { product.multiply(); }, 3, batch == 1 ? 50 : 1);
    const double blas =
        bl::bench::median_seconds([&] { multiply_by_blas(product.activations(), weights.view(), y.view()); }, 3, 1);
    if (round == 0) continue;  // warms up
    ours.push_back(packed);
    theirs.push_back(blas);
  }
  const double packed = bl::bench::median(ours), blas = bl::bench::median(theirs);
  if (json) {
    fmt::print(
        "{{\"rows\": {}, \"cols\": {}, \"batch\": {}, \"isa\": \"{}\", \"microseconds\": {:.1f}, "
        "\"blas_microseconds\": {:.1f}, \"over_blas\": {:.2f}}}\n",
        rows, cols, batch, bl::name_of(bl::instruction_set()), packed * 1e6, blas * 1e6, blas / packed);
  } else {
    fmt::print("{} x {}, {} tokens, float: packed {:.1f} us, BLAS {:.1f} us: {:.1f} times as fast\n", rows, cols, batch,
               packed * 1e6, blas * 1e6, blas / packed);
  }
}
