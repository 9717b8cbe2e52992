// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/sanitizers.hpp"
#include "support/tensors.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

using namespace binllm;
using namespace binllm::test;
using B = Backend<Cpu>;

namespace {

/// a b + c: exact for whole numbers, so that any order of adding up gives the same.
struct Combine {
  template <class X>
  X operator()(const X& a, const X& b, const X& c) const {
    return a * b + c;
  }
};

/// Shapes with and without tails, one row, one column, and more columns than a tile holds.
constexpr std::array<std::array<Index, 2>, 12> extents{
    {{1, 1}, {3, 1}, {4, 7}, {9, 24}, {1, 31}, {2, 32}, {5, 33}, {40, 64}, {7, 100}, {700, 33}, {2, 40000}, {0, 5}}};

/// Not zero where x is, so that lanes which no column has would show in a sum; below zero, so that they would in a
/// maximum.
struct Below {
  template <class X>
  X operator()(const X& x) const {
    return x - formula::lane_t<X>(9);
  }
};
/// Two results.
struct SumAndProduct {
  template <class X>
  std::array<X, 2> operator()(const X& a, const X& b) const {
    return {a + b, a * b};
  }
};
struct TanhOf {
  template <class X>
  X operator()(const X& x) const {
    return formula::tanh(x);
  }
};

}  // namespace

TEST_CASE_TEMPLATE("map: every element once, assigned or added", T, float, double) {
  for (const auto [rows, cols] : extents) {
    for (const int count : {1, 3}) {
      const Threads threads(count);
      const auto a = whole_tensor<T>({rows, cols}, 1), b = whole_tensor<T>({rows}, 2), c = whole_tensor<T>({cols}, 3);
      Tensor<T> y = whole_tensor<T>({rows, cols}, 4), z = whole_tensor<T>({rows, cols}, 4);
      const Tensor<T> before = whole_tensor<T>({rows, cols}, 4);
      B::map(y.view(), Combine{}, elements(a.view()), per_row(b.view()), per_column(c.view()));
      B::map<Write::accumulate>(z.view(), Combine{}, elements(a.view()), per_row(b.view()), per_column(c.view()));
      int wrong = 0;
      for (Index i = 0; i < rows * cols; ++i) {
        const T wanted = a.view().data[i] * b.view().data[i / cols] + c.view().data[i % cols];
        wrong += y.view().data[i] == wanted && z.view().data[i] == before.view().data[i] + wanted ? 0 : 1;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("map: rows apart, and nothing between them touched") {
  const auto x = whole_tensor<double>({3, 40}, 1);
  Tensor<double> y({3, 100});
  B::map(Target<double>(y.view().data + 5, 3, 40, 100), formula::Identity{}, elements(x.view()));
  CHECK((y.view().matrix().middleCols(5, 40) - x.view().matrix()).norm() == 0);
  CHECK(y.view().matrix().leftCols(5).norm() == 0);
  CHECK(y.view().matrix().rightCols(55).norm() == 0);
}

TEST_CASE_TEMPLATE("map: a column's result does not depend on where it stands, and nothing lies beyond a row", T, float,
                   double) {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  Tensor<T> x({100}), y({100});
  for (Index cols = 1; cols <= 70; ++cols) {
    x.view().flat() = nan;
    y.view().flat() = T(-1);
    x.view().flat().head(cols) = T(0.3);
    B::map(View<T>(y.view().data, {cols}), TanhOf{}, elements(View<T>(x.view().data, {cols})));
    const T first = y.view().data[0];
    CHECK(std::abs(first - std::tanh(T(0.3))) < 8 * std::numeric_limits<T>::epsilon());
    CHECK((y.view().flat().head(cols) == first).all());
    CHECK((y.view().flat().tail(100 - cols) == T(-1)).all());
  }
}

TEST_CASE_TEMPLATE("map: several results in one pass", T, float, double) {
  for (const auto [rows, cols] : extents) {
    for (const int count : {1, 3}) {
      const Threads threads(count);
      const auto a = whole_tensor<T>({rows, cols}, 1), b = whole_tensor<T>({rows, cols}, 2);
      Tensor<T> sum({rows, cols}), product({rows, cols}), wanted_sum({rows, cols}), wanted_product({rows, cols});
      const auto in_a = elements(a.view()), in_b = elements(b.view());
      wanted_sum.view().flat() = a.view().flat() + b.view().flat();
      wanted_product.view().flat() = a.view().flat() * b.view().flat();
      B::map(std::array{Target<T>(sum.view()), Target<T>(product.view())}, SumAndProduct{}, in_a, in_b);
      CHECK(same_bits(sum.view(), wanted_sum.view()));
      CHECK(same_bits(product.view(), wanted_product.view()));
      // Added; and one of them not wanted.
      B::map<Write::accumulate>(std::array{Target<T>(View<T>()), Target<T>(product.view())}, SumAndProduct{}, in_a,
                                in_b);
      B::map<Write::accumulate>(std::array{Target<T>(sum.view()), Target<T>(View<T>())}, SumAndProduct{}, in_a, in_b);
      CHECK(largest_difference(sum.view(), Tensor<T>({rows, cols}).view()) ==
            2 * largest_difference(wanted_sum.view(), Tensor<T>({rows, cols}).view()));
      CHECK((product.view().flat() == T(2) * wanted_product.view().flat()).all());
      // In place of both arguments.
      Tensor<T> x = host(a.view()), y = host(b.view());
      B::map(std::array{Target<T>(x.view()), Target<T>(y.view())}, SumAndProduct{}, elements(x.view()),
             elements(y.view()));
      CHECK(same_bits(x.view(), wanted_sum.view()));
      CHECK(same_bits(y.view(), wanted_product.view()));
    }
  }
  B::map(std::array{Target<T>(View<T>()), Target<T>(View<T>())}, SumAndProduct{}, Uniform<T>{nullptr},
         Uniform<T>{nullptr});
}

TEST_CASE_TEMPLATE("reductions: lanes that no column has count for nothing", T, float, double) {
  for (const Index cols : {1, 7, 24, 31, 33, 100}) {
    const auto x = whole_tensor<T>({3, cols}, 1);
    Tensor<T> sums({3}), most({3}), columns({cols});
    B::row_reduce<Sum>(sums.view(), cols, Below{}, elements(x.view()));
    B::row_reduce<Max>(most.view(), cols, Below{}, elements(x.view()));
    B::column_reduce(columns.view(), 3, Below{}, elements(x.view()));
    for (Index row = 0; row < 3; ++row) {
      CHECK(sums.view().data[row] == x.view().row(row).sum() - T(9 * cols));
      CHECK(most.view().data[row] == x.view().row(row).maxCoeff() - T(9));
    }
    for (Index col = 0; col < cols; ++col) CHECK(columns.view().data[col] == x.view().matrix().col(col).sum() - T(27));
  }
}

TEST_CASE_TEMPLATE("row_reduce and column_reduce against loops", T, float, double) {
  for (const auto [rows, cols] : extents) {
    for (const int count : {1, 3}) {
      const Threads threads(count);
      const auto a = whole_tensor<T>({rows, cols}, 1), b = whole_tensor<T>({rows}, 2), c = whole_tensor<T>({cols}, 3);
      Tensor<T> row_sum({rows}), row_max({rows}), column_sum({cols});
      column_sum.view().flat() = T(2);
      const auto in_a = elements(a.view());
      B::row_reduce<Sum>(row_sum.view(), cols, Combine{}, in_a, per_row(b.view()), per_column(c.view()));
      B::row_reduce<Max>(row_max.view(), cols, Combine{}, in_a, per_row(b.view()), per_column(c.view()));
      B::column_reduce(column_sum.view(), rows, Combine{}, in_a, per_row(b.view()), per_column(c.view()));
      Tensor<T> sums({rows}), most({rows}), columns({cols});
      most.view().flat() = -std::numeric_limits<T>::infinity();
      columns.view().flat() = T(2);
      for (Index i = 0; i < rows * cols; ++i) {
        const Index row = i / cols, col = i % cols;
        const T value = a.view().data[i] * b.view().data[row] + c.view().data[col];
        sums.view().data[row] += value;
        most.view().data[row] = std::max(most.view().data[row], value);
        columns.view().data[col] += value;
      }
      CHECK(same_bits(row_max.view(), most.view()));
      CHECK(largest_difference(row_sum.view(), sums.view()) == 0);
      CHECK(largest_difference(column_sum.view(), columns.view()) == 0);
    }
  }
}

TEST_CASE("reductions over nothing are neutral") {
  Tensor<double> sums({3}), most({3});
  sums.view().flat() = 9;
  B::row_reduce<Sum>(sums.view(), 0, formula::Identity{}, elements(View<const double>(nullptr, {3, 0})));
  B::row_reduce<Max>(most.view(), 0, formula::Identity{}, elements(View<const double>(nullptr, {3, 0})));
  CHECK(largest_difference(sums.view(), {0, 0, 0}) == 0);
  CHECK((most.view().flat() == -std::numeric_limits<double>::infinity()).all());
}

TEST_CASE("sums do not depend on the number of threads, to the last bit") {
  const auto x = normal_tensor<float>({300, 333}, 5);
  Tensor<float> rows({300}), columns({333}), rows_again({300}), columns_again({333});
  B::row_reduce<Sum>(rows.view(), 333, formula::Identity{}, elements(x.view()));
  B::column_reduce(columns.view(), 300, formula::Identity{}, elements(x.view()));
  for (const int count : {2, 3}) {
    const Threads threads(count);
    columns_again.view().flat() = 0;
    B::row_reduce<Sum>(rows_again.view(), 333, formula::Identity{}, elements(x.view()));
    B::column_reduce(columns_again.view(), 300, formula::Identity{}, elements(x.view()));
    CHECK(same_bits(rows.view(), rows_again.view()));
    CHECK(same_bits(columns.view(), columns_again.view()));
  }
}

TEST_CASE_TEMPLATE("gather_rows and scatter_add_rows against loops, on any number of threads", T, float, double) {
  constexpr Index vocabulary = 50;
  for (const auto [rows, cols] : extents) {
    const Tensor<double> table = normal_tensor({vocabulary, cols}, 1), start = normal_tensor({vocabulary, cols}, 2);
    const Tensor<T> dy = normal_tensor<T>({rows, cols}, 3);
    const Tensor<std::int32_t> ids = random_ids({rows}, vocabulary - 1, 4);  // most occur many times, one never
    Tensor<T> gathered({rows, cols});
    Tensor<double> wanted = on_device<Cpu>(start);
    for (Index n = 0; n < rows; ++n) {
      const Index id = ids.view().data[n];
      for (Index c = 0; c < cols; ++c) {
        gathered.view().data[n * cols + c] = static_cast<T>(table.view().data[id * cols + c]);
        wanted.view().data[id * cols + c] += static_cast<double>(dy.view().data[n * cols + c]);
      }
    }
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      Tensor<T> y({rows, cols});
      Tensor<double> dtable = on_device<Cpu>(start);
      B::gather_rows(read(ids.view()), read(table.view()), y.view());
      B::scatter_add_rows(read(ids.view()), read(dy.view()), dtable.view());
      CHECK(same_bits(y.view(), gathered.view()));
      CHECK(same_bits(dtable.view(), wanted.view()));
    }
  }
}

TEST_CASE("memory: aligned, copied even where blocks overlap, zeroed") {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{100000}}) {
    void* const memory = B::allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % B::alignment == 0);
    B::zero(memory, bytes);
    B::release(memory);
  }
  std::array<char, 8> text{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};
  B::copy(text.data() + 2, text.data(), 6);
  CHECK(text == std::array<char, 8>{'a', 'b', 'a', 'b', 'c', 'd', 'e', 'f'});
  B::copy(text.data(), text.data() + 2, 6);
  CHECK(text == std::array<char, 8>{'a', 'b', 'c', 'd', 'e', 'f', 'e', 'f'});
  B::copy(nullptr, nullptr, 0);
  B::zero(nullptr, 0);
}

TEST_CASE("memory: large blocks, at any number of threads") {
  const Index size = (Index(5) << 20) / 4 + 3;  // a little more than 5 MiB, not a whole number of pieces
  const auto bytes = [](Index count) { return static_cast<std::size_t>(count) * sizeof(std::int32_t); };
  const auto source = random_ids({size}, 1000, 1);
  for (const int count : {1, 3}) {
    const Threads threads(count);
    Tensor<std::int32_t> block({size + 2});
    block.view().flat() = 7;
    std::int32_t* const data = block.view().data;
    B::copy(data + 1, source.view().data, bytes(size));
    CHECK(same_bits(View<const std::int32_t>(data + 1, {size}), source.view()));
    B::copy(data, data + 1, bytes(size));  // overlapping, both ways
    CHECK(same_bits(View<const std::int32_t>(data, {size}), source.view()));
    B::copy(data + 1, data, bytes(size));
    CHECK(same_bits(View<const std::int32_t>(data + 1, {size}), source.view()));
    data[0] = 7;
    B::zero(data + 1, bytes(size));
    CHECK(data[0] == 7);
    CHECK(data[size + 1] == 7);
    CHECK((block.view().flat().segment(1, size) == 0).all());
  }
}

TEST_CASE("memory that does not exist is refused" * doctest::skip(sanitized)) {
  CHECK(id_of([] { (void)B::allocate(std::size_t{1} << 60); }) == ErrorId::out_of_memory);
}

TEST_CASE("new memory is zero, whatever stood there before") {
  for (const std::size_t bytes : {std::size_t{100}, (std::size_t{1} << 22) + 77, (std::size_t{1} << 24) + 1}) {
    auto* const memory = static_cast<std::byte*>(B::allocate(bytes));
    std::fill_n(memory, bytes, std::byte{7});
    B::zero_new(memory, bytes);
    CHECK(std::all_of(memory, memory + bytes, [](std::byte b) { return b == std::byte{0}; }));
    B::release(memory);
  }
}
