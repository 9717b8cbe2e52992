// SPDX-License-Identifier: MIT
/// Tensors and xtensor, without a copy: views of the library as containers of xtensor, and those as views.
/// Link binllm::xtensor.
///
///   auto weights = as_xtensor(model.lm_head.value);             // where they are
///   weights *= 0.5f;
///   const xt::xarray<float> rows = xt::mean(weights, {1});
///   const View<const float> view = view_of(rows);
#pragma once
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xtensor.hpp>

namespace binllm {

/// The numbers of a view as a container of xtensor of the same shape, which owns nothing: View<T> is written through,
/// View<const T> can only be read.
template <class T>
[[nodiscard]] auto as_xtensor(View<T> view) {
  std::vector<std::size_t> shape;
  for (int axis = 0; axis < view.shape.rank(); ++axis) shape.push_back(static_cast<std::size_t>(view.shape[axis]));
  // The pointer as a value: of a variable xtensor would keep a reference.
  return xt::adapt<xt::layout_type::row_major>(std::move(view.data), static_cast<std::size_t>(view.size()),
                                               xt::no_ownership(), shape);
}
/// The same with a rank that is known when the program is compiled, which is faster. Errors: rank_unsupported.
template <std::size_t rank, class T>
[[nodiscard]] auto as_xtensor(View<T> view) {
  if (view.shape.rank() != static_cast<int>(rank)) {
    throw Error(ErrorId::rank_unsupported, "as_xtensor", "view", fmt::format("{} dimensions", rank),
                to_string(view.shape));
  }
  std::array<std::size_t, rank> shape{};
  for (std::size_t axis = 0; axis < rank; ++axis)
    shape[axis] = static_cast<std::size_t>(view.shape[static_cast<int>(axis)]);
  return xt::adapt<xt::layout_type::row_major>(std::move(view.data), static_cast<std::size_t>(view.size()),
                                               xt::no_ownership(), shape);
}

/// The shape of an expression of xtensor. Errors: rank_unsupported above rank 4.
template <class Expression>
[[nodiscard]] Shape shape_of(const Expression& expression) {
  std::vector<Index> extents;
  for (const auto extent : expression.shape()) extents.push_back(static_cast<Index>(extent));
  return Shape(std::span<const Index>(extents));
}

/// The numbers of a container of xtensor (xt::xarray, xt::xtensor, what xt::adapt gives), which must outlive the view; of
/// a constant one View<const T>. Errors: rank_unsupported; shape_mismatch unless the numbers lie row by row, without gaps.
template <class Container>
requires requires(Container& c) { c.data(), c.data_offset(), c.strides(); }
[[nodiscard]] auto view_of(Container& container) {
  using T = std::remove_pointer_t<decltype(container.data())>;
  const Shape shape = shape_of(container);
  Index wanted = 1;
  for (int axis = shape.rank(); axis-- > 0; wanted *= shape[axis]) {
    const auto stride = static_cast<Index>(container.strides()[static_cast<std::size_t>(axis)]);
    if (shape[axis] <= 1 || stride == wanted || shape.size() == 0) continue;
    throw Error(ErrorId::shape_mismatch, "view_of", "container",
                fmt::format("rows one after the other: a stride of {} along axis {}", wanted, axis),
                fmt::format("{}", stride));
  }
  return View<T>(container.data() + container.data_offset(), shape);
}
/// A view would outlive it.
template <class Container>
requires(!std::is_lvalue_reference_v<Container>) void view_of(Container&&) = delete;

/// The numbers of any expression of xtensor in a tensor of their own. Errors: rank_unsupported, out_of_memory.
template <class Expression>
[[nodiscard]] auto tensor_of(const Expression& expression) {
  Tensor<std::remove_const_t<typename Expression::value_type>> tensor(shape_of(expression));
  auto target = as_xtensor(tensor.view());
  xt::noalias(target) = expression;
  return tensor;
}

}  // namespace binllm
