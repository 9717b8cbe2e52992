// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cpu>;

namespace {

constexpr std::array<Index, 8> sizes{1, 2, 3, 15, 16, 17, 33, 200};

template <class T>
Tensor<T> transposed(const Tensor<T>& x) {
  Tensor<T> y({x.shape()[1], x.shape()[0]});
  for (Index r = 0; r < x.shape()[0]; ++r) {
    for (Index c = 0; c < x.shape()[1]; ++c) y.view().data[c * x.shape()[0] + r] = x.view().data[r * x.shape()[1] + c];
  }
  return y;
}

/// a b, element by element.
template <class T>
Tensor<T> product(const Tensor<T>& a, const Tensor<T>& b) {
  const Index m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  Tensor<T> c({m, n});
  for (Index i = 0; i < m; ++i) {
    for (Index p = 0; p < k; ++p) {
      const T factor = a.view().data[i * k + p];
      for (Index j = 0; j < n; ++j) c.view().data[i * n + j] += factor * b.view().data[p * n + j];
    }
  }
  return c;
}

/// One product in one orientation, assigned over rubbish or added to ones, against the loop's.
template <class T>
bool agrees(Product orientation, const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& wanted) {
  Tensor<T> assigned(wanted.shape()), added(wanted.shape());
  assigned.view().flat() = T(77);
  added.view().flat() = T(1);
  B::gemm(orientation, a.view(), b.view(), assigned.view());
  B::gemm(orientation, a.view(), b.view(), added.view(), Write::accumulate);
  return (assigned.view().flat() == wanted.view().flat()).all() &&
         (added.view().flat() == wanted.view().flat() + T(1)).all();
}

template <class T>
void check_all_orientations(Index m, Index n, Index k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const Tensor<T> a = whole_tensor<T>({m, k}, 1), b = whole_tensor<T>({k, n}, 2), wanted = product(a, b);
  CHECK(agrees(Product::nn, a, b, wanted));
  CHECK(agrees(Product::nt, a, transposed(b), wanted));
  CHECK(agrees(Product::tn, transposed(a), b, wanted));
}

}  // namespace

TEST_CASE_TEMPLATE("products in all orientations against loops, odd shapes included", T, float, double) {
  for (const Index m : sizes) {
    for (const Index n : sizes) {
      for (const Index k : sizes) check_all_orientations<T>(m, n, k);
    }
  }
}

TEST_CASE("products that are cut into tiles") {
  for (const int count : {1, 3}) {
    const Threads threads(count);
    check_all_orientations<float>(1000, 33, 17);
    check_all_orientations<float>(17, 1000, 33);
    check_all_orientations<float>(1, 3000, 100);
    check_all_orientations<float>(3000, 1, 100);
    check_all_orientations<double>(513, 257, 3);
  }
}

TEST_CASE("an empty inner dimension gives zeros, or adds nothing") {
  const Tensor<double> a({3, 0}), b({0, 4});
  Tensor<double> y({3, 4});
  y.view().flat() = 5;
  B::gemm(Product::nn, a.view(), b.view(), y.view(), Write::accumulate);
  CHECK((y.view().flat() == 5).all());
  B::gemm(Product::nn, a.view(), b.view(), y.view());
  CHECK((y.view().flat() == 0).all());
}

TEST_CASE_TEMPLATE("a product has the same bits at 1, 2 and 3 threads", T, float, double) {
  constexpr std::array<std::array<Index, 3>, 5> extents{
      {{200, 200, 200}, {1000, 17, 33}, {17, 1000, 33}, {1, 4000, 200}, {129, 130, 131}}};
  for (const auto [m, n, k] : extents) {
    const auto a = normal_tensor<T>({m, k}, 1), b = normal_tensor<T>({n, k}, 2);
    Tensor<T> once({m, n}), again({m, n});
    B::gemm(Product::nt, a.view(), b.view(), once.view());
    for (const int count : {2, 3}) {
      const Threads threads(count);
      B::gemm(Product::nt, a.view(), b.view(), again.view());
      CHECK(same_bits(once.view(), again.view()));
    }
  }
}

TEST_CASE_TEMPLATE("dot and axpy, tails included", T, float, double) {
  for (const Index n : {0, 1, 31, 32, 33, 64, 100}) {
    const auto a = whole_tensor<T>({n}, 1), b = whole_tensor<T>({n}, 2);
    Tensor<T> y = whole_tensor<T>({n}, 2);
    CHECK(cpu::dot(a.view().data, b.view().data, n) == (a.view().flat() * b.view().flat()).sum());
    cpu::axpy(T(3), a.view().data, y.view().data, n);
    CHECK((y.view().flat() == T(3) * a.view().flat() + b.view().flat()).all());
  }
}

TEST_CASE_TEMPLATE("panels that suffice for a product suffice for every smaller one", T, float, double) {
  constexpr std::array<Index, 14> grid{1, 8, 17, 47, 48, 64, 200, 232, 256, 288, 384, 385, 1000, 5000};
  constexpr Index guard = 64;
  int too_small = 0, torn = 0;
  for (std::size_t i = 0; i < grid.size() * grid.size() * grid.size(); ++i) {
    const Index m = grid.at(i % 14), n = grid.at(i / 14 % 14), k = grid.at(i / 196);
    too_small += cpu::gemm_bytes<T>(m, n, k) <= cpu::gemm_bytes<T>(m + 1, n + 3, k + 5) ? 0 : 1;
    if (m * n * k > 3'000'000) continue;
    const auto elements = static_cast<Index>(cpu::gemm_bytes<T>(m, n, k) / sizeof(T));
    Tensor<T> memory({elements + guard}), c({m, n});
    const Tensor<T> a({m, k}), b({n, k});
    memory.view().flat() = T(77);
    cpu::gemm_serial<T>(m, n, k, T(1), {a.view().data, k, false}, {b.view().data, k, true}, false, c.view().data, n,
                        memory.view().data);
    torn += (memory.view().flat().tail(guard) == T(77)).all() ? 0 : 1;
  }
  CHECK(too_small == 0);
  CHECK(torn == 0);
}

TEST_CASE_TEMPLATE("a grid of tiles covers the product and leaves no thread idle", T, float, double) {
  for (const int threads : {1, 2, 3, 16}) {
    for (const Index m : {1, 64, 1000, 32000}) {
      for (const Index n : {1, 47, 288, 49152}) {
        const cpu::ProductGrid grid(m, n, 576, false, true, threads, cpu::tile_rate<T>());
        CHECK(grid.down * grid.height >= m);
        CHECK((grid.down - 1) * grid.height < m);
        CHECK(grid.across * grid.width >= n);
        CHECK((grid.across - 1) * grid.width < n);
        if (m >= 1000 && n >= 288) CHECK(grid.tiles() >= threads);
      }
    }
  }
}
