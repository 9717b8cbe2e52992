// SPDX-License-Identifier: MIT
/// Estimators as kernels run them: all fast forms, so that no kernel misses one.
#pragma once
#include <binllm/ops/fast/blended_sign.hpp>
#include <binllm/ops/fast/form.hpp>
#include <binllm/ops/fast/progressive_sign.hpp>
#include <binllm/ops/fast/rows.hpp>
#include <binllm/ops/fast/runtime.hpp>
#include <binllm/ops/fast/straight_through.hpp>
#include <binllm/ops/fast/then_sign.hpp>
