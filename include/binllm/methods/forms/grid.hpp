// SPDX-License-Identifier: MIT
/// The stored form of whole numbers: a code of L levels for each weight, and for each group of a row's columns the grid
/// that the codes number.
///
///     W_ij = s_ig (q_ij - z_ig) + m_ig,    q = 0 .. L - 1,    g the group of column j
#pragma once
#include <binllm/core/options.hpp>
#include <binllm/nn/stored.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace binllm {

/// How the codes of one row lie in bytes: three levels five to a byte, in base 3; else as many bits as a code needs,
/// the first code in the lowest bits. Each row begins a byte.
struct CodeRow {
  int levels;

  static constexpr Index trits = 5;
  [[nodiscard]] int bits() const noexcept {
    int count = 0;
    while ((1 << count) < levels) ++count;
    return count;
  }
  [[nodiscard]] Index bytes(Index cols) const noexcept {
    return levels == 3 ? (cols + trits - 1) / trits : (cols * bits() + 7) / 8;
  }
  /// `to` holds bytes(codes.size()).
  void pack(std::span<const std::uint8_t> codes, std::uint8_t* to) const {
    const auto cols = static_cast<Index>(codes.size());
    std::fill_n(to, bytes(cols), std::uint8_t{0});
    if (levels == 3) {
      for (Index j = cols - 1; j >= 0; --j)
        to[j / trits] = static_cast<std::uint8_t>(3 * to[j / trits] + codes[static_cast<std::size_t>(j)]);
      return;
    }
    const int width = bits();
    for (Index j = 0; j < cols; ++j) {
      const Index bit = j * width;
      const auto code = static_cast<unsigned>(codes[static_cast<std::size_t>(j)]) << (bit % 8);
      to[bit / 8] = static_cast<std::uint8_t>(to[bit / 8] | code);
      if (bit % 8 + width > 8) to[bit / 8 + 1] = static_cast<std::uint8_t>(code >> 8);
    }
  }
  void unpack(const std::uint8_t* from, std::span<std::uint8_t> codes) const {
    const auto cols = static_cast<Index>(codes.size());
    if (levels == 3) {
      unsigned left = 0;
      for (Index j = 0; j < cols; ++j, left /= 3) {
        if (j % trits == 0) left = from[j / trits];
        codes[static_cast<std::size_t>(j)] = static_cast<std::uint8_t>(left % 3);
      }
      return;
    }
    const int width = bits();
    const unsigned mask = (1U << width) - 1;
    for (Index j = 0; j < cols; ++j) {
      const Index bit = j * width;
      unsigned word = from[bit / 8];
      if (bit % 8 + width > 8) word |= static_cast<unsigned>(from[bit / 8 + 1]) << 8;
      codes[static_cast<std::size_t>(j)] = static_cast<std::uint8_t>((word >> (bit % 8)) & mask);
    }
  }
};

template <class T, class Device>
struct GridMatrix;

/// What lies in files is the codes, s, z where there are more than three levels (else z is their middle, (L - 1) / 2),
/// and m where the form has means.
struct Grid {
  static constexpr std::string_view name = "grid", summary = "codes of a few levels, a scale for each row or group";
  static constexpr std::string_view layout = "grid-rows-v1";

  int levels = 16;  ///< 2 to 256
  Index group = 0;  ///< columns that share a scale; 0: the whole row
  bool means = false;

  /// Errors: option_out_of_range.
  void check() const {
    if (levels < 2 || levels > 256)
      throw Error(ErrorId::option_out_of_range, name, "levels", "2 to 256", fmt::format("{}", levels));
    if (group < 0) throw Error(ErrorId::option_out_of_range, name, "group", "at least 0", fmt::format("{}", group));
  }
  [[nodiscard]] bool has_zeros() const noexcept { return levels > 3; }
  [[nodiscard]] Index group_size(Index cols) const noexcept { return group == 0 ? cols : std::min(group, cols); }
  [[nodiscard]] Index groups(Index cols) const noexcept { return (cols + group_size(cols) - 1) / group_size(cols); }

  template <class T, class Device>
  using Matrix = GridMatrix<T, Device>;

  template <class Put>
  void describe(const Put& put) const {
    put("levels", std::to_string(levels));
    put("group", std::to_string(group));
    put("means", means ? "yes" : "no");
  }
  /// Errors: option_out_of_range.
  template <class Get>
  [[nodiscard]] static Grid named(const Get& get) {
    const auto number = [&](std::string_view key, auto& value) {
      const std::string_view text = get(key);
      const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (status != std::errc() || end != text.data() + text.size())
        throw Error(ErrorId::option_out_of_range, name, key, "a whole number", text);
    };
    Grid grid;
    number("levels", grid.levels);
    number("group", grid.group);
    grid.means = get("means") == "yes";
    grid.check();
    return grid;
  }
};
template <class T, class Device>
struct GridMatrix {
  Grid form;
  Index cols;
  Tensor<std::uint8_t, Device> codes;  ///< (out, bytes of a row)
  Tensor<T, Device> scale;             ///< s, (out, groups)
  Tensor<std::uint8_t, Device> zero;   ///< z, (out, groups) or nothing
  Tensor<T, Device> mean;              ///< m, (out, groups) or nothing

  GridMatrix(const Grid& chosen, const LinearShape& s)
      : form((chosen.check(), chosen)),
        cols(s.in),
        codes(Shape{s.out, CodeRow{form.levels}.bytes(s.in)}),
        scale(Shape{s.out, form.groups(s.in)}) {
    if (form.has_zeros()) zero = Tensor<std::uint8_t, Device>(scale.shape());
    if (form.means) mean = Tensor<T, Device>(scale.shape());
  }

  /// The grid of group g of row i.
  struct Line {
    T scale, zero, mean;
    [[nodiscard]] T operator()(int code) const { return scale * (static_cast<T>(code) - zero) + mean; }
  };
  [[nodiscard]] Line line(Index i, Index g) const {
    const Index at = i * scale.shape().cols() + g;
    return {scale.view().data[at], zero ? static_cast<T>(zero.view().data[at]) : static_cast<T>(form.levels - 1) / 2,
            mean ? mean.view().data[at] : T(0)};
  }
  void set_line(Index i, Index g, const Line& line) {
    const Index at = i * scale.shape().cols() + g;
    scale.view().data[at] = line.scale;
    if (zero) zero.view().data[at] = static_cast<std::uint8_t>(line.zero);
    if (mean) mean.view().data[at] = line.mean;
  }
  /// The codes of a row, `cols` of them.
  void set_codes(Index i, std::span<const std::uint8_t> row) {
    CodeRow{form.levels}.pack(row, codes.view().data + i * codes.shape().cols());
  }
  void get_codes(Index i, std::span<std::uint8_t> row) const {
    CodeRow{form.levels}.unpack(codes.view().data + i * codes.shape().cols(), row);
  }
  void restore(View<T, Device> w) const {
    parallel_for(w.rows(), static_cast<std::size_t>(cols), [&](Index i, std::byte* memory) {
      const std::span row(reinterpret_cast<std::uint8_t*>(memory), static_cast<std::size_t>(cols));
      get_codes(i, row);
      T* const to = w.data + i * cols;
      const Index size = form.group_size(cols);
      for (Index first = 0; first < cols; first += size) {
        const Line grid = line(i, first / size);
        for (Index j = first; j < std::min(first + size, cols); ++j) to[j] = grid(row[static_cast<std::size_t>(j)]);
      }
    });
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("codes", self.codes...);
    v("scale", self.scale...);
    v("zero", self.zero...);
    v("mean", self.mean...);
  }
};

static_assert(StoredForm<Grid>);

}  // namespace binllm
