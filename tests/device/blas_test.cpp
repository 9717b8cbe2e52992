// SPDX-License-Identifier: MIT
#include <binllm/device/blas.hpp>

#include "support/tensors.hpp"

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cpu>;

namespace {

/// m x n of three products from the same factors, in the library that is chosen.
template <class T>
Tensor<T> product(Product orientation) {
  const bool tn = orientation == Product::tn, nt = orientation == Product::nt;
  const Index m = 130, n = 120, k = 110;
  const auto a = normal_tensor<T>(tn ? Shape{k, m} : Shape{m, k}, 1),
             b = normal_tensor<T>(nt ? Shape{n, k} : Shape{k, n}, 2);
  Tensor<T> c({m, n});
  c.view().flat() = T(1);
  B::gemm(orientation, a.view(), b.view(), c.view(), Write::accumulate);
  return c;
}

}  // namespace

TEST_CASE_TEMPLATE("a BLAS computes the same products, and can be let go again", T, float, double) {
  for (const Product orientation : {Product::nt, Product::nn, Product::tn}) {
    const Tensor<T> own = product<T>(orientation);
    use_blas();
    CHECK((cpu::foreign_product<T> != nullptr));
    const Tensor<T> foreign = product<T>(orientation);
    use_blas(false);
    CHECK((own.view().flat() - foreign.view().flat()).abs().maxCoeff() < (sizeof(T) == 4 ? T(1e-4) : T(1e-12)));
    CHECK(same_bits(own.view(), product<T>(orientation).view()));
  }
}
