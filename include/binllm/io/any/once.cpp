// SPDX-License-Identifier: MIT
#include <binllm/io/any/once.hpp>

namespace binllm {

template FloatVariable add(FloatVariable, FloatVariable);
template FloatVariable attention(FloatVariable, FloatVariable, FloatVariable, Index, Index);
template FloatVariable cross_entropy(FloatVariable, FloatVariable, View<const std::int32_t>);
template FloatVariable embedding<float>(View<const std::int32_t>, FloatVariable);
template FloatVariable layer_norm(FloatVariable, FloatVariable, FloatVariable, double);
template FloatVariable linear(FloatVariable, FloatVariable);
template FloatVariable linear(FloatVariable, FloatVariable, FloatVariable);
template FloatVariable multiply(FloatVariable, FloatVariable);
template FloatVariable rms_norm(FloatVariable, FloatVariable, double);
template FloatVariable rotary(FloatVariable, const RotaryTable<float, Cpu>&, Index, Index);
template FloatVariable swiglu(FloatVariable, FloatVariable);
template FloatVariable cached_attention(const CachedAttention&, FloatVariable, View<const float>, View<const float>);
template FloatVariable transient_linear(FloatVariable, SignWeightOf<float, Cpu>);
template class AdamW<float>;
template class VocabularyMatrix<float, Cpu>;
template class GlobalNorm<float>;

}  // namespace binllm
