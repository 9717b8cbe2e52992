// SPDX-License-Identifier: MIT
/// Training batches as a pure function of the step, and the cut of a run into chunks of equal data.
#pragma once
#include <binllm/core/counts.hpp>
#include <binllm/core/random.hpp>
#include <binllm/data/token_stream.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>

namespace binllm {

/// A pseudo-random permutation of {0, ..., count - 1} that takes no memory: a balanced Feistel network on the next
/// even number of bits, its round function keyed by (seed, epoch), walked until it lands inside the range
/// (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class Permutation {
 public:
  /// count >= 1.
  Permutation(std::uint64_t count, std::uint64_t seed, std::uint64_t epoch) noexcept
      : count_(count),
        half_bits_(std::max(1, static_cast<int>((std::bit_width(count - 1) + 1) / 2))),
        random_(seed, Purpose::shuffle, epoch) {}

  /// index < count; expected cost: at most four passes of six rounds.
  [[nodiscard]] std::uint64_t operator()(std::uint64_t index) const noexcept {
    do index = pass(index);
    while (index >= count_);
    return index;
  }

 private:
  [[nodiscard]] std::uint64_t pass(std::uint64_t index) const noexcept {
    const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (std::uint64_t round = 0; round < 6; ++round) {
      left = std::exchange(right, left ^ (random_.bits((round << 32) ^ right) & mask));
    }
    return (left << half_bits_) | right;
  }

  std::uint64_t count_;
  int half_bits_;
  Random random_;
};

/// Windows of `context` inputs with their next-token targets. Windows do not overlap (the last target of one is the
/// first input of the next); each epoch visits each window once, in its own order. No state: a resumed run needs
/// the step number only.
class Batches {
 public:
  /// Errors: option_out_of_range (batch or context below 1, or more tokens in a batch than are counted), text_too_short (less than one window).
  Batches(TokenStream stream, Index batch, Index context, std::uint64_t seed)
      : stream_(std::move(stream)), batch_(batch), context_(context), seed_(seed) {
    if (batch < 1 || context < 1) {
      throw Error(ErrorId::option_out_of_range, "Batches", "batch, context", "at least 1",
                  message("{}, {}", batch, context));
    }
    check_product("Batches", "batch, context", batch, context);
    if (stream_.size() < context + 1) {
      throw Error(ErrorId::text_too_short, "Batches", "stream", message("at least {} tokens", context + 1),
                  message("{}", stream_.size()));
    }
    windows_ = (stream_.size() - 1) / context;
  }

  /// ids and targets (batch x context, row-major) of step 0, 1, 2, ...; of its rows [first, first + rows) where a rank
  /// has its own part of them. Errors: shape_mismatch.
  void fill(std::uint64_t step, std::span<std::int32_t> ids, std::span<std::int32_t> targets) const {
    fill(step, 0, batch_, ids, targets);
  }
  void fill(std::uint64_t step, Index first, Index rows, std::span<std::int32_t> ids,
            std::span<std::int32_t> targets) const {
    const auto wanted = static_cast<std::size_t>(rows * context_);
    if (ids.size() != wanted || targets.size() != wanted) {
      throw Error(ErrorId::shape_mismatch, "Batches::fill", "ids, targets", message("{} elements", wanted),
                  message("{}, {}", ids.size(), targets.size()));
    }
    for (Index row = 0; row < rows; ++row) {
      const std::int32_t* const window = stream_.tokens().data() + first_token(step, first + row);
      std::copy_n(window, context_, ids.data() + row * context_);
      std::copy_n(window + 1, context_, targets.data() + row * context_);
    }
  }

  /// Where in the stream a row of a step begins.
  [[nodiscard]] Index first_token(std::uint64_t step, Index row) const noexcept {
    const auto count = static_cast<std::uint64_t>(windows_);
    const std::uint64_t position = step * static_cast<std::uint64_t>(batch_) + static_cast<std::uint64_t>(row);
    return static_cast<Index>(Permutation(count, seed_, position / count)(position % count)) * context_;
  }

  [[nodiscard]] Index batch() const noexcept { return batch_; }
  [[nodiscard]] Index context() const noexcept { return context_; }
  [[nodiscard]] Index tokens_per_step() const noexcept { return batch_ * context_; }
  /// Windows in an epoch.
  [[nodiscard]] Index windows() const noexcept { return windows_; }

 private:
  TokenStream stream_;
  Index batch_, context_, windows_ = 0;
  std::uint64_t seed_;
};

/// A run of `steps` cut into `chunks` of equal data: their lengths differ by one step at most. Chunks count from 1,
/// as in the schedules' c = 20 k / N; steps count from 0.
struct Chunks {
  Index steps, chunks;

  /// Errors: option_out_of_range unless 1 <= chunks <= steps.
  Chunks(Index total_steps, Index total_chunks) : steps(total_steps), chunks(total_chunks) {
    if (chunks < 1 || chunks > steps) {
      throw Error(ErrorId::option_out_of_range, "Chunks", "chunks", message("1 to {} (the steps)", steps),
                  message("{}", chunks));
    }
  }
  /// 0 <= step < steps.
  [[nodiscard]] Index chunk_of(Index step) const noexcept { return 1 + step * chunks / steps; }
  /// The first step of chunk 1..chunks; `first_step(chunks + 1)` is `steps`.
  [[nodiscard]] Index first_step(Index chunk) const noexcept { return ((chunk - 1) * steps + chunks - 1) / chunks; }
};

}  // namespace binllm
