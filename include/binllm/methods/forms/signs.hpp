// SPDX-License-Identifier: MIT
/// Signs as bits in the stored forms of methods: in the layout of the packed product, or plain rows that are unpacked
/// to multiply.
#pragma once
#include <binllm/nn/packed.hpp>

#include <string>
#include <vector>

namespace binllm {

/// Writes +-magnitude by the signs of a packed matrix, w (rows,cols).
template <class T>
void write_signs(const PackedMatrix<T, Cpu>& from, View<T> w, T magnitude) {
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(from.cols)));
  for (Index i = 0; i < from.rows(); ++i) {
    from.get_row(i, bits.data());
    unpack_row(bits.data(), View<T>(w.row(i).data(), Shape{from.cols}));
    w.row(i) *= magnitude;
  }
}

/// Rows of signs, for layers that no scale of a row belongs to.
template <class Device>
struct SignRows {
  Tensor<std::uint8_t, Device> bits;
  Index cols;

  explicit SignRows(const LinearShape& s) : bits(Shape{s.out, sign_row_bytes(s.in)}), cols(s.in) {}
  template <class T>
  void set(View<const T> weights) {
    for (Index i = 0; i < weights.rows(); ++i)
      pack_row(View<const T>(weights.row(i).data(), Shape{cols}), bits.view().data + i * bits.shape().cols());
  }
  template <class T>
  void write(View<T> w) const {
    for (Index i = 0; i < w.rows(); ++i)
      unpack_row(bits.view().data + i * bits.shape().cols(), View<T>(w.row(i).data(), Shape{cols}));
  }
};

/// What `dense` of a form says whose layers do more than multiply with a weight. Errors: config_inconsistent.
[[noreturn]] inline void refuse_dense(std::string_view form, std::string_view why) {
  throw Error(ErrorId::config_inconsistent, "unpack", "format", "layers that one weight stands for",
              std::string(form) + ": " + std::string(why));
}

}  // namespace binllm
