// SPDX-License-Identifier: MIT
/// The open set of fused ops. `GenericKernel<Op, Device>` is the definition of an op, written once on Backend services;
/// `Kernel<Op, Device>` is what runs: the generic one, unless a device specialises it at the end of the op's header.
#pragma once

namespace binllm {

template <class Op, class Device>
struct GenericKernel;

template <class Op, class Device>
struct Kernel : GenericKernel<Op, Device> {};

}  // namespace binllm
