// SPDX-License-Identifier: MIT
// Formulas and matrix products of Backend<Cuda>, against loops on the host.
#include "cuda/whole_numbers.hpp"

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cuda>;

namespace {

/// a + b and a - b
struct SumAndDifference {
  template <class X>
  [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a, const X& b) const {
    return {a + b, a - b};
  }
};

struct Layout {
  Index rows, cols, stride, offset;
};
/// A block of one row, aligned and not, with and without a gap between rows; tails of every access width.
const std::vector<Layout> layouts{{1, 1, 1, 0},   {1, 100, 100, 0}, {7, 13, 13, 0},     {7, 13, 20, 3},
                                  {5, 16, 16, 0}, {5, 16, 24, 8},   {5, 16, 16, 1},     {33, 64, 65, 0},
                                  {0, 8, 8, 0},   {3, 0, 4, 0},     {130, 576, 576, 0}, {2000, 1000, 1000, 0}};

template <class T>
void check_map(const Layout& l, Write mode, bool fresh) {
  const Tensor<T> a = wholes<T>({l.rows, l.cols}, 1), b = wholes<T>({l.cols}, 2);
  const Tensor<T> old = wholes<T>({l.rows * l.stride + l.offset + 5}, 3);
  const auto on_a = on_device<Cuda>(a), on_b = on_device<Cuda>(b);
  auto out = on_device<Cuda>(old);
  const Target<T> target(out.view().data + l.offset, l.rows, l.cols, l.stride, fresh);
  if (mode == Write::assign) {
    B::map(target, Mixture{}, elements(on_a.view()), per_column(on_b.view()));
  } else {
    B::map<Write::accumulate>(target, Mixture{}, elements(on_a.view()), per_column(on_b.view()));
  }
  Tensor<double> wanted = in_double(old.view());  // all of the block: what lies around the target stays as it is
  for (Index r = 0; r < l.rows; ++r) {
    for (Index c = 0; c < l.cols; ++c) {
      double& to = wanted.view().data[l.offset + r * l.stride + c];
      to = (mode == Write::assign || fresh ? 0 : to) + number(a, r * l.cols + c) + 2 * number(b, c);
    }
  }
  CAPTURE(l.cols);
  CAPTURE(l.stride);
  CAPTURE(l.offset);
  CHECK(wrong(host(out.view()), wanted) == 0);
}

/// c += or = a b, by the loop that one would write first.
template <class T, class C>
Tensor<double> product(Product kind, View<const T> a, View<const T> b, const Tensor<C>& old, Write mode) {
  const bool ta = kind == Product::tn, tb = kind == Product::nt;
  const Index m = ta ? a.cols() : a.rows(), k = ta ? a.rows() : a.cols(), n = tb ? b.rows() : b.cols();
  Tensor<double> c({m, n});
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      double sum = mode == Write::assign ? 0 : number(old, i * n + j);
      for (Index l = 0; l < k; ++l) {
        sum += static_cast<double>(a.data[ta ? l * m + i : i * k + l]) *
               static_cast<double>(b.data[tb ? j * k + l : l * n + j]);
      }
      c.view().data[i * n + j] = sum;
    }
  }
  return c;
}

struct Extents {
  Index m, n, k;
};
const std::vector<Extents> extents{{1, 1, 1},    {1, 7, 5},      {7, 1, 13},    {5, 3, 1},
                                   {33, 65, 17}, {64, 128, 32},  {130, 97, 64}, {128, 192, 576},
                                   {3, 1000, 8}, {257, 31, 129}, {4, 6, 0},     {0, 5, 3}};

/// `skip` rows before the factors, so that odd widths start where nothing is aligned.
template <class T, class C>
void check_gemm(Product kind, const Extents& e, Write mode, Index skip) {
  const Shape of_a = kind == Product::tn ? Shape{e.k, e.m} : Shape{e.m, e.k};
  const Shape of_b = kind == Product::nt ? Shape{e.n, e.k} : Shape{e.k, e.n};
  const Tensor<T> a = wholes<T>({of_a[0] + skip, of_a[1]}, 1), b = wholes<T>({of_b[0] + skip, of_b[1]}, 2);
  const Tensor<C> old = wholes<C>({e.m, e.n}, 3);
  const auto on_a = on_device<Cuda>(a), on_b = on_device<Cuda>(b);
  auto c = on_device<Cuda>(old);
  B::gemm(kind, on_a.view().middle_rows(skip, of_a[0]), on_b.view().middle_rows(skip, of_b[0]), c.view(), mode);
  const Tensor<double> wanted =
      product<T, C>(kind, a.view().middle_rows(skip, of_a[0]), b.view().middle_rows(skip, of_b[0]), old, mode);
  CAPTURE(static_cast<int>(kind));
  CAPTURE(e.m);
  CAPTURE(e.n);
  CAPTURE(e.k);
  CAPTURE(skip);
  CAPTURE(std::string(type_name<T>));
  // a library may add up parts of a sum in the type of the result: exact, but for results in bf16
  const auto right = [&] {
    return std::is_same_v<C, bf16> ? relative_distance(in_double(c.view()), wanted) < 0.01
                                   : wrong(host(c.view()), wanted) == 0;
  };
  CHECK(right());
  if (mode == Write::assign) return;
  const auto addend = on_device<Cuda>(old);
  B::gemm_add(kind, on_a.view().middle_rows(skip, of_a[0]), on_b.view().middle_rows(skip, of_b[0]), read(addend.view()),
              c.view());
  CHECK(right());
}

}  // namespace

TEST_CASE_TEMPLATE("cuda services: map", T, float, double, bf16) {
  if (!gpu()) return;
  for (const Layout& layout : layouts) {
    check_map<T>(layout, Write::assign, false);
    check_map<T>(layout, Write::accumulate, false);
    check_map<T>(layout, Write::accumulate, true);
  }
}

TEST_CASE_TEMPLATE("cuda services: map to two targets, one fresh, one not wanted", T, float, double, bf16) {
  if (!gpu()) return;
  for (const Shape& shape : {Shape{7, 13}, Shape{5, 32}}) {
    const Tensor<T> a = wholes<T>(shape, 1), b = wholes<T>(shape, 2), old = wholes<T>(shape, 3);
    const auto on_a = on_device<Cuda>(a), on_b = on_device<Cuda>(b);
    auto first = on_device<Cuda>(old), second = on_device<Cuda>(old);
    const Target<T> fresh(Gradient<T, Cuda>(first.view(), true)), kept(second.view());
    const Target<T> unwanted(View<T, Cuda>{});
    const auto operand_a = elements(on_a.view()), operand_b = elements(on_b.view());
    B::map<Write::accumulate>(std::array{fresh, kept}, SumAndDifference{}, operand_a, operand_b);
    B::map<Write::accumulate>(std::array{unwanted, kept}, SumAndDifference{}, operand_a, operand_b);
    B::map<Write::accumulate>(std::array{unwanted, unwanted}, SumAndDifference{}, operand_a, operand_b);
    Tensor<double> sum(shape), difference(shape);
    for (Index i = 0; i < a.size(); ++i) {
      sum.view().data[i] = number(a, i) + number(b, i);
      difference.view().data[i] = number(old, i) + 2 * (number(a, i) - number(b, i));
    }
    CHECK(wrong(host(first.view()), sum) == 0);
    CHECK(wrong(host(second.view()), difference) == 0);
  }
}

TEST_CASE_TEMPLATE("cuda services: row_reduce, sums and maxima", T, float, double, bf16) {
  if (!gpu()) return;
  for (const Index rows : {1, 7, 300}) {
    for (const Index cols : {0, 1, 31, 32, 33, 576, 1024, 1025, 5000}) {
      CAPTURE(rows);
      CAPTURE(cols);
      const Tensor<T> a = wholes<T>({rows, cols}, 1), b = wholes<T>({rows}, 2);
      const auto on_a = on_device<Cuda>(a), on_b = on_device<Cuda>(b);
      Tensor<T, Cuda> sums(Shape{rows}), maxima(Shape{rows});
      B::row_reduce<Sum>(sums.view(), cols, Mixture{}, elements(on_a.view()), per_row(on_b.view()));
      B::row_reduce<Max>(maxima.view(), cols, Mixture{}, elements(on_a.view()), per_row(on_b.view()));
      Tensor<double> wanted_sums({rows}), wanted_maxima({rows});
      for (Index r = 0; r < rows; ++r) {
        double most = -std::numeric_limits<double>::infinity();
        for (Index c = 0; c < cols; ++c) {
          const double value = number(a, r * cols + c) + 2 * number(b, r);
          wanted_sums.view().data[r] += value;
          most = std::max(most, value);
        }
        wanted_maxima.view().data[r] = most;
      }
      CHECK(wrong(host(sums.view()), wanted_sums) == 0);
      CHECK(wrong(host(maxima.view()), wanted_maxima) == 0);
    }
  }
}

TEST_CASE_TEMPLATE("cuda services: column_reduce adds to what is there", T, float, double, bf16) {
  if (!gpu()) return;
  for (const Index rows : {0, 1, 7, 64, 1000, 20000}) {
    for (const Index cols : {1, 31, 33, 130, 576}) {
      CAPTURE(rows);
      CAPTURE(cols);
      const Tensor<T> a = wholes<T>({rows, cols}, 1), b = wholes<T>({rows}, 2), old = wholes<T>({cols}, 3);
      const auto on_a = on_device<Cuda>(a), on_b = on_device<Cuda>(b);
      auto out = on_device<Cuda>(old);
      B::column_reduce(out.view(), rows, Mixture{}, elements(on_a.view()), per_row(on_b.view()));
      Tensor<double> wanted = in_double(old.view());
      for (Index r = 0; r < rows; ++r) {
        for (Index c = 0; c < cols; ++c) wanted.view().data[c] += number(a, r * cols + c) + 2 * number(b, r);
      }
      CHECK(wrong(host(out.view()), wanted) == 0);
    }
  }
}

TEST_CASE("cuda services: gemm, all products, odd extents, unaligned starts, added up") {
  if (!gpu()) return;
  for (const Product kind : {Product::nt, Product::nn, Product::tn}) {
    for (const Extents& e : extents) {
      for (const Write mode : {Write::assign, Write::accumulate}) {
        for (const Index skip : {0, 1}) {
          check_gemm<float, float>(kind, e, mode, skip);
          check_gemm<double, double>(kind, e, mode, skip);
          check_gemm<bf16, bf16>(kind, e, mode, skip);
          check_gemm<bf16, float>(kind, e, mode, skip);
        }
      }
    }
  }
}

TEST_CASE("cuda services: products of floats in tf32 are near, and only where that is asked for") {
  if (!gpu()) return;
  const auto a = normal_tensor<float>({64, 128}, 1), b = normal_tensor<float>({32, 128}, 2);
  const auto on_a = on_device<Cuda>(a), on_b = on_device<Cuda>(b);
  const auto error = [&](binllm::cuda::MatmulPrecision precision) {
    binllm::cuda::set_matmul_precision(precision);
    Tensor<float, Cuda> c(Shape{64, 32});
    B::gemm(Product::nt, on_a.view(), on_b.view(), c.view());
    binllm::cuda::set_matmul_precision(binllm::cuda::MatmulPrecision::float32);
    const Tensor<double> wanted = product<float, float>(Product::nt, a.view(), b.view(), {}, Write::assign);
    return relative_distance(in_double(c.view()), wanted);
  };
  CHECK(error(binllm::cuda::MatmulPrecision::float32) < 1e-6);
  CHECK(error(binllm::cuda::MatmulPrecision::tf32) < 2e-3);
  CHECK(error(binllm::cuda::MatmulPrecision::float32) < 1e-6);
}
