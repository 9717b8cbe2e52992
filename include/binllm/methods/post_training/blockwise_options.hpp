// SPDX-License-Identifier: MIT
/// How a walk over the blocks calibrates a method after training.
#pragma once
#include <binllm/core/options.hpp>
#include <binllm/core/shape.hpp>

namespace binllm {

/// Which inputs a Hessian is of: those behind what is quantised already, or those of the model in full precision.
enum class CalibrationInputs { present, full };

struct BlockwiseOptions {
  CalibrationInputs inputs = CalibrationInputs::present;
  Index windows_at_once = 1;  ///< that run through a block together
};

}  // namespace binllm
