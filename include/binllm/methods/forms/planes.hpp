// SPDX-License-Identifier: MIT
/// The stored form of weights in planes of signs: one bit for all of them, a second one in salient columns, and a bit
/// that says which scale is a weight's.
///
///     W_ij = mean_ig + scale_ig c_jg s_ij                                   one plane
///     W_ij = mean_ig + scale_ig c_jg s_ij + residual_scale_ig d_jg t_ij     two planes: j is salient
///
/// s, t = +-1. g is the group of ij in its block of columns: 0 or 1, in salient columns 2 or 3. Either there are means,
/// or scales c and d of columns. What runs is the weight that it makes: there is no product of planes.
#pragma once
#include <binllm/device/thread_pool.hpp>
#include <binllm/nn/stored.hpp>
#include <binllm/packed/sign_row.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace binllm {

/// A block of columns in planes: what methods find.
struct PlanesBlock {
  static constexpr Index most_groups = 4;
  template <class X>
  using Rows = Eigen::Array<X, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  Rows<std::uint8_t> group;                          ///< (rows, columns): 0 to 3
  Rows<double> sign, residual_sign;                  ///< (rows, columns): +-1; the second only counts in groups 2 and 3
  Rows<double> mean, scale, residual_scale;          ///< (rows, 4)
  Rows<double> column_scale, residual_column_scale;  ///< (columns, 2), of groups g % 2

  PlanesBlock(Index rows, Index cols)
      : group(Rows<std::uint8_t>::Zero(rows, cols)),
        sign(Rows<double>::Ones(rows, cols)),
        residual_sign(Rows<double>::Ones(rows, cols)),
        mean(Rows<double>::Zero(rows, most_groups)),
        scale(mean),
        residual_scale(mean),
        column_scale(Rows<double>::Ones(cols, 2)),
        residual_column_scale(Rows<double>::Ones(cols, 2)) {}

  [[nodiscard]] Index rows() const { return group.rows(); }
  [[nodiscard]] Index cols() const { return group.cols(); }
  /// A column is salient in all rows or in none.
  [[nodiscard]] bool salient(Index j) const { return group(0, j) >= 2; }
  [[nodiscard]] double value(Index i, Index j) const {
    const Index g = group(i, j);
    return mean(i, g) + scale(i, g) * column_scale(j, g % 2) * sign(i, j) +
           residual_scale(i, g) * residual_column_scale(j, g % 2) * residual_sign(i, j);
  }
  [[nodiscard]] Rows<double> restored() const {
    Rows<double> w(rows(), cols());
    parallel_for(rows(), [&](Index i) {
      for (Index j = 0; j < cols(); ++j) w(i, j) = value(i, j);
    });
    return w;
  }
};

template <class T, class Device>
struct SignPlanesMatrix;

/// What lies in files: `signs` and `groups` (out, bytes of a row), `columns` (bytes of a row), `residual_signs` (a row of
/// `out` bits for each salient column), `scale`, `residual_scale`, and `mean` or `column_scale`, `residual_column_scale`.
struct SignPlanes {
  static constexpr std::string_view name = "sign-planes";
  static constexpr std::string_view summary =
      "signs, a second plane in salient columns, scales by row, block and group";
  static constexpr std::string_view layout = "sign-planes-v1";

  Index block = 128;            ///< columns that share scales
  bool salient_groups = false;  ///< whether salient columns have two groups, too
  bool column_scales = false;   ///< instead of means

  /// Errors: option_out_of_range.
  void check() const {
    if (block < 1) throw Error(ErrorId::option_out_of_range, name, "block", "at least 1", fmt::format("{}", block));
  }
  [[nodiscard]] Index groups() const noexcept { return salient_groups ? 4 : 3; }
  [[nodiscard]] Index residual_groups() const noexcept { return groups() - 2; }
  [[nodiscard]] Index blocks(Index cols) const noexcept { return (cols + block - 1) / block; }

  template <class T, class Device>
  using Matrix = SignPlanesMatrix<T, Device>;

  template <class Put>
  void describe(const Put& put) const {
    put("block", fmt::format("{}", block));
    put("salient_groups", fmt::format("{}", residual_groups()));
    put("scales", std::string(scale_words[column_scales ? 1 : 0]));
  }
  /// Errors: config_invalid.
  template <class Get>
  [[nodiscard]] static SignPlanes named(const Get& get) {
    const auto refuse = [](std::string_view key, std::string_view wanted, std::string_view found) {
      return Error(ErrorId::config_invalid, "load_model", fmt::format("config.json: binllm.{}", key), wanted, found);
    };
    SignPlanes planes;
    const std::string_view size = get("block"), groups = get("salient_groups"), scales = get("scales");
    const auto [end, status] = std::from_chars(size.data(), size.data() + size.size(), planes.block);
    if (status != std::errc() || end != size.data() + size.size() || planes.block < 1)
      throw refuse("block", "a whole number, at least 1", size);
    if (groups != "1" && groups != "2") throw refuse("salient_groups", "1 or 2", groups);
    if (scales != scale_words[0] && scales != scale_words[1])
      throw refuse("scales", fmt::format("{} or {}", scale_words[0], scale_words[1]), scales);
    planes.salient_groups = groups == "2";
    planes.column_scales = scales == scale_words[1];
    return planes;
  }

 private:
  static constexpr std::array<std::string_view, 2> scale_words{"rows and means", "rows and columns"};
};
template <class T, class Device>
struct SignPlanesMatrix {
  SignPlanes form;
  Index rows, cols;
  Tensor<std::uint8_t, Device> signs, groups, columns;
  Tensor<std::uint8_t, Device> residual_signs;            ///< as many rows as there are salient columns
  Tensor<T, Device> scale, residual_scale, mean;          ///< (out, blocks * groups)
  Tensor<T, Device> column_scale, residual_column_scale;  ///< (in, 2), (salient columns, groups of them)

  SignPlanesMatrix(const SignPlanes& chosen, const LinearShape& s)
      : form((chosen.check(), chosen)),
        rows(s.out),
        cols(s.in),
        signs(Shape{s.out, sign_row_bytes(s.in)}),
        groups(signs.shape()),
        columns(Shape{sign_row_bytes(s.in)}),
        residual_signs(Shape{0, sign_row_bytes(s.out)}),
        scale(Shape{s.out, form.blocks(s.in) * form.groups()}),
        residual_scale(Shape{s.out, form.blocks(s.in) * form.residual_groups()}) {
    if (!form.column_scales) mean = Tensor<T, Device>(scale.shape());
    if (form.column_scales) column_scale = Tensor<T, Device>(Shape{s.in, 2});
    if (form.column_scales) residual_column_scale = Tensor<T, Device>(Shape{0, form.residual_groups()});
  }

  /// Writes a block that begins at column `first`; blocks come in their order.
  void set_block(Index first, const PlanesBlock& from) {
    const Index b = first / form.block;
    parallel_for(rows, [&](Index i) {
      for (Index j = 0; j < from.cols(); ++j) {
        set_bit(signs, i, first + j, from.sign(i, j) > 0);
        set_bit(groups, i, first + j, from.group(i, j) % 2 == 1);
      }
      for (Index g = 0; g < form.groups(); ++g) {
        const Index at = (i * form.blocks(cols) + b) * form.groups() + g;
        scale.view().data[at] = static_cast<T>(from.scale(i, g));
        if (mean) mean.view().data[at] = static_cast<T>(from.mean(i, g));
      }
      for (Index g = 0; g < form.residual_groups(); ++g)
        residual_scale.view().data[(i * form.blocks(cols) + b) * form.residual_groups() + g] =
            static_cast<T>(from.residual_scale(i, g + 2));
    });
    for (Index j = 0; j < from.cols(); ++j) {
      if (from.salient(j)) add_salient(first + j, j, from);
      if (column_scale) {
        for (Index g = 0; g < 2; ++g)
          column_scale.view().data[2 * (first + j) + g] = static_cast<T>(from.column_scale(j, g));
      }
    }
  }

  /// Errors: tensors_mismatched where salient columns and their planes are not as many.
  void restore(View<T, Device> w) const {
    const std::vector<Index> salient = salient_columns();
    const std::size_t row_bytes = static_cast<std::size_t>(cols) * sizeof(T);
    parallel_for(rows, 2 * row_bytes, [&](Index i, std::byte* memory) {
      T* const s = reinterpret_cast<T*>(memory);
      T* const g = s + cols;
      unpack_row(signs.view().data + i * signs.shape().cols(), View<T>(s, Shape{cols}));
      unpack_row(groups.view().data + i * groups.shape().cols(), View<T>(g, Shape{cols}));
      T* const to = w.data + i * cols;
      for (Index b = 0; b < form.blocks(cols); ++b) {
        const Line line = line_of(i, b, 0);
        for (Index j = b * form.block; j < std::min(cols, (b + 1) * form.block); ++j)
          to[j] = line(*this, j, g[j], s[j]);
      }
      for (Index k = 0; k < static_cast<Index>(salient.size()); ++k) {
        const Index j = salient[static_cast<std::size_t>(k)];
        to[j] = line_of(i, j / form.block, 2)(*this, j, g[j], s[j]) + residual(i, j, k, g[j]);
      }
    });
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("signs", self.signs...);
    v("groups", self.groups...);
    v("columns", self.columns...);
    v("residual_signs", self.residual_signs...);
    v("scale", self.scale...);
    v("residual_scale", self.residual_scale...);
    v("mean", self.mean...);
    v("column_scale", self.column_scale...);
    v("residual_column_scale", self.residual_column_scale...);
  }

 private:
  /// Means and scales of two groups of a row's block.
  struct Line {
    std::array<T, 2> mean, scale;
    T operator()(const SignPlanesMatrix& matrix, Index j, T group, T sign) const {
      const std::size_t g = group > 0 ? 1 : 0;
      const T c = matrix.column_scale ? matrix.column_scale.view().data[2 * j + static_cast<Index>(g)] : T(1);
      return mean[g] + scale[g] * c * sign;
    }
  };
  [[nodiscard]] Line line_of(Index i, Index b, Index first_group) const {
    Line line{};
    for (Index g = 0; g < std::min<Index>(2, form.groups() - first_group); ++g) {
      const Index at = (i * form.blocks(cols) + b) * form.groups() + first_group + g;
      line.scale[static_cast<std::size_t>(g)] = scale.view().data[at];
      if (mean) line.mean[static_cast<std::size_t>(g)] = mean.view().data[at];
    }
    return line;
  }
  /// The second plane's share of W_ij, where j is the k-th salient column.
  [[nodiscard]] T residual(Index i, Index j, Index k, T group) const {
    const Index count = form.residual_groups(), g = count == 2 && group > T(0) ? 1 : 0;
    const bool positive = (residual_signs.view().data[k * residual_signs.shape().cols() + i / 8] >> (i % 8)) & 1;
    const T value = residual_scale.view().data[(i * form.blocks(cols) + j / form.block) * count + g] *
                    (residual_column_scale ? residual_column_scale.view().data[k * count + g] : T(1));
    return positive ? value : -value;
  }
  [[nodiscard]] std::vector<Index> salient_columns() const {
    std::vector<Index> salient;
    for (Index j = 0; j < cols; ++j) {
      if ((columns.view().data[j / 8] >> (j % 8)) & 1) salient.push_back(j);
    }
    const auto wanted = static_cast<Index>(salient.size());
    const bool scales = !form.column_scales || residual_column_scale.shape()[0] == wanted;
    if (residual_signs.shape()[0] != wanted || !scales)
      throw Error(ErrorId::tensors_mismatched, "sign-planes", "residual_signs",
                  fmt::format("a row for each of {} salient columns", wanted),
                  fmt::format("{}", residual_signs.shape()[0]));
    return salient;
  }
  void add_salient(Index column, Index j, const PlanesBlock& from) {
    columns.view().data[column / 8] = static_cast<std::uint8_t>(columns.view().data[column / 8] | 1U << (column % 8));
    std::uint8_t* const bits = add_row(residual_signs);
    for (Index i = 0; i < rows; ++i) {
      if (from.residual_sign(i, j) > 0) bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1U << (i % 8));
    }
    if (!form.column_scales) return;
    T* const scales = add_row(residual_column_scale);
    for (Index g = 0; g < form.residual_groups(); ++g) scales[g] = static_cast<T>(from.residual_column_scale(j, g));
  }
  /// Makes a tensor one row longer. The row is zero.
  template <class X>
  static X* add_row(Tensor<X, Device>& tensor) {
    const Shape old = tensor.shape();
    Tensor<X, Device> longer(Shape{old[0] + 1, old[1]});
    std::copy_n(tensor.view().data, old.size(), longer.view().data);
    tensor = std::move(longer);
    return tensor.view().data + old.size();
  }
  static void set_bit(Tensor<std::uint8_t, Device>& bits, Index i, Index j, bool on) {
    std::uint8_t& byte = bits.view().data[i * bits.shape().cols() + j / 8];
    if (on) byte = static_cast<std::uint8_t>(byte | 1U << (j % 8));
  }
};
static_assert(StoredForm<SignPlanes>);

}  // namespace binllm
