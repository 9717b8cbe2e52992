// SPDX-License-Identifier: MIT
/// The 1-bit stored form: packed signs and one scale a row.
#pragma once
#include <binllm/nn/joint_products.hpp>
#include <binllm/nn/stored.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/packed/packed_linear.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

namespace binllm {

static_assert(most_joint_products <= static_cast<std::size_t>(cuda::few_matrices));

/// x W^T of packed signs and their row scales. The matrix must outlive the tape's round.
template <class Activations, class T, class Device>
[[nodiscard]] Variable<T, Device> packed_product(Pass<T, Device>& pass, Variable<T, Device> x,
                                                 const PackedMatrix<master_t<T>, Device>& weight) {
  check_cols("packed_linear", "x", x.shape(), weight.cols);
  using K = Kernel<PackedLinear<Activations>, Device>;
  return pass.tape.template compute<T>(x.shape().with_cols(weight.rows()),
                                       [x, matrix = &weight, tape = &pass.tape](View<T, Device> out) {
                                         const PackedProduct<T, Device> only{matrix, out};
                                         const std::span<const PackedProduct<T, Device>> all(&only, 1);
                                         const Index bytes = K::template workspace<T>(x.value().rows(), all);
                                         const Temporary<std::uint8_t, Device> memory(*tape, Shape{bytes});
                                         K::template forward_each<T>(read(x.value()), all, memory.view());
                                       });
}

/// W_b = scale_i (+-1)_ij input_scale_j. `Activations` says what the signs are multiplied with.
template <class Activations, class T, class Device>
struct PackedSignsMatrix {
  PackedMatrix<master_t<T>, Device> weight;

  template <class Form>
  PackedSignsMatrix(const Form&, const LinearShape& s) : weight(s.out, s.in) {}
  [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
    return weight.input_scale ? multiply(x, pass.tape.borrow(weight.input_scale.view())) : x;
  }
  [[nodiscard]] Variable<T, Device> product(Pass<T, Device>& pass, Variable<T, Device> x) const {
    return packed_product<Activations>(pass, x, weight);
  }
  /// The products of several layers in one call of the kernel; false where one scales the input for itself, or the
  /// device multiplies one by one. Not of forms that are this one with something before or after the product.
  template <class Layer>
  requires std::is_same_v<typename Layer::Matrix, PackedSignsMatrix>
  [[nodiscard]] static bool multiply_together([[maybe_unused]] Pass<T, Device>& pass,
                                              [[maybe_unused]] Variable<T, Device> x,
                                              [[maybe_unused]] std::span<JointProduct<Layer, T, Device>> products) {
    using K = Kernel<PackedLinear<Activations>, Device>;
    using Products = std::span<const PackedProduct<T, Device>>;
    if constexpr (requires(View<const T, Device> rows, Products all, View<std::uint8_t, Device> memory) {
                    K::template forward_each<T>(rows, all, memory);
                  }) {
      const auto scales = [](const auto& one) { return static_cast<bool>(one.layer->weight.input_scale); };
      if (std::any_of(products.begin(), products.end(), scales)) return false;
      std::array<PackedProduct<T, Device>, most_joint_products> made;
      for (std::size_t i = 0; i < products.size(); ++i) {
        const PackedMatrix<master_t<T>, Device>& weight = products[i].layer->weight;
        check_cols("packed_linear", "x", x.shape(), weight.cols);
        products[i].y = pass.tape.template compute<T>(x.shape().with_cols(weight.rows()), [](View<T, Device>) {});
        made[i] = {&weight, products[i].y->value()};
      }
      const View<const T, Device> rows = read(x.value());
      const Products all = Products(made).first(products.size());
      const Temporary<std::uint8_t, Device> memory(pass.tape, Shape{K::template workspace<T>(rows.rows(), all)});
      K::template forward_each<T>(rows, all, memory.view());
      return true;
    } else {
      return false;
    }
  }
  /// The weight in full precision, its input scale included.
  void dense(View<T, Device> w) const {
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(weight.cols)));
    for (Index i = 0; i < weight.rows(); ++i) {
      auto row = w.row(i);
      weight.get_row(i, bits.data());
      unpack_row(bits.data(), View<T>(row.data(), Shape{row.size()}));
      row *= weight.scale.view().data[i];
      if (weight.input_scale) row *= weight.input_scale.view().flat();
    }
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("weight", self.weight...);
  }
};

template <class Activations = Int8Activations>
struct PackedSigns {
  static constexpr std::string_view name = "packed", summary = "one bit a weight, one scale a row";
  static constexpr std::string_view layout = packed_layout;

  /// The devices, beside the host, that have the product; on others a model of the form runs with its weights.
  template <class Device>
  static constexpr bool multiplies_on = std::is_same_v<Device, Cuda>;
  template <class T, class Device>
  using Matrix = PackedSignsMatrix<Activations, T, Device>;
};

template <class Activations, class Others>
struct FormWith<PackedSigns<Activations>, Others> {
  using type = PackedSigns<Others>;
};

template <class Activations>
using PackedFormat = Stored<PackedSigns<Activations>>;
/// One bit a weight, eight bits an activation.
using Packed = PackedFormat<Int8Activations>;

}  // namespace binllm
