// SPDX-License-Identifier: MIT
/// What a method after training did to a layer, and who hears of it.
#pragma once
#include <binllm/methods/post_training/calibrated_layer.hpp>

#include <string>
#include <string_view>

namespace binllm {

/// Errors of one layer whose weight W became Q.
struct LayerReport {
  std::string name;
  Index weights = 0;
  double weight_error = 0;  ///< |W - Q|^2 / |W|^2
  double loss = 0;          ///< tr (W - Q) H (W - Q)^T / 2: half the squared error of the outputs, a window
  double output_error = 0;  ///< tr (W - Q) H (W - Q)^T / tr W H W^T; both are 0 where nothing was seen
  double damping = 0;       ///< that the method's factor of the Hessian took, if it asked for one
  Index dead = 0;           ///< inputs that are always zero
};

/// Hears how a model is quantised. Does nothing by itself.
class QuantiseLog {
 public:
  virtual ~QuantiseLog() = default;
  virtual void layer(const LayerReport& /*report*/) {}
  /// What is not as asked for, in a sentence: a Hessian that took more damping, layers that are passed by.
  virtual void remark(std::string_view /*layer*/, std::string_view /*sentence*/) {}
};

namespace detail {

/// tr D H D^T of D (out, in), in blocks of rows. `part` gives an element of D.
template <class Part>
[[nodiscard]] double quadratic(Index out, View<const double> h, const Part& part) {
  constexpr Index height = 64;
  const Index in = h.cols(), tiles = (out + height - 1) / height;
  const std::size_t block = static_cast<std::size_t>(height * in) * sizeof(double);
  Tensor<double> sums(Shape{tiles});
  parallel_for(tiles, 2 * block + cpu::gemm_bytes<double>(height, in, in), [&](Index tile, std::byte* memory) {
    const Index first = tile * height, rows = std::min(height, out - first);
    double* const d = reinterpret_cast<double*>(memory);
    double* const product = d + height * in;
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < in; ++j) d[i * in + j] = part(first + i, j);
    }
    cpu::gemm_serial<double>(rows, in, in, 1.0, {d, in, false}, {h.data, in, false}, false, product, in,
                             memory + 2 * block);
    double sum = 0;
    for (Index k = 0; k < rows * in; ++k) sum += d[k] * product[k];
    sums.view().data[tile] = sum;
  });
  return sums.view().flat().sum();
}

[[nodiscard]] inline LayerReport report_of(const CalibratedLayer& layer, View<const float> restored) {
  const View<const float> w = layer.weight;
  const auto weight = [&](Index i, Index j) { return static_cast<double>(w.data[i * w.cols() + j]); };
  const auto error = [&](Index i, Index j) {
    return weight(i, j) - static_cast<double>(restored.data[i * w.cols() + j]);
  };
  const auto before = w.flat().cast<double>(), after = restored.flat().cast<double>();
  const double norm = before.square().sum();
  LayerReport report{.name = std::string(layer.name), .weights = w.size()};
  report.weight_error = norm > 0 ? (before - after).square().sum() / norm : 0;
  if (!layer.inputs.empty()) {
    double whole = 0, lost = 0;
    if (const DeviceHessian* const device = layer.inputs.on_device()) {
      const Tensor<float> nothing(w.shape);
      whole = device->quadratic(w, nothing.view()), lost = device->quadratic(w, restored);
    } else {
      const View<const double> h = layer.inputs.hessian();
      whole = quadratic(w.rows(), h, weight), lost = quadratic(w.rows(), h, error);
    }
    report.loss = lost / 2;
    report.output_error = whole > 0 ? lost / whole : 0;
  }
  if (const InverseFactor* factor = layer.inputs.factor()) {
    report.damping = factor->damping;
    report.dead = static_cast<Index>(factor->dead.size());
  }
  return report;
}

}  // namespace detail
}  // namespace binllm
