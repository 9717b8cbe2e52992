// SPDX-License-Identifier: MIT
/// The stored form of a weight that is a product of two matrices of signs with vectors of scales around them:
///
///     W = diag(a) A diag(m) B diag(b),     A (out, rank), B (rank, in) of +-1
///
/// It runs as it is, as two packed products: y = a (A (m (B (b x)))).
#pragma once
#include <binllm/nn/packed.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

namespace binllm {

/// What lies in files: `left.signs` A, `left.scale` a, `right.signs` B, `right.scale` m, `right.input_scale` b.
struct BinaryFactors {
  static constexpr std::string_view name = "binary-factors";
  static constexpr std::string_view summary = "a product of two matrices of signs, with scales around them";
  static constexpr std::string_view layout = packed_layout;

  double bits = 1;  ///< signs for each weight

  /// The largest rank with so many signs for each weight, rank (out + in) <= bits out in; at least 1.
  [[nodiscard]] Index rank(Index out, Index in) const {
    const double signs = bits * static_cast<double>(out) * static_cast<double>(in);
    return std::max<Index>(1, static_cast<Index>(signs / static_cast<double>(out + in)));
  }

  template <class T, class Device>
  struct Matrix {
    using Signs = PackedSignsMatrix<FloatActivations, T, Device>;
    struct Factor {
      Signs signs;
      template <class V, class... Self>
      static void visit(V&& v, Self&... self) {
        v("weight", self.signs.weight...);
      }
    };
    Factor left, right;

    Matrix(const BinaryFactors& form, const LinearShape& s)
        : left{Signs(form, {.out = s.out, .in = form.rank(s.out, s.in)})},
          right{Signs(form, {.out = form.rank(s.out, s.in), .in = s.in})} {
      right.signs.weight.input_scale = Tensor<T, Device>(Shape{s.in});
    }
    [[nodiscard]] Variable<T, Device> product(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return left.signs.product(pass, right.signs.product(pass, right.signs.before(pass, x)));
    }
    /// The weight that this product is one with.
    void dense(View<T, Device> w) const {
      Tensor<T> a(Shape{w.rows(), right.signs.weight.rows()}), b(Shape{a.shape().cols(), w.cols()});
      left.signs.dense(a.view()), right.signs.dense(b.view());
      Backend<Cpu>::gemm(Product::nn, read(a.view()), read(b.view()), w);
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("left", self.left...);
      v("right", self.right...);
    }
  };

  template <class Put>
  void describe(const Put& put) const {
    put("factor_bits", fmt::format("{}", bits));
  }
  /// Errors: config_invalid.
  template <class Get>
  [[nodiscard]] static BinaryFactors named(const Get& get) {
    const std::string_view word = get("factor_bits");
    BinaryFactors form;
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), form.bits);
    if (status == std::errc() && end == word.data() + word.size() && form.bits > 0 && form.bits <= 16) return form;
    throw Error(ErrorId::config_invalid, "load_model", "config.json: binllm.factor_bits", "a number from 0 to 16",
                word);
  }
};
static_assert(StoredForm<BinaryFactors>);

}  // namespace binllm
