// SPDX-License-Identifier: MIT
#include "support/scaled_estimator.hpp"

#include <binllm/ops/fast/rows.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("rows: forward, backward and sums, with whole packs and a rest") {
  const auto at = prepared(Scaled{}, 2.0);
  std::array<double, 40> w{}, g{}, wb{}, dw{};
  for (const Index size : {1, 31, 32, 37}) {
    wb.fill(-1), dw.fill(7);
    double value = 0;
    for (Index i = 0; i < size; ++i) {
      const auto k = static_cast<std::size_t>(i);
      w[k] = static_cast<double>(i % 5) - 2, g[k] = static_cast<double>(i % 3);
      value += g[k] * 3 * w[k] / 2;
    }
    using Rows = EstimatorRows<double, Scaled::At>;
    EstimatorRow<double> row{w.data(), w.data(), g.data(), size, 0.5, 10, wb.data()};
    Rows::forward(at, row);
    row.out = dw.data();
    const EstimatorSums<double> sums = Rows::backward_with_sums(at, row);
    Rows::backward(at, row);
    row.out = nullptr;
    CHECK(Rows::backward_with_sums(at, row).value == sums.value);
    CHECK(sums.value == value);
    CHECK(sums.scale == 0);  // E is linear
    for (std::size_t i = 0; i < w.size(); ++i) {
      const bool inside = static_cast<Index>(i) < size;
      CHECK(wb[i] == (inside ? 15 * w[i] : -1));
      CHECK(dw[i] == (inside ? 7 + 60 * g[i] : 7));
    }
  }
}
