// SPDX-License-Identifier: MIT
/// The 1-bit stored form: packed signs and one scale a row.
#pragma once
#include <binllm/nn/stored.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/packed/packed_linear.hpp>

namespace binllm {

/// x W^T of packed signs and their row scales. The matrix must outlive the tape's round.
template <class Activations, class T, class Device>
[[nodiscard]] Variable<T, Device> packed_product(Pass<T, Device>& pass, Variable<T, Device> x,
                                                 const PackedMatrix<master_t<T>, Device>& weight) {
  check_cols("packed_linear", "x", x.shape(), weight.cols);
  using K = Kernel<PackedLinear<Activations>, Device>;
  return pass.tape.template compute<T>(x.shape().with_cols(weight.rows()),
                                       [x, matrix = &weight, tape = &pass.tape](View<T, Device> out) {
                                         const Index bytes = K::template workspace<T>(x.value().rows(), *matrix);
                                         const Temporary<std::uint8_t, Device> memory(*tape, Shape{bytes});
                                         K::forward(read(x.value()), *matrix, memory.view(), out);
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
