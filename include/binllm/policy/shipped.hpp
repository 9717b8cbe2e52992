// SPDX-License-Identifier: MIT
/// The policies that the library ships, and the only lists of them: tables by name, config.json, --help, what is
/// compiled for GPUs and docs/policies.md follow. Each policy says its own name, summary and partners.
#pragma once
#include <binllm/core/type_list.hpp>
#include <binllm/policy/blended_sign.hpp>
#include <binllm/policy/channel_scale.hpp>
#include <binllm/policy/equal_error_schedule.hpp>
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/scale.hpp>
#include <binllm/policy/schedule.hpp>
#include <binllm/policy/straight_through.hpp>
#include <binllm/policy/then_sign.hpp>

namespace binllm {

template <std::floating_point T>
using ShippedEstimators = TypeList<ProgressiveSign<T>, StraightThrough<T>, ErrorDecay<T>, ProgressiveForward<T>,
                                   BlendedSign<T>, SoftmaxRounding<T>, ProgressiveThenSign<T>>;

template <std::floating_point T>
using ShippedScales =
    TypeList<DualScale<T>, DualScale<T, Granularity::row, AnalyticGradient::detached>, AnalyticScale<T>,
             AnalyticScale<T, Granularity::row, AnalyticGradient::detached>, LearnedScale<T>>;

using ShippedGranularities = TypeList<RowScales, ColumnScales, TensorScale, GroupScales>;

template <std::floating_point T>
using ShippedChannelScales = TypeList<ChannelScale<T, ChannelSharing::none>, ChannelScale<T, ChannelSharing::shared>,
                                      ChannelScale<T, ChannelSharing::per_linear>>;

using ShippedSchedules = TypeList<ExponentialSchedule, UniformSchedule, LogarithmicSchedule, DegreeUniformSchedule,
                                  EqualErrorSchedule, GeometricSchedule, ConstantSchedule, RampSchedule, BlendThenAnnealSchedule>;

}  // namespace binllm
