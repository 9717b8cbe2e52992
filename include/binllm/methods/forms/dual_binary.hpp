// SPDX-License-Identifier: MIT
/// Stored form of two planes of zeros and ones, each with a scale for a run of a row.
#pragma once
#include <binllm/nn/stored.hpp>
#include <binllm/packed/sign_row.hpp>

#include <cstdint>
#include <vector>

namespace binllm {

/// Weights in a run that shares its scales: at most `most`, and a divisor of the row.
[[nodiscard]] constexpr Index run_length(Index cols, Index most = 64) {
  Index run = cols < most ? cols : most;
  while (run > 1 && cols % run != 0) --run;
  return run;
}

/// W_b = a1 b1 + a2 b2,   b1, b2 in {0, 1}
/// There is no product on the bits: the weight is written out while it multiplies.
template <class T, class Device>
struct DualBinaryMatrix {
  Tensor<std::uint8_t, Device> first, second;  ///< b1, b2: rows of bits as in sign_row.hpp
  Tensor<T, Device> alpha1, alpha2;            ///< (out, runs)
  Index cols;

  template <class Form>
  DualBinaryMatrix(const Form&, const LinearShape& s)
      : first(Shape{s.out, sign_row_bytes(s.in)}),
        second(first.shape()),
        alpha1(Shape{s.out, s.in / run_length(s.in)}),
        alpha2(alpha1.shape()),
        cols(s.in) {}
  void restore(View<T, Device> w) const {
    std::vector<T> b1(static_cast<std::size_t>(cols)), b2(b1.size());
    for (Index i = 0; i < w.rows(); ++i) {
      unpack_row(first.view().data + i * first.shape().cols(), View<T>(b1.data(), Shape{cols}));
      unpack_row(second.view().data + i * second.shape().cols(), View<T>(b2.data(), Shape{cols}));
      for (Index j = 0; j < cols; ++j) {
        const auto k = static_cast<std::size_t>(j);
        const Index run = j / (cols / alpha1.shape().cols());
        w.row(i)[j] = alpha1.view().row(i)[run] * (b1[k] > 0 ? T(1) : T(0)) +
                      alpha2.view().row(i)[run] * (b2[k] > 0 ? T(1) : T(0));
      }
    }
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("first", self.first...);
    v("second", self.second...);
    v("alpha1", self.alpha1...);
    v("alpha2", self.alpha2...);
  }
};

struct DualBinary {
  static constexpr std::string_view name = "dual-binary", summary = "two bits a weight, a scale of each for a run";
  static constexpr std::string_view layout = packed_layout;

  template <class T, class Device>
  using Matrix = DualBinaryMatrix<T, Device>;
};
static_assert(StoredForm<DualBinary>);

}  // namespace binllm
