// SPDX-License-Identifier: MIT
/// A place of a block where one activation enters linear layers, before any of them is quantised: what methods that
/// move scales between the layers of a block are written on (Lin et al., AWQ, arXiv 2306.00978). The model computes the
/// same before and after:
///
///     x -> x / s where x is made (a norm, the rows of the layer in front),      W -> W diag s
#pragma once
#include <binllm/methods/post_training/calibrated_layer.hpp>
#include <binllm/nn/role.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace binllm {

struct NamedWeight {
  std::string_view name;
  View<const float> weight;  ///< (out, in)
};

class ScalableInput {
 public:
  virtual ~ScalableInput() = default;
  [[nodiscard]] virtual Role role() const = 0;
  [[nodiscard]] virtual const std::vector<NamedWeight>& layers() const = 0;
  /// Why no scale can go from here, or nothing.
  [[nodiscard]] virtual std::string_view obstacle() const = 0;
  /// mean |x_j| over the tokens of the calibration text, (in). Asked for first: it keeps what the error is found from.
  [[nodiscard]] virtual std::vector<double> mean_magnitudes() = 0;
  /// Mean squared difference between what the part of the block gives that these layers belong to (attention, the
  /// feed-forward network, or the layer itself where it is the only one) with its own weights and with these in their
  /// places, (out, in) each, in the order of `layers`.
  [[nodiscard]] virtual double output_error(const std::vector<Tensor<float>>& weights) = 0;
  /// Divides x by s > 0 (in) and multiplies the layers' columns with it.
  virtual void scale(View<const float> s) = 0;
};

}  // namespace binllm
