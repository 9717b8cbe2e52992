// SPDX-License-Identifier: MIT
/// What binllm::cuda holds, so that units of the host's compiler may use it: every kernel that the library ships, with
/// the types that it is called with. cmake/cuda.cmake makes a unit of each struct here and of each shipped estimator
/// (ops/cuda/shipped_estimator.cuh), which are built side by side.
#pragma once
#include <binllm/device/cuda/shipped.cuh>
#include <binllm/methods/post_training/gram_sum.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/distillation.hpp>
#include <binllm/ops/gelu.hpp>
#include <binllm/ops/hadamard.hpp>
#include <binllm/ops/layer_norm.hpp>
#include <binllm/ops/matmul.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/ops/normalized_squared_error.hpp>
#include <binllm/ops/prelu.hpp>
#include <binllm/ops/progressive_sign.hpp>
#include <binllm/ops/quantise_activations.hpp>
#include <binllm/ops/relu.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/softmax.hpp>
#include <binllm/ops/standardise.hpp>
#include <binllm/ops/subtract.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/ops/top_distillation.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/optim/muon.hpp>
#include <binllm/optim/sgd.hpp>
#include <binllm/packed/packed_linear.hpp>

namespace binllm::cuda {

inline constexpr Call forward = Call::forward, backward = Call::backward;

/// Kernels of a model that computes in T.
template <class T>
struct Shipped {
  using M = master_t<T>;
  using Ids = View<const std::int32_t, Cuda>;
  using In = View<const T, Cuda>;
  using Out = View<T, Cuda>;
  using To = Gradient<T, Cuda>;
  using MasterIn = View<const M, Cuda>;
  using MasterOut = View<M, Cuda>;
  using Bytes = View<std::byte, Cuda>;
  using Packed = std::array<SignRows<T>, few_matrices>;
  using Working = View<std::uint8_t, Cuda>;
  using Head = HeadArguments<T, Cuda>;
  using HeadMemory = HeadWorkspace<T, Cuda>;

  static const Function functions[];
};

template <class T>
const Function Shipped<T>::functions[] = {
    kernel<Accumulate, forward, In, To>(),
    kernel<GramSum, forward, In, MasterOut, View<double, Cuda>>(),
    kernel<Fill, forward, T, To>(),
    kernel<StridedCopy, forward, Elements<T>, Target<T>>(),
    kernel<Conversion, forward, MasterIn, Out>(),
    kernel<Add, forward, In, In, Out>(),
    kernel<Add, backward, In, To, To>(),
    kernel<Add, forward, In, MasterIn, Out>(),
    kernel<Add, backward, In, To, Gradient<M, Cuda>>(),
    kernel<Subtract, forward, In, In, Out>(),
    kernel<Subtract, backward, In, To, To>(),
    kernel<Multiply, forward, In, In, Out>(),
    kernel<Multiply, backward, In, In, In, Out, Out>(),
    kernel<Multiply, forward, In, MasterIn, Out>(),
    kernel<Multiply, backward, In, MasterIn, In, Out, MasterOut>(),
    kernel<Scaling, forward, In, M, Out>(),
    kernel<Scaling, backward, In, M, Out>(),
    kernel<SumAll, forward, In, M, MasterOut, Out>(),
    kernel<SumAll, backward, In, M, Out>(),
    kernel<Elementwise<Silu>, forward, Silu, In, Out>(),
    kernel<Elementwise<Silu>, backward, Silu, In, In, Out>(),
    kernel<Elementwise<Tanh>, forward, Tanh, In, Out>(),
    kernel<Elementwise<Tanh>, backward, Tanh, In, In, Out>(),
    kernel<Elementwise<Gelu>, forward, Gelu, In, Out>(),
    kernel<Elementwise<Gelu>, backward, Gelu, In, In, Out>(),
    kernel<Elementwise<GeluTanh>, forward, GeluTanh, In, Out>(),
    kernel<Elementwise<GeluTanh>, backward, GeluTanh, In, In, Out>(),
    kernel<Elementwise<Relu>, forward, Relu, In, Out>(),
    kernel<Elementwise<Relu>, backward, Relu, In, In, Out>(),
    kernel<SwiGlu, forward, In, In, Out>(),
    kernel<SwiGlu, backward, In, In, In, To, To>(),
    kernel<Softmax, forward, In, MasterOut, Out>(),
    kernel<Softmax, backward, In, In, MasterOut, Out>(),
    kernel<RmsNorm, forward, In, MasterIn, M, MasterOut, Out>(),
    kernel<RmsNorm, backward, In, MasterIn, MasterIn, In, MasterOut, To, MasterOut>(),
    kernel<LayerNorm, forward, In, MasterIn, MasterIn, M, MasterOut, MasterOut, Out>(),
    kernel<LayerNorm, backward, In, MasterIn, MasterIn, MasterIn, In, MasterOut, To, MasterOut, MasterOut>(),
    kernel<Standardise, forward, In, M, MasterOut, MasterOut, Out>(),
    kernel<Standardise, backward, In, MasterIn, In, MasterOut, MasterOut, To>(),
    kernel<QuantiseActivations, forward, In, const double*, MasterOut, MasterOut, Out>(),
    kernel<Hadamard, forward, In, Index, Out, Out>(),
    kernel<Hadamard, backward, In, Index, Out, To>(),
    kernel<Prelu, forward, In, MasterIn, Out>(),
    kernel<Prelu, backward, In, MasterIn, In, To, MasterOut>(),
    kernel<MeanSquaredError, forward, In, In, MasterOut, MasterOut>(),
    kernel<MeanSquaredError, backward, In, In, MasterIn, To, To>(),
    kernel<NormalizedSquaredError, forward, In, In, MasterOut, MasterOut, MasterOut, MasterOut>(),
    kernel<NormalizedSquaredError, backward, In, In, MasterIn, MasterIn, MasterIn, MasterIn, To, To>(),
    kernel<Rotary, forward, In, MasterIn, MasterIn, Index, Index, Out>(),
    kernel<Rotary, backward, MasterIn, MasterIn, Index, Index, In, To>(),
    kernel<Embedding, forward, Ids, MasterIn, Out>(),
    kernel<Embedding, backward, Ids, In, Bytes, MasterOut>(),
    kernel<Linear, forward, In, In, Out>(),
    kernel<Linear, forward, In, In, In, Out>(),
    kernel<Linear, backward, In, In, In, To, Gradient<M, Cuda>>(),
    kernel<LinearWithBias, forward, In, In, MasterIn, Out>(),
    kernel<LinearWithBias, backward, In, In, In, To, Gradient<M, Cuda>, MasterOut>(),
    kernel<PackedLinear<FloatActivations>, forward, In, Packed, Index, Working>(),
    kernel<PackedLinear<Int8Activations>, forward, In, Packed, Index, Working>(),
    kernel<Matmul, forward, In, In, Out>(),
    kernel<Matmul, backward, In, In, In, To, To>(),
    kernel<ChannelScaling, forward, In, MasterIn, Out>(),
    kernel<ChannelScaling, backward, MasterIn, In, In, Out, MasterOut>(),
    kernel<SignWeight, forward, MasterIn, MasterIn, MasterOut, Out>(),
    kernel<SignWeight, backward, MasterIn, MasterIn, In, MasterOut, MasterOut>(),
    kernel<Attention, forward, Attention, In, In, In, MasterOut, MasterOut, Out>(),
    kernel<Attention, backward, Attention, In, In, In, In, MasterIn, In, MasterOut, To, To, To>(),
    kernel<CachedAttention, forward, CachedAttention, In, In, In, MasterOut, Out>(),
    kernel<RotaryAtPlaces, forward, In, MasterIn, MasterIn, const Place*, Index, Out>(),
    kernel<WriteAtPlaces, forward, In, In, Out, Out, const Place*>(),
    kernel<AttentionAtPlaces, forward, AttentionAtPlaces, In, In, In, const Place*, MasterOut, Out>(),
    kernel<ChunkedHead<CrossEntropyRows>, forward, CrossEntropyRows, Head, HeadMemory, MasterOut>(),
    kernel<ChunkedHead<CrossEntropyRows>, backward, CrossEntropyRows, Head, MasterIn, HeadMemory, MasterOut, To,
           Gradient<M, Cuda>>(),
    kernel<ChunkedHead<DistillationRows>, forward, DistillationRows, Head, HeadMemory, MasterOut>(),
    kernel<ChunkedHead<DistillationRows>, backward, DistillationRows, Head, MasterIn, HeadMemory, MasterOut, To,
           Gradient<M, Cuda>>(),
    kernel<ChunkedHead<TopDistillationRows>, forward, TopDistillationRows, Head, HeadMemory, MasterOut>(),
    kernel<ChunkedHead<TopDistillationRows>, backward, TopDistillationRows, Head, MasterIn, HeadMemory, MasterOut, To,
           Gradient<M, Cuda>>(),
};

/// Kernels over parameters, products of matrices, and the sizes of working memory.
template <class M = float>
struct ShippedOnce {
  using In = View<const M, Cuda>;
  using Out = View<M, Cuda>;
  static const Function functions[];
};
template <class M>
const Function ShippedOnce<M>::functions[] = {
    kernel<NormalFill, forward, Random, double, Out>(),
    kernel<HeadGroups, forward, In, Index, Index, Out>(),
    kernel<HeadGroups, backward, In, Index, Index, Out>(),
    kernel<DivideColumns, forward, In, Out>(),
    kernel<MultiplyRows, forward, In, Out>(),
    kernel<MultiplyColumns, forward, In, Out>(),
    kernel<Exponential, forward, In, Out>(),
    kernel<MeanMagnitude, forward, ScaleTraits, In, Out>(),
    kernel<SumOfSquares, forward, In, Out>(),
    kernel<SumOfPieces, forward, In, Out>(),
    kernel<AdamWUpdate, Call::update, AdamWOptions, ParameterRule, AdamWUpdate::Step, In, Out, Out, Out>(),
    kernel<DecayToSigns, Call::update, M, const double*, Out, Out>(),
    kernel<MuonUpdate, Call::update, MuonOptions, ParameterRule, MuonUpdate::Step, In, Out, Out, MuonMemory<M, Cuda>>(),
    kernel<SgdUpdate, Call::update, SgdOptions, ParameterRule, SgdUpdate::Step, In, Out, Out>(),
    kernel<Elementwise<FastProgressiveSign<float>>, forward, FastProgressiveSign<float>, In, Out>(),
    kernel<Elementwise<FastProgressiveSign<float>>, backward, FastProgressiveSign<float>, In, In, Out>(),
    room<Attention, Attention>(),
    room<CachedAttention, CachedAttention>(),
    room<AttentionAtPlaces, AttentionAtPlaces>(),
    room<CrossEntropyRows, Index>(),
    room<DistillationRows, Index>(),
    room<TopDistillationRows, Index>(),
    kernel<QuantiseActivations, backward>(),
    room<Embedding, Index>(),
    room<Hadamard, Index>(),
    room<LayerNorm, Shape>(),
    room<PackedLinear<FloatActivations>, Index, Index, Index, Index>(),
    room<PackedLinear<Int8Activations>, Index, Index, Index, Index>(),
    room<RmsNorm, Shape>(),
    product<float, float>(),
    product<bf16, bf16>(),
    product<bf16, float>(),
};

}  // namespace binllm::cuda
