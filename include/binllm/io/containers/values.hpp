// SPDX-License-Identifier: MIT
/// Floating point numbers as containers store them.
#pragma once
#include <binllm/core/dtype.hpp>

#include <cstddef>
#include <span>

namespace binllm {

/// Converts out.size() numbers of a floating point type, or whole blocks of them, from their little-endian bytes, which
/// need no alignment. Errors: dtype_unsupported for another type; shape_mismatch where there are more or fewer bytes.
void read_values(DType dtype, std::span<const std::byte> bytes, std::span<float> out);
void read_values(DType dtype, std::span<const std::byte> bytes, std::span<double> out);

}  // namespace binllm
