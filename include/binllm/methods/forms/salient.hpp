// SPDX-License-Identifier: MIT
/// Stored form of weights of which a share is salient: that share in eight bits, the others in one.
#pragma once
#include <binllm/nn/stored.hpp>
#include <binllm/packed/sign_row.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace binllm {

/// W_b,ij = low_i + step_i code       where the weight is salient, code = 0 ... 255
///        = mean_i + scale_i (+-1)    elsewhere
/// Tensors: `signs` and `mask`, rows of bits as in sign_row.hpp (mask 1: salient), `codes`, those of the salient weights
/// one after the other, row by row (zeros behind the last), and four numbers a row.
/// There is no product on the bits: the weight is written out while it multiplies.
template <class T, class Device>
struct SalientMatrix {
  Tensor<std::uint8_t, Device> signs, mask, codes;
  Tensor<T, Device> low, step, scale, mean;
  Index cols;

  template <class Form>
  SalientMatrix(const Form& form, const LinearShape& s)
      : signs(Shape{s.out, sign_row_bytes(s.in)}),
        mask(signs.shape()),
        codes(Shape{form.capacity(s.out * s.in)}),
        low(Shape{s.out}),
        step(Shape{s.out}),
        scale(Shape{s.out}),
        mean(Shape{s.out}),
        cols(s.in) {}

  /// `salient` (out,in) is 1 where a weight is salient, else 0. A salient weight takes the nearest code, another the sign
  /// of what it is above mean_i. Errors: config_inconsistent where there are more salient weights than codes.
  void set(View<const T> w, View<const T> salient) {
    std::vector<T> above(static_cast<std::size_t>(cols)), marked(above.size());
    Index next = 0;
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index j = 0; j < cols; ++j) {
        const auto k = static_cast<std::size_t>(j);
        above[k] = w.row(i)[j] - mean.view().data[i];
        marked[k] = salient.row(i)[j] - T(0.5);  // a bit is whether a number is at least 0
        if (salient.row(i)[j] > T(0)) codes.view().data[checked(next++)] = code_of(w.row(i)[j], i);
      }
      pack_row(View<const T>(above.data(), Shape{cols}), signs.view().data + i * signs.shape().cols());
      pack_row(View<const T>(marked.data(), Shape{cols}), mask.view().data + i * mask.shape().cols());
    }
  }
  /// Errors: config_inconsistent for a mask of more weights than there are codes.
  void restore(View<T, Device> w) const {
    std::vector<T> sign(static_cast<std::size_t>(cols)), marked(sign.size());
    Index next = 0;
    for (Index i = 0; i < w.rows(); ++i) {
      unpack_row(signs.view().data + i * signs.shape().cols(), View<T>(sign.data(), Shape{cols}));
      unpack_row(mask.view().data + i * mask.shape().cols(), View<T>(marked.data(), Shape{cols}));
      for (Index j = 0; j < cols; ++j) {
        const auto k = static_cast<std::size_t>(j);
        w.row(i)[j] = marked[k] > T(0) ? low.view().data[i] + step.view().data[i] * codes.view().data[checked(next++)]
                                       : mean.view().data[i] + scale.view().data[i] * sign[k];
      }
    }
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("signs", self.signs...);
    v("mask", self.mask...);
    v("codes", self.codes...);
    v("low", self.low...);
    v("step", self.step...);
    v("scale", self.scale...);
    v("mean", self.mean...);
  }

 private:
  [[nodiscard]] Index checked(Index code) const {
    if (code < codes.size()) return code;
    throw Error(ErrorId::config_inconsistent, "SalientMatrix", "mask",
                fmt::format("at most {} salient weights", codes.size()), "more");
  }
  [[nodiscard]] std::uint8_t code_of(T w, Index row) const {
    const T s = step.view().data[row], code = s == T(0) ? T(0) : std::rint((w - low.view().data[row]) / s);
    return static_cast<std::uint8_t>(std::min(std::max(code, T(0)), T(255)));
  }
};

/// `share` of the weights are salient, at most.
struct Salient {
  static constexpr std::string_view name = "salient", summary = "a share of the weights in 8 bits, the others in one";
  static constexpr std::string_view layout = packed_layout;
  double share = 0.1;

  template <class T, class Device>
  using Matrix = SalientMatrix<T, Device>;

  /// Codes of a layer of so many weights.
  [[nodiscard]] Index capacity(Index weights) const {
    return static_cast<Index>(std::ceil(share * static_cast<double>(weights)));
  }
  template <class Put>
  void describe(const Put& put) const {
    put("salient", fmt::format("{}", share));
  }
  /// Errors: config_invalid.
  template <class Get>
  [[nodiscard]] static Salient named(const Get& get) {
    const std::string_view word = get("salient");
    Salient form;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), form.share);
    if (error == std::errc{} && end == word.data() + word.size() && form.share >= 0 && form.share <= 1) return form;
    throw Error(ErrorId::config_invalid, "load_model", "config.json: binllm.salient", "a number from 0 to 1", word);
  }
};
static_assert(StoredForm<Salient>);

}  // namespace binllm
