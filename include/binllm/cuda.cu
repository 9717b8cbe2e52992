// SPDX-License-Identifier: MIT
// binllm::cuda: what nvcc defines, instantiated for all that the library ships, so that units of the host's compiler
// may use it. Scalar types: float and bf16.
#include <binllm/models/convert.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/distillation.hpp>
#include <binllm/ops/matmul.hpp>
#include <binllm/ops/progressive_sign.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/softmax.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/optim/sgd.hpp>
#include <binllm/policy/runtime.hpp>

namespace binllm::cuda {

template struct Runtime<>;
template void gemm(Product, View<const float, Cuda>, View<const float, Cuda>, View<const float, Cuda>, View<float, Cuda>);
template void gemm(Product, View<const bf16, Cuda>, View<const bf16, Cuda>, View<const bf16, Cuda>, View<bf16, Cuda>);
template void gemm(Product, View<const bf16, Cuda>, View<const bf16, Cuda>, View<const float, Cuda>, View<float, Cuda>);

namespace {
using Function = void (*)();
/// A kernel as it is called with arguments of these types. Whoever has the address has the function instantiated.
template <class Op, Call call, class... A>
Function kernel() {
  return reinterpret_cast<Function>(&run<Op, call, A...>);
}
template <class Op, class... A>
Function room() {
  return reinterpret_cast<Function>(&workspace<Op, A...>);
}
}  // namespace

constexpr Call forward = Call::forward, backward = Call::backward;

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
  using Head = HeadArguments<T, Cuda>;
  using HeadMemory = HeadWorkspace<T, Cuda>;

  static const Function functions[];
};

template <class T>
const Function Shipped<T>::functions[] = {
    kernel<Accumulate, forward, In, To>(),
    kernel<Fill, forward, T, To>(),
    kernel<StridedCopy, forward, Elements<T>, Target<T>>(),
    kernel<Conversion, forward, MasterIn, Out>(),
    kernel<Add, forward, In, In, Out>(),
    kernel<Add, backward, In, To, To>(),
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
    kernel<SwiGlu, forward, In, In, Out>(),
    kernel<SwiGlu, backward, In, In, In, To, To>(),
    kernel<Softmax, forward, In, MasterOut, Out>(),
    kernel<Softmax, backward, In, In, MasterOut, Out>(),
    kernel<RmsNorm, forward, In, MasterIn, M, MasterOut, Out>(),
    kernel<RmsNorm, backward, In, MasterIn, MasterIn, In, MasterOut, To, MasterOut>(),
    kernel<Rotary, forward, In, MasterIn, MasterIn, Index, Out>(),
    kernel<Rotary, backward, MasterIn, MasterIn, Index, In, To>(),
    kernel<Embedding, forward, Ids, MasterIn, Out>(),
    kernel<Embedding, backward, Ids, In, Bytes, MasterOut>(),
    kernel<Linear, forward, In, In, Out>(),
    kernel<Linear, forward, In, In, In, Out>(),
    kernel<Linear, backward, In, In, In, To, MasterOut>(),
    kernel<Matmul, forward, In, In, Out>(),
    kernel<Matmul, backward, In, In, In, To, To>(),
    kernel<ChannelScaling, forward, In, MasterIn, Out>(),
    kernel<ChannelScaling, backward, MasterIn, In, In, Out, MasterOut>(),
    kernel<SignWeight, forward, MasterIn, MasterIn, MasterOut, Out>(),
    kernel<SignWeight, backward, MasterIn, MasterIn, In, MasterOut, MasterOut>(),
    kernel<Attention, forward, Attention, In, In, In, MasterOut, MasterOut, Out>(),
    kernel<Attention, backward, Attention, In, In, In, In, MasterIn, In, MasterOut, To, To, To>(),
    kernel<CachedAttention, forward, CachedAttention, In, In, In, MasterOut, Out>(),
    kernel<ChunkedHead<CrossEntropyRows>, forward, CrossEntropyRows, Head, HeadMemory, MasterOut>(),
    kernel<ChunkedHead<CrossEntropyRows>, backward, CrossEntropyRows, Head, MasterIn, HeadMemory, MasterOut, To,
           MasterOut>(),
    kernel<ChunkedHead<DistillationRows>, forward, DistillationRows, Head, HeadMemory, MasterOut>(),
    kernel<ChunkedHead<DistillationRows>, backward, DistillationRows, Head, MasterIn, HeadMemory, MasterOut, To,
           MasterOut>(),
};
template struct Shipped<float>;
template struct Shipped<bf16>;

/// W_b of an estimator over floats, for a model that computes in T.
template <class T, class E>
struct ShippedEstimator {
  using Op = Binarize<E, ScaleByTraits<float>>;
  using In = View<const float, Cuda>;
  using Out = View<float, Cuda>;
  static const Function functions[];
};
template <class T, class E>
const Function ShippedEstimator<T, E>::functions[] = {
    kernel<Op, forward, E, ScaleByTraits<float>, In, In, const double*, Out, View<T, Cuda>>(),
    kernel<Op, backward, E, ScaleByTraits<float>, In, In, const double*, View<const T, Cuda>, Out, Out, Out>(),
};
template struct ShippedEstimator<float, ProgressiveSign<float>>;
template struct ShippedEstimator<float, StraightThrough<float>>;
template struct ShippedEstimator<float, ErrorDecay<float>>;
template struct ShippedEstimator<float, ProgressiveForward<float>>;
template struct ShippedEstimator<float, RuntimeEstimator<float>>;
template struct ShippedEstimator<bf16, ProgressiveSign<float>>;
template struct ShippedEstimator<bf16, StraightThrough<float>>;
template struct ShippedEstimator<bf16, ErrorDecay<float>>;
template struct ShippedEstimator<bf16, ProgressiveForward<float>>;
template struct ShippedEstimator<bf16, RuntimeEstimator<float>>;

/// Kernels over parameters, and the sizes of working memory.
struct ShippedOnce {
  static const Function functions[];
};
using In = View<const float, Cuda>;
using Out = View<float, Cuda>;
const Function ShippedOnce::functions[] = {
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
    kernel<SgdUpdate, Call::update, SgdOptions, ParameterRule, SgdUpdate::Step, In, Out, Out>(),
    kernel<Elementwise<FastProgressiveSign<float>>, forward, FastProgressiveSign<float>, In, Out>(),
    kernel<Elementwise<FastProgressiveSign<float>>, backward, FastProgressiveSign<float>, In, In, Out>(),
    room<Attention, Attention>(),
    room<CachedAttention, CachedAttention>(),
    room<CrossEntropyRows, Index>(),
    room<DistillationRows, Index>(),
    room<Embedding, Index>(),
    room<RmsNorm, Shape>(),
};

}  // namespace binllm::cuda
