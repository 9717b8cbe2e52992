// SPDX-License-Identifier: MIT
/// The 1-bit format: packed signs, one scale a row, forward only.
#pragma once
#include <binllm/nn/dense.hpp>
#include <binllm/nn/vocabulary_precision.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/packed/packed_linear.hpp>

namespace binllm {

/// Not trainable: trainers refuse it at compile time. `Activations` says what the signs are multiplied with.
template <class Activations = Int8Activations>
struct PackedFormat {
  static constexpr bool trainable = false;
  static constexpr std::string_view name = "packed";
  static constexpr VocabularyPrecision vocabulary = VocabularyPrecision::bfloat16;

  template <class T, class Device>
  using Input = NoInput<T, Device>;

  template <class T, class Device>
  struct Linear {
    PackedMatrix<T, Device> weight;

    Linear(const PackedFormat&, Index out, Index in) : weight(out, in) {}
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&,
                                                 Variable<T, Device> x) {
      check_cols("packed_linear", "x", x.shape(), weight.cols);
      if (weight.input_scale) x = multiply(x, pass.tape.borrow(weight.input_scale.view()));
      using K = Kernel<PackedLinear<Activations>, Device>;
      const auto y = pass.tape.template compute<T>(
          x.shape().with_cols(weight.rows()), [x, matrix = &weight, tape = &pass.tape](View<T, Device> out) {
            const Index bytes = K::template workspace<T>(x.value().rows(), matrix->cols);
            const Temporary<std::uint8_t, Device> memory(*tape, Shape{bytes});
            K::forward(read(x.value()), *matrix, memory.view(), out);
          });
      if (weight.input_scale) forget(x);
      return y;
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
    }
  };
};

/// One bit a weight, eight bits an activation.
using Packed = PackedFormat<>;

}  // namespace binllm
