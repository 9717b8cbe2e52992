// SPDX-License-Identifier: MIT
/// What an op is written with: the services of the CPU, the templates of kernels, and what they are on a GPU.
#pragma once
#include <binllm/device/cpu.hpp>
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/device/generic_kernel.hpp>
