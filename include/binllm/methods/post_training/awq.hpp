// SPDX-License-Identifier: MIT
/// AWQ (Lin et al., MLSys 2024, arXiv 2306.00978; code mit-han-lab/llm-awq): weights whose inputs are large are scaled
/// up before they are rounded, and what is in front of them down; then the range of each group is clipped.
///
///     s_j = t_j / sqrt(max t min t),    t_j = max((mean |x_j|)^r, 10^-4),    r in {0, 1/20, ..., 19/20}
///
/// the one with the smallest error of the block's part. Ranges shrink to max |w| times 1, 19/20, ..., 11/20, by the
/// error of each row and group, d^T H_g d, d = w - Q(w); those of q and k stay, as all do of one bit and of three
/// values.
#pragma once
#include <binllm/methods/post_training/gptq.hpp>
#include <binllm/methods/post_training/rtn.hpp>
#include <binllm/methods/post_training/scalable_input.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace binllm {

struct AwqOptions {
  Index ratios = 20;      ///< r = 0, 1/ratios, ...
  Index clip_steps = 20;  ///< ranges shrink by 1/clip_steps, to a half; 0: none

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("ratios", self.ratios, "exponents of the scales that are tried", at_least(1));
    v("clip_steps", self.clip_steps, "ranges are shrunk by such parts, to a half; 0: not at all", at_least(0));
  }
};

namespace detail {

/// s of ratio r, from mean |x_j|.
[[nodiscard]] inline std::vector<float> awq_scale(const std::vector<double>& magnitudes, double ratio) {
  std::vector<float> s(magnitudes.size());
  double largest = 0, smallest = std::numeric_limits<double>::infinity();
  const auto power = [&](double m) { return std::max(std::pow(m, ratio), 1e-4); };
  for (const double m : magnitudes) {
    largest = std::max(largest, power(m));
    smallest = std::min(smallest, power(m));
  }
  for (std::size_t j = 0; j < s.size(); ++j)
    s[j] = static_cast<float>(power(magnitudes[j]) / std::sqrt(largest * smallest));
  return s;
}

/// Q(W diag s) diag(1/s).
[[nodiscard]] inline Tensor<float> rounded_under(const Grid& form, View<const float> w, const std::vector<float>& s) {
  const Index cols = w.cols(), size = form.group_size(cols);
  Tensor<float> result(w.shape);
  parallel_for(w.rows(), [&](Index i) {
    float* const to = result.view().data + i * cols;
    for (Index j = 0; j < cols; ++j) to[j] = w.data[i * cols + j] * s[static_cast<std::size_t>(j)];
    for (Index first = 0; first < cols; first += size) {
      const Index last = std::min(first + size, cols);
      const GridLine line =
          GridLine::fit(form, std::span<const float>(to + first, static_cast<std::size_t>(last - first)));
      for (Index j = first; j < last; ++j)
        to[j] = static_cast<float>(line.nearest(static_cast<double>(to[j]))) / s[static_cast<std::size_t>(j)];
    }
  });
  return result;
}

/// The best scale of an input, applied. What cannot be scaled stays.
inline void search_scale(const AwqOptions& options, const Grid& form, ScalableInput& input) {
  if (!input.obstacle().empty()) return;
  const std::vector<double> magnitudes = input.mean_magnitudes();
  std::vector<float> best;
  double least = std::numeric_limits<double>::infinity();
  for (Index k = 0; k < options.ratios; ++k) {
    const auto s = awq_scale(magnitudes, static_cast<double>(k) / static_cast<double>(options.ratios));
    std::vector<Tensor<float>> weights;
    for (const NamedWeight& layer : input.layers()) weights.push_back(rounded_under(form, layer.weight, s));
    const double error = input.output_error(weights);
    if (error < least) least = error, best = s;
  }
  if (best.empty())
    throw Error(ErrorId::value_not_finite, "awq", input.layers().front().name, "finite outputs", "inf or NaN");
  input.scale({best.data(), Shape{static_cast<Index>(best.size())}});
}

/// w with the range of each row and group clipped to where rounding costs least. H is that of the inputs.
[[nodiscard]] inline Tensor<float> clipped(const AwqOptions& options, const Grid& form, View<const float> w,
                                           View<const double> h) {
  const Index in = w.cols(), size = form.group_size(in), groups = form.groups(in), out = w.rows();
  const Index steps = std::max<Index>(options.clip_steps / 2, 1), height = 32;
  Tensor<float> result(w.shape);
  const Index tiles = (out + height - 1) / height;
  const std::size_t block = static_cast<std::size_t>(height * size) * sizeof(double);
  parallel_for(
      tiles * groups, 2 * block + cpu::gemm_bytes<double>(height, size, size), [&](Index t, std::byte* memory) {
        const Index top = t / groups * height, first = t % groups * size;
        const Index rows = std::min(height, out - top), width = std::min(size, in - first);
        double* const d = reinterpret_cast<double*>(memory);
        double* const product = d + height * size;
        const auto row_of = [&](Index i) { return w.data + (top + i) * in + first; };
        std::array<double, 32> least{}, best{};
        least.fill(std::numeric_limits<double>::infinity());
        for (Index step = 0; step < steps; ++step) {
          const double share = 1 - static_cast<double>(step) / static_cast<double>(options.clip_steps);
          std::array<double, 32> range{};
          std::vector<float> cut(static_cast<std::size_t>(width));
          for (Index i = 0; i < rows; ++i) {
            const float* const from = row_of(i);
            for (Index j = 0; j < width; ++j)
              range[static_cast<std::size_t>(i)] =
                  std::max(range[static_cast<std::size_t>(i)], static_cast<double>(std::abs(from[j])));
            const auto limit = static_cast<float>(range[static_cast<std::size_t>(i)] *= share);
            for (Index j = 0; j < width; ++j) cut[static_cast<std::size_t>(j)] = std::clamp(from[j], -limit, limit);
            const GridLine line = GridLine::fit(form, std::span<const float>(cut));
            for (Index j = 0; j < width; ++j)
              d[i * width + j] =
                  static_cast<double>(from[j]) - line.nearest(static_cast<double>(cut[static_cast<std::size_t>(j)]));
          }
          cpu::gemm_serial<double>(rows, width, width, 1.0, {d, width, false}, {h.data + first * in + first, in, false},
                                   false, product, width, memory + 2 * block);
          for (Index i = 0; i < rows; ++i) {
            const double error = cpu::dot(d + i * width, product + i * width, width);
            const auto k = static_cast<std::size_t>(i);
            if (error < least[k]) least[k] = error, best[k] = range[k];
          }
        }
        for (Index i = 0; i < rows; ++i) {
          const auto limit = static_cast<float>(best[static_cast<std::size_t>(i)]);
          float* const to = result.view().data + (top + i) * in + first;
          for (Index j = 0; j < width; ++j) to[j] = std::clamp(row_of(i)[j], -limit, limit);
        }
      });
  return result;
}

}  // namespace detail

struct Awq {
  static constexpr std::string_view name = "awq",
                                    summary =
                                        "scales that let weights of large inputs be rounded finer, clipped ranges";
  static constexpr std::string_view source = "Lin et al., MLSys 2024, arXiv 2306.00978";
  using Form = Grid;

  GridOptions grid{.group = 128};
  AwqOptions search{};

  [[nodiscard]] Grid form() const { return grid.form(); }

  /// Before the layers of one input are quantised.
  void scale_input(ScalableInput& input) const { detail::search_scale(search, form(), input); }

  void operator()(const CalibratedLayer& layer, Grid::Matrix<float, Cpu>& to) const {
    const bool clips = search.clip_steps > 0 && to.form.has_zeros() && !is_query_or_key(layer);
    const Rtn round{.grid = grid};
    if (!clips) return round(layer, to);
    const Tensor<float> w = detail::clipped(search, to.form, layer.weight, layer.inputs.hessian());
    round({layer.name, layer.block, layer.role, w.view(), layer.inputs, layer.place}, to);
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("grid", self.grid, "", any);
    v("search", self.search, "", any);
  }

 private:
  [[nodiscard]] static bool is_query_or_key(const CalibratedLayer& layer) {
    return layer.role == Role::attention_in && layer.place < 2;
  }
};
static_assert(PostTrainingMethod<Awq>);

/// The scales of AWQ, then the columns of GPTQ.
struct AwqGptq : Gptq {
  static constexpr std::string_view name = "awq-gptq", summary = "the scales of awq, then the columns of gptq";
  static constexpr std::string_view source = "both of these";

  AwqOptions search{.clip_steps = 0};

  AwqGptq() { grid.group = 128; }
  void scale_input(ScalableInput& input) const { detail::search_scale(search, form(), input); }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Gptq::visit(v, self);
    v("ratios", self.search.ratios, "exponents of the scales that are tried", at_least(1));
  }
};
static_assert(PostTrainingMethod<AwqGptq>);

}  // namespace binllm
