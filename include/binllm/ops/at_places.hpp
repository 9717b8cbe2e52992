// SPDX-License-Identifier: MIT
/// One new token of each of several sequences, where device memory holds how many tokens each has seen. A step of a
/// decoder asks for the same work at every token then, and a device that can record work records it once.
///   RotaryAtPlaces      as <binllm/ops/rotary.hpp>, row b at position length_b
///   WriteAtPlaces       keys and values of row b go behind those of its sequence
///   AttentionAtPlaces   as <binllm/ops/cached_attention.hpp>, up to rounding; row b sees length_b + 1 keys: the new one too
/// Shapes   q (B,1,H*D), k and v (B,1,KV*D), keys and values of the cache (sequences, KV, capacity, D), B places.
/// Forward only. Lengths are below the capacity, which the host has checked. For devices that record.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/rotary.hpp>

#include <cstdint>

namespace binllm {

/// Where a row of a batch stands: its sequence, and the tokens that it has seen.
struct Place {
  std::int32_t sequence, length;
};

struct RotaryAtPlaces {};
struct WriteAtPlaces {};
struct AttentionAtPlaces {
  Index rows, heads, kv_heads, head_dim, capacity;
};
template <>
inline constexpr bool cuda::shipped<RotaryAtPlaces> = true;
template <>
inline constexpr bool cuda::shipped<WriteAtPlaces> = true;
template <>
inline constexpr bool cuda::shipped<AttentionAtPlaces> = true;

template <class T, class Device>
[[nodiscard]] Variable<T, Device> rotary_at_places(Variable<T, Device> x, const RotaryTable<master_t<T>, Device>& table,
                                                   const Place* places, Index head_dim) {
  return x.tape().template compute<T>(x.shape(), [=, &table](View<T, Device> out) {
    Kernel<RotaryAtPlaces, Device>::forward(read(x.value()), table.cosine.view(), table.sine.view(), places, head_dim,
                                            out);
  });
}

template <class T, class Device>
[[nodiscard]] Variable<T, Device> attention_at_places(const AttentionAtPlaces& a, Variable<T, Device> q,
                                                      Variable<T, Device> k, Variable<T, Device> v,
                                                      View<T, Device> keys, View<T, Device> values,
                                                      const Place* places) {
  Kernel<WriteAtPlaces, Device>::forward(read(k.value()), read(v.value()), keys, values, places);
  Tape<Device>& tape = q.tape();
  return tape.template compute<T>(q.shape(), [=, &tape](View<T, Device> out) {
    using K = Kernel<AttentionAtPlaces, Device>;
    const Temporary<master_t<T>, Device> memory(tape, Shape{K::workspace(a)});
    K::forward(a, read(q.value()), read(keys), read(values), places, memory.view(), out);
  });
}

}  // namespace binllm

#if defined(__CUDACC__)
#include <binllm/ops/cuda/at_places.cuh>
#endif
