// SPDX-License-Identifier: MIT
/// Where data lives is a type. A device is an empty tag; what it can do stands in `Backend<Device>`.
#pragma once

namespace binllm {

/// The host's processor and memory.
struct Cpu {};

/// The small closed set of services of a device: allocate, release, copy, zero, gemm, map, row_reduce,
/// column_reduce, gather_rows, scatter_add_rows, synchronise. Declared, never defined: an unknown device fails where it
/// is first used.
template <class Device>
struct Backend;

/// Devices whose memory host code may read; only their views offer Eigen lenses.
template <class Device>
inline constexpr bool host_accessible = false;
template <>
inline constexpr bool host_accessible<Cpu> = true;

}  // namespace binllm
