// SPDX-License-Identifier: MIT
/// What an objective sees of the data: ids, targets, and whatever else it wants for each token.
#pragma once
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// More data of each token, such as the largest logits that a teacher once gave it (numbers) and their words (ids).
/// Shapes (B,T,k); either may be empty.
template <class Device = Cpu>
struct TokenData {
  std::string_view name;
  View<float, Device> numbers;
  View<std::int32_t, Device> ids;
};
/// How much of it there is for a token.
struct TokenDataShape {
  std::string name;
  Index numbers = 0, ids = 0;
};

/// Sequences (B,T) with their next tokens, on the model's device.
template <class Device>
struct Batch {
  View<const std::int32_t, Device> ids, targets;
  std::span<const TokenData<Device>> data{};

  /// Errors: unknown_name.
  [[nodiscard]] const TokenData<Device>& operator[](std::string_view name) const {
    for (const TokenData<Device>& one : data) {
      if (one.name == name) return one;
    }
    throw Error(ErrorId::unknown_name, "Batch", "name", "data that the objective asked for", std::string(name));
  }
};

/// The same on the host, to be filled. Row b is tokens [first_token[b], first_token[b] + T] of the corpus, where the
/// trainer has one.
struct HostBatch {
  View<std::int32_t> ids, targets;
  std::span<const Index> first_token{};
  std::span<const TokenData<Cpu>> data{};
};

/// The memory of batches, on the host and on the device.
template <class Device>
class BatchMemory {
 public:
  BatchMemory(Index batch, Index context, std::vector<TokenDataShape> shapes)
      : shapes_(std::move(shapes)),
        host_ids_(Shape{batch, context}),
        host_targets_(Shape{batch, context}),
        ids_(Shape{batch, context}),
        targets_(Shape{batch, context}),
        first_token_(static_cast<std::size_t>(batch)) {
    for (const TokenDataShape& shape : shapes_) {
      const Shape numbers{batch, context, shape.numbers}, ids{batch, context, shape.ids};
      host_numbers_.emplace_back(numbers);
      host_words_.emplace_back(ids);
      numbers_.emplace_back(numbers);
      words_.emplace_back(ids);
      host_data_.push_back({shape.name, host_numbers_.back().view(), host_words_.back().view()});
    }
    part_.resize(shapes_.size());
  }
  [[nodiscard]] HostBatch host() { return {host_ids_.view(), host_targets_.view(), first_token_, host_data_}; }
  [[nodiscard]] std::span<Index> first_token() noexcept { return first_token_; }
  void copy_to_device() {
    const auto copy = [](auto& from, auto& to) {
      Backend<Device>::copy(to.view().data, from.view().data,
                            static_cast<std::size_t>(from.size()) * sizeof(*from.view().data));
    };
    copy(host_ids_, ids_);
    copy(host_targets_, targets_);
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      copy(host_numbers_[i], numbers_[i]);
      copy(host_words_[i], words_[i]);
    }
  }
  /// Sequences [first, first + count); the data's views hold until the next call.
  [[nodiscard]] Batch<Device> rows(Index first, Index count) {
    for (std::size_t i = 0; i < shapes_.size(); ++i)
      part_[i] = {shapes_[i].name, middle(numbers_[i].view(), first, count), middle(words_[i].view(), first, count)};
    return {read(ids_.view().middle_rows(first, count)), read(targets_.view().middle_rows(first, count)), part_};
  }

 private:
  template <class X>
  [[nodiscard]] static View<X, Device> middle(View<X, Device> all, Index first, Index count) {
    const Index tokens = all.shape[1], width = all.shape[2];
    return {all.data + first * tokens * width, Shape{count, tokens, width}};
  }

  std::vector<TokenDataShape> shapes_;
  Tensor<std::int32_t> host_ids_, host_targets_;
  Tensor<std::int32_t, Device> ids_, targets_;
  std::vector<Index> first_token_;
  std::vector<Tensor<float>> host_numbers_;
  std::vector<Tensor<std::int32_t>> host_words_;
  std::vector<Tensor<float, Device>> numbers_;
  std::vector<Tensor<std::int32_t, Device>> words_;
  std::vector<TokenData<Cpu>> host_data_;
  std::vector<TokenData<Device>> part_;
};

}  // namespace binllm
