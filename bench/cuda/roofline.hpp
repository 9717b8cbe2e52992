// SPDX-License-Identifier: MIT
/// A training step beside its roofline.
#pragma once

#include "cuda/shapes.hpp"

namespace binllm::bench {

/// What this machine reaches: a device copy, read and written, and a large product of bf16.
struct Ceilings {
  double bytes_per_second, operations_per_second;
};

/// Prints what each part of the step would take at the ceilings, and what the step takes.
/// Errors: device_missing, out_of_memory.
void print_step(const TrainingShape& shape, bool binary, const Ceilings& ceilings, bool json);

}  // namespace binllm::bench
