// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <limits>

using namespace binllm;
using test::normal_tensor;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Whether an operand gives wanted(row, col) as a scalar and in the lanes of every pack and part of one, over 3 x 70.
template <class Operand, class Wanted>
bool gives(const Operand& operand, const Wanted& wanted) {
  for (Index row = 0; row < 3; ++row) {
    for (Index col = 0; col < 70; ++col) {
      if (operand.template load<double>(row, col) != wanted(row, col)) return false;
      for (const Index count : {1, 2, 7, 8, 9, 24, 31}) {
        if (col + count > 70) continue;
        const Pack<double> part = load_part<Pack<double>>(operand, row, col, count);
        for (Index lane = 0; lane < count; ++lane) {
          if (part[lane] != wanted(row, col + lane)) return false;
        }
      }
      if (col + pack_width > 70) continue;
      const Pack<double> lanes = operand.template load<Pack<double>>(row, col);
      for (Index lane = 0; lane < pack_width; ++lane) {
        if (lanes[lane] != wanted(row, col + lane)) return false;
      }
    }
  }
  return true;
}

}  // namespace

TEST_CASE("an operand reads element by element, by row, by column, or one number for all") {
  const Tensor<double> x = normal_tensor({3, 70}, 1);
  const double* const data = x.view().data;
  CHECK(gives(elements(x.view()), [&](Index row, Index col) { return data[row * 70 + col]; }));
  CHECK(gives(per_row(x.view()), [&](Index row, Index) { return data[row]; }));
  CHECK(gives(per_column(x.view()), [&](Index, Index col) { return data[col]; }));
  CHECK(gives(uniform(x.view()), [&](Index, Index) { return data[0]; }));
  CHECK(gives(Elements<double>{data, 10}, [&](Index row, Index col) { return data[row * 10 + col]; }));
}

namespace {
/// An operand of a user who wrote nothing but `load`.
struct RowPlusColumn {
  template <class X>
  X load(Index row, Index col) const {
    if constexpr (formula::is_pack<X>) {
      return X::LinSpaced(static_cast<double>(row + col), static_cast<double>(row + col + pack_width - 1));
    } else {
      return static_cast<X>(row + col);
    }
  }
};
}  // namespace

TEST_CASE("an operand without load_part is read lane by lane") {
  CHECK(gives(RowPlusColumn{}, [](Index row, Index col) { return static_cast<double>(row + col); }));
}

TEST_CASE_TEMPLATE("parts of packs: loaded, kept and stored lane for lane", T, float, double) {
  const Tensor<T> x = normal_tensor<T>({pack_width}, 2);
  const Pack<T> lanes = x.view().flat();
  for (Index count = 1; count < pack_width; ++count) {
    CHECK((first_lanes<Pack<T>>(x.view().data, count).head(count) == lanes.head(count)).all());
    const Pack<T> kept = keep_lanes(lanes, count, T(7));
    CHECK((kept.head(count) == lanes.head(count)).all());
    CHECK((kept.tail(pack_width - count) == T(7)).all());
    Pack<T> memory = Pack<T>::Constant(T(7));
    store_lanes(memory.data(), lanes, count);
    CHECK((memory == kept).all());
  }
}

TEST_CASE("one hot: 1 at the row's index") {
  for (const std::int32_t shift : {0, 31, 32, 67}) {
    const std::array<std::int32_t, 3> index{shift, shift + 1, shift + 2};
    CHECK(gives(OneHot<double>{index.data()}, [&](Index row, Index col) { return col == row + shift ? 1.0 : 0.0; }));
  }
}

TEST_CASE("causal mask: 0 up to the row's own column, -inf after") {
  for (const Index offset : {0, 29, 30, 31, 32, 67}) {
    CHECK(
        gives(CausalMask<double>{offset}, [&](Index row, Index col) { return col <= row + offset ? 0.0 : -infinity; }));
  }
}

TEST_CASE("reductions: neutral elements and folds") {
  const Tensor<double> x = normal_tensor({pack_width}, 2);
  const Pack<double> lanes = x.view().flat();
  CHECK(Sum::neutral<double> == 0);
  CHECK(Max::neutral<double> == -infinity);
  CHECK(Sum::fold<double>(lanes) == doctest::Approx(x.view().flat().sum()).epsilon(1e-14));
  CHECK(Max::fold<double>(lanes) == x.view().flat().maxCoeff());
  CHECK(Max::combine(2.0, 3.0) == 3);
  CHECK(Max::combine(3.0, 2.0) == 3);
  CHECK((Max::combine(lanes, Pack<double>(-lanes)) == lanes.abs()).all());
  CHECK(Sum::combine(2.0, 3.0) == 5);
}

TEST_CASE("a target knows its rows, its columns and how far apart they lie") {
  Tensor<double> x({2, 3, 4});
  const Target<double> whole(x.view());
  CHECK(whole.rows == 6);
  CHECK(whole.cols == 4);
  CHECK(whole.stride == 4);
}
