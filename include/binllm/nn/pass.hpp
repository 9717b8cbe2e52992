// SPDX-License-Identifier: MIT
/// What a forward pass carries: the tape, what changes from step to step, and a cache when decoding.
#pragma once
#include <binllm/autodiff/tape.hpp>

#include <vector>

namespace binllm {

/// Numbers that change per step, in device memory: kernels read them when they run and closures hold only their
/// address.
template <class Device>
class StepScalars {
 public:
  enum Field : Index { hardness, learning_rate, first_correction, second_correction, clip, count };

  StepScalars() : values_(Shape{count}) {}
  void set(Field field, double value) { Backend<Device>::copy(values_.view().data + field, &value, sizeof(double)); }
  [[nodiscard]] View<const double, Device> operator[](Field field) const {
    return {values_.view().data + field, Shape{1}};
  }
  [[nodiscard]] View<double, Device> writable(Field field) { return {values_.view().data + field, Shape{1}}; }

 private:
  Tensor<double, Device> values_;
};

/// Keys and values of the tokens that one sequence has seen, per layer.
template <class T, class Device>
class KeyValueCache {
 public:
  struct Layer {
    Tensor<T, Device> keys, values;  ///< (1, capacity, KV*D)
  };
  KeyValueCache(Index layers, Index capacity, Index width) : capacity_(capacity) {
    for (Index i = 0; i < layers; ++i)
      layers_.push_back({Tensor<T, Device>({1, capacity, width}), Tensor<T, Device>({1, capacity, width})});
  }
  /// Tokens seen so far by every layer.
  [[nodiscard]] Index length() const noexcept { return length_; }
  [[nodiscard]] Index capacity() const noexcept { return capacity_; }
  void advance(Index tokens) noexcept { length_ += tokens; }

  /// Stores the keys or values (1, T, KV*D) of new tokens; returns all so far, (1, length + T, KV*D).
  /// Errors: shape_mismatch for more than one sequence or another width, index_out_of_range beyond the capacity.
  [[nodiscard]] View<T, Device> append(Tensor<T, Device>& store, View<const T, Device> fresh) const {
    const Index tokens = fresh.shape[1], width = store.shape().cols();
    check_shape("KeyValueCache", "keys or values", fresh.shape, Shape{1, tokens, width});
    if (length_ + tokens > capacity_) {
      throw Error(ErrorId::index_out_of_range, "KeyValueCache", "tokens", fmt::format("at most {}", capacity_),
                  fmt::format("{}", length_ + tokens));
    }
    const View<T, Device> all = store.view();
    Backend<Device>::copy(all.data + length_ * width, fresh.data, static_cast<std::size_t>(fresh.size()) * sizeof(T));
    return {all.data, Shape{1, length_ + tokens, width}};
  }
  [[nodiscard]] Layer& layer(Index index) { return layers_[static_cast<std::size_t>(index)]; }

 private:
  std::vector<Layer> layers_;
  Index capacity_, length_ = 0;
};

/// The first argument of every module's forward: the same call trains, evaluates, and decodes with a cache.
template <class T, class Device>
struct Pass {
  Tape<Device>& tape;
  const StepScalars<Device>& scalars;
  KeyValueCache<T, Device>* cache = nullptr;
  bool recompute = false;  ///< layers keep their input alone and run again in backward: memory for time, same bits

  /// Position of the first token of this pass.
  [[nodiscard]] Index first_position() const { return cache == nullptr ? 0 : cache->length(); }
};

}  // namespace binllm
