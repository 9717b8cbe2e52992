// SPDX-License-Identifier: MIT
#include "support/instruction_sets.hpp"
#include "support/tensors.hpp"

#include <binllm/device/gemm/bf16/kernels.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cpu>;

namespace {

constexpr std::array<Index, 9> sizes{1, 2, 3, 8, 16, 17, 33, 50, 131};

Tensor<bf16> rounded(const Tensor<float>& x, bool transposed = false) {
  const Index rows = x.shape()[0], cols = x.shape()[1];
  Tensor<bf16> y(transposed ? Shape{cols, rows} : x.shape());
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j)
      y.view().data[transposed ? j * rows + i : i * cols + j] = bf16(x.view().data[i * cols + j]);
  }
  return y;
}

/// The product in double of what is left of the factors as bf16, and what its terms add up to without their signs.
struct Wanted {
  Tensor<double> value, size;
};
Wanted product(const Tensor<bf16>& a, const Tensor<bf16>& b) {
  const Index m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  Wanted c{Tensor<double>({m, n}), Tensor<double>({m, n})};
  for (Index i = 0; i < m; ++i) {
    for (Index p = 0; p < k; ++p) {
      for (Index j = 0; j < n; ++j) {
        const double term = double(a.view().data[i * k + p]) * double(b.view().data[p * n + j]);
        c.value.view().data[i * n + j] += term;
        c.size.view().data[i * n + j] += std::abs(term);
      }
    }
  }
  return c;
}

/// Assigned over rubbish and added to ones: each number within the roundings of float sums and of one bf16.
template <class C>
bool agrees(Product orientation, const Tensor<bf16>& a, const Tensor<bf16>& b, const Wanted& wanted) {
  Tensor<C> assigned(wanted.value.shape()), added(wanted.value.shape());
  for (Index i = 0; i < assigned.size(); ++i) assigned.view().data[i] = C(77.0f), added.view().data[i] = C(1.0f);
  B::gemm(orientation, read(a.view()), read(b.view()), assigned.view());
  B::gemm(orientation, read(a.view()), read(b.view()), added.view(), Write::accumulate);
  const double result = std::is_same_v<C, bf16> ? 0x1p-8 : 0;
  for (Index i = 0; i < assigned.size(); ++i) {
    const double value = wanted.value.view().data[i], sums = 4e-6 * (wanted.size.view().data[i] + 1);
    if (!(std::abs(double(assigned.view().data[i]) - value) <= sums + result * std::abs(value))) return false;
    if (!(std::abs(double(added.view().data[i]) - value - 1) <= sums + result * std::abs(value + 1))) return false;
  }
  return true;
}

void check_all_orientations(Index m, Index n, Index k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const Tensor<float> a = normal_tensor<float>({m, k}, 1), b = normal_tensor<float>({k, n}, 2);
  const Tensor<bf16> left = rounded(a), right = rounded(b), of_left = rounded(a, true), of_right = rounded(b, true);
  const Wanted wanted = product(left, right);
  CHECK(agrees<bf16>(Product::nn, left, right, wanted));
  CHECK(agrees<float>(Product::nn, left, right, wanted));
  CHECK(agrees<bf16>(Product::nt, left, of_right, wanted));
  CHECK(agrees<float>(Product::nt, left, of_right, wanted));
  CHECK(agrees<bf16>(Product::tn, of_left, right, wanted));
  CHECK(agrees<float>(Product::tn, of_left, right, wanted));
}

}  // namespace

TEST_CASE("products of bf16 in all orientations against sums in double, odd shapes included") {
  on_each_instruction_set([] {
    for (const Index m : sizes) {
      for (const Index n : sizes) {
        for (const Index k : sizes) check_all_orientations(m, n, k);
      }
    }
  });
}

TEST_CASE("products of bf16 whose sums go on in the next block, and that are cut into tiles") {
  on_each_instruction_set([] {
    for (const int count : {1, 3}) {
      const Threads threads(count);
      check_all_orientations(70, 60, 1700);
      check_all_orientations(300, 33, 64);
      check_all_orientations(20, 500, 65);
    }
  });
}

TEST_CASE("the bits of a product of bf16 do not depend on the number of threads") {
  on_each_instruction_set([] {
    const Index m = 257, n = 391, k = 900;
    const Tensor<bf16> a = rounded(normal_tensor<float>({m, k}, 3)), b = rounded(normal_tensor<float>({k, n}, 4));
    const auto product_on = [&](int count) {
      const Threads threads(count);
      Tensor<bf16> c({m, n});
      B::gemm(Product::nn, read(a.view()), read(b.view()), c.view());
      return c;
    };
    const Tensor<bf16> one = product_on(1), two = product_on(2), five = product_on(5);
    CHECK(same_bits(one.view(), two.view()));
    CHECK(same_bits(one.view(), five.view()));
  });
}

TEST_CASE("an empty sum of bf16 is 0") {
  on_each_instruction_set([] {
    const Tensor<bf16> a({5, 0}), b({0, 7});
    Tensor<bf16> c({5, 7});
    for (Index i = 0; i < c.size(); ++i) c.view().data[i] = bf16(3.0f);
    B::gemm(Product::nn, read(a.view()), read(b.view()), c.view(), Write::accumulate);
    CHECK(float(c.view().data[34]) == 3);
    B::gemm(Product::nn, read(a.view()), read(b.view()), c.view());
    CHECK(float(c.view().data[34]) == 0);
  });
}
