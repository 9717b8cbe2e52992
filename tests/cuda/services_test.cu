// SPDX-License-Identifier: MIT
// Backend<Cuda> by itself, against loops on the host. Whole numbers, so that sums are exact and nothing is hidden.
#include "cuda/ops.hpp"
#include "support/errors.hpp"

#include <binllm/device/replay.hpp>

#include <numeric>

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cuda>;

namespace {

/// a + 2 b
struct Mixture {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a + b + b;
  }
};
/// a + b and a - b
struct SumAndDifference {
  template <class X>
  [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a, const X& b) const {
    return {a + b, a - b};
  }
};

/// Whole numbers in [-4, 4].
template <class T>
Tensor<T> wholes(Shape shape, std::uint64_t seed) {
  return typed<T, T>(whole_tensor<double>(shape, seed));
}
template <class T>
double number(const Tensor<T>& tensor, Index i) {
  return static_cast<double>(tensor.view().data[i]);
}
/// How many elements differ.
template <class T>
Index wrong(const Tensor<T>& found, const Tensor<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  Index count = 0;
  for (Index i = 0; i < found.size(); ++i) count += number(found, i) == rounded<T>(wanted.view().data[i]) ? 0 : 1;
  return count;
}

struct Layout {
  Index rows, cols, stride, offset;
};
/// A block of one row, aligned and not, with and without a gap between rows; tails of every access width.
const std::vector<Layout> layouts{{1, 1, 1, 0},    {1, 100, 100, 0},  {7, 13, 13, 0},   {7, 13, 20, 3},
                                  {5, 16, 16, 0},  {5, 16, 24, 8},    {5, 16, 16, 1},   {33, 64, 65, 0},
                                  {0, 8, 8, 0},    {3, 0, 4, 0},      {130, 576, 576, 0}, {2000, 1000, 1000, 0}};

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
const std::vector<Extents> extents{{1, 1, 1},    {1, 7, 5},    {7, 1, 13},   {5, 3, 1},      {33, 65, 17}, {64, 128, 32},
                                   {130, 97, 64}, {128, 192, 576}, {3, 1000, 8}, {257, 31, 129}, {4, 6, 0},    {0, 5, 3}};

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
  CHECK(wrong(host(c.view()), wanted) == 0);
  if (mode == Write::assign) return;
  const auto addend = on_device<Cuda>(old);
  B::gemm_add(kind, on_a.view().middle_rows(skip, of_a[0]), on_b.view().middle_rows(skip, of_b[0]),
              read(addend.view()), c.view());
  CHECK(wrong(host(c.view()), wanted) == 0);
}

}  // namespace

TEST_CASE("cuda: without a GPU every use says so, and the program goes on") {
  if (binllm::cuda::device_count() > 0) return;
  CHECK(id_of([] { (void)B::allocate(1); }) == ErrorId::device_missing);
  CHECK(id_of([] { Tensor<float, Cuda> tensor(Shape{3}); }) == ErrorId::device_missing);
  CHECK(id_of([] { binllm::cuda::use_device(0); }) == ErrorId::device_missing);
  CHECK(id_of([] { (void)binllm::cuda::memory(); }) == ErrorId::device_missing);
}

TEST_CASE("cuda services: a GPU that does not exist is refused, and the chosen one stays") {
  if (!gpu()) return;
  CHECK(!binllm::cuda::device_name().empty());
  CHECK(id_of([] { binllm::cuda::use_device(-1); }) == ErrorId::device_missing);
  CHECK(id_of([] { binllm::cuda::use_device(binllm::cuda::device_count()); }) == ErrorId::device_missing);
  binllm::cuda::use_device(binllm::cuda::Runtime<>::device());
  if (binllm::cuda::device_count() > 1) {  // the other one is refused while the first is in use
    CHECK(id_of([] { binllm::cuda::use_device(1 - binllm::cuda::Runtime<>::device()); }) == ErrorId::device_failed);
  }
}

TEST_CASE("cuda services: memory that is not there is refused with the numbers, and the process goes on") {
  if (!gpu()) return;
  try {
    (void)B::allocate(std::size_t{1} << 46);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::out_of_memory);
    CHECK(error.found().find("70368744177664") != std::string::npos);
    CHECK(error.found().find(std::to_string(binllm::cuda::memory().total)) != std::string::npos);
  }
  const auto before = binllm::cuda::memory().used;
  {
    const auto tensor = on_device<Cuda>(wholes<float>({1000}, 1));
    CHECK(wrong(host(tensor.view()), whole_tensor<double>({1000}, 1)) == 0);
    CHECK(binllm::cuda::memory().used >= before + 4000);
    binllm::cuda::reset_peak_memory();
    CHECK(binllm::cuda::memory().peak >= binllm::cuda::memory().used);
  }
  B::synchronise();
  CHECK(binllm::cuda::memory().used == before);
}

TEST_CASE("cuda services: copies both ways and on the device, and zeros") {
  if (!gpu()) return;
  for (const Index bytes : {0, 1, 3, 4096, 1000003}) {
    Tensor<std::uint8_t> there(Shape{bytes}), back(Shape{bytes});
    for (Index i = 0; i < bytes; ++i) there.view().data[i] = static_cast<std::uint8_t>(i * 7 % 251);
    Tensor<std::uint8_t, Cuda> first(Shape{bytes}), second(Shape{bytes});
    const auto size = static_cast<std::size_t>(bytes);
    B::copy(first.view().data, there.view().data, size);
    B::copy(second.view().data, first.view().data, size);
    B::copy(back.view().data, second.view().data, size);
    B::synchronise();
    CHECK(same_bits(read(back.view()), read(there.view())));
    if (bytes < 2) continue;
    B::zero(second.view().data + 1, size - 1);
    B::copy(back.view().data, second.view().data, size);
    B::synchronise();
    CHECK(back.view().data[0] == there.view().data[0]);
    CHECK(std::accumulate(back.view().data + 1, back.view().data + bytes, 0) == 0);
  }
}

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

TEST_CASE("cuda services: a replayed body gives what running it gives") {
  if (!gpu()) return;
  Tensor<float, Cuda> x(Shape{33}), y(Shape{33}), total(Shape{1});
  Replay<Cuda> replay;
  Tensor<double> wanted({33});
  for (std::uint64_t call = 0; call < 7; ++call) {
    const auto values = whole_tensor<float>({33}, call);
    copy_to_device(read(values.view()), x.view());
    replay([&] {
      B::map<Write::accumulate>(y.view(), Mixture{}, elements(y.view()), elements(x.view()));
      B::row_reduce<Sum>(total.view(), 33, formula::Identity{}, elements(y.view()));
    });
    double sum = 0;
    for (Index i = 0; i < 33; ++i) {
      wanted.view().data[i] += wanted.view().data[i] + 2 * number(values, i);
      sum += wanted.view().data[i];
    }
    CHECK(wrong(host(y.view()), wanted) == 0);
    CHECK(static_cast<double>(scalar_on_host(total.view())) == sum);
  }
}

TEST_CASE("cuda services: an error while a body is recorded leaves the device usable") {
  if (!gpu()) return;
  Replay<Cuda> replay;
  Tensor<float, Cuda> x(Shape{5});
  int calls = 0;
  const auto body = [&] {
    B::map<Write::accumulate>(x.view(), formula::Identity{}, Constant<float>{1});
    if (++calls == 3) throw Error(ErrorId::device_failed, "body", "calls", "another", "the third");
  };
  replay(body);
  replay(body);
  CHECK(id_of([&] { replay(body); }) == ErrorId::device_failed);
  replay(body);  // what was abandoned has not run
  replay(body);
  CHECK(largest_difference(x.view(), {4, 4, 4, 4, 4}) == 0);
}
