// SPDX-License-Identifier: MIT
/// Three values a weight, five of them a byte: 1.6 bits.
#pragma once
#include <binllm/nn/stored.hpp>

#include <cmath>
#include <cstdint>

namespace binllm {

/// Digits q + 1 = 0, 1, 2 of numbers in base 3; the first weight of five is the last digit. A row starts a byte, and
/// the digits after its last weight are zero.
template <class Device>
struct TernaryCodes {
  Tensor<std::uint8_t, Device> bytes;
  Index cols;

  explicit TernaryCodes(const LinearShape& s) : bytes(Shape{s.out, (s.in + 4) / 5}), cols(s.in) {}
  /// From weights whose signs, or 0, are the values.
  template <class T>
  void set_row(Index i, const T* q) {
    std::uint8_t* row = bytes.view().data + i * bytes.shape().cols();
    for (Index j = cols - 1; j >= 0; --j) {
      const int digit = q[j] > 0 ? 2 : q[j] < 0 ? 0 : 1;
      row[j / 5] = static_cast<std::uint8_t>((j % 5 == 4 || j == cols - 1 ? 0 : 3 * row[j / 5]) + digit);
    }
  }
  template <class T>
  void get_row(Index i, T scale, T* w) const {
    const std::uint8_t* row = bytes.view().data + i * bytes.shape().cols();
    unsigned left = 0;
    for (Index j = 0; j < cols; ++j, left /= 3) {
      if (j % 5 == 0) left = row[j / 5];
      w[j] = scale * static_cast<T>(static_cast<int>(left % 3) - 1);
    }
  }
};

}  // namespace binllm
