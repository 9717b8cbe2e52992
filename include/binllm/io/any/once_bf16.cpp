// SPDX-License-Identifier: MIT
#include <binllm/io/any/once.hpp>

namespace binllm {

template Bf16Variable add(Bf16Variable, Bf16Variable);
template Bf16Variable attention(Bf16Variable, Bf16Variable, Bf16Variable, Index, Index);
template FloatVariable cross_entropy(Bf16Variable, FloatVariable, View<const std::int32_t>);
template Bf16Variable embedding<bf16>(View<const std::int32_t>, FloatVariable);
template Bf16Variable layer_norm(Bf16Variable, FloatVariable, FloatVariable, double);
template Bf16Variable linear(Bf16Variable, FloatVariable);
template Bf16Variable linear(Bf16Variable, FloatVariable, Bf16Variable);
template Bf16Variable multiply(Bf16Variable, Bf16Variable);
template Bf16Variable rms_norm(Bf16Variable, FloatVariable, double);
template Bf16Variable rotary(Bf16Variable, const RotaryTable<float, Cpu>&, Index, Index);
template Bf16Variable swiglu(Bf16Variable, Bf16Variable);
template Bf16Variable cached_attention(const CachedAttention&, Bf16Variable, View<const bf16>, View<const bf16>);
template class RoundedVocabulary<bf16, Cpu>;

}  // namespace binllm
