// SPDX-License-Identifier: MIT
/// A model that reads tokens one after the other: several sequences, each with the keys and values of what it has seen.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/llama.hpp>

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace binllm {

struct DecoderOptions {
  Index sequences = 1;
  Index capacity = 0;  ///< tokens of one sequence at most; 0: the model's positions
  double hardness = std::numeric_limits<double>::infinity();  ///< t of binary models
};

template <class T, class Device, class F>
class Decoder {
 public:
  /// The model must outlive the decoder. Errors: option_out_of_range, out_of_memory.
  explicit Decoder(Llama<T, Device, F>& model, const DecoderOptions& options = {})
      : model_(model), capacity_(options.capacity > 0 ? options.capacity : model.config.max_position_embeddings) {
    for (Index i = 0; i < options.sequences; ++i) caches_.push_back(model.cache(capacity_));
    scalars_.set(StepScalars<Device>::hardness, options.hardness);
  }
  [[nodiscard]] const LlamaConfig& config() const noexcept { return model_.config; }
  [[nodiscard]] Index sequences() const noexcept { return static_cast<Index>(caches_.size()); }
  [[nodiscard]] Index capacity() const noexcept { return capacity_; }
  /// Tokens that a sequence has read.
  [[nodiscard]] Index length(Index sequence) const { return caches_[static_cast<std::size_t>(sequence)].length(); }
  /// Forgets what a sequence has read.
  void restart(Index sequence) { caches_[static_cast<std::size_t>(sequence)] = model_.cache(capacity_); }

  /// Reads the tokens of one sequence in one pass; the logits (1, V) after its last token, valid until the next call.
  /// Errors: empty_tensor, index_out_of_range (beyond the capacity), token_out_of_range.
  View<const T> prefill(Index sequence, std::span<const std::int32_t> tokens) {
    check_not_empty("Decoder", "tokens", Shape{static_cast<Index>(tokens.size())});
    logits_ = Tensor<T>(Shape{1, config().vocab_size});
    read_tokens(sequence, tokens, 0);
    return logits_.view();
  }
  /// Reads one token for each of several different sequences; the logits (sequences, V), valid until the next call.
  View<const T> step(std::span<const Index> sequences, std::span<const std::int32_t> tokens) {
    logits_ = Tensor<T>(Shape{static_cast<Index>(tokens.size()), config().vocab_size});
    for (std::size_t i = 0; i < tokens.size(); ++i)
      read_tokens(sequences[i], tokens.subspan(i, 1), static_cast<Index>(i));
    return logits_.view();
  }

 private:
  void read_tokens(Index sequence, std::span<const std::int32_t> tokens, Index row) {
    tape_.reset();
    const NoGrad<Device> pause(tape_);
    const auto count = static_cast<Index>(tokens.size());
    Tensor<std::int32_t, Device> ids(Shape{1, count});
    copy_to_device(View<const std::int32_t>(tokens.data(), Shape{1, count}), ids.view());
    Pass<T, Device> pass{tape_, scalars_, &caches_[static_cast<std::size_t>(sequence)]};
    const auto h = model_(pass, read(ids.view()));
    const auto last = tape_.borrow(h.value().middle_rows(count - 1, 1));
    const OnHost<T, Device> made(read(linear(last, model_.head(pass)).value()));
    logits_.view().row(row) = made.view().row(0);
  }

  Llama<T, Device, F>& model_;
  Index capacity_;
  std::vector<KeyValueCache<T, Device>> caches_;
  StepScalars<Device> scalars_;
  Tape<Device> tape_;
  Tensor<T> logits_;
};

}  // namespace binllm
