// SPDX-License-Identifier: MIT
/// How blocks of the host get from rank to rank.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace binllm {

struct Transport {
  virtual ~Transport() = default;
  /// One rank's side of an exchange: out[r] goes to rank r, in[r] comes from it; those of this rank itself are not looked
  /// at. All ranks call it in the same order. `number` counts the calls, for those who can check it. On one thread.
  /// Errors: rank_failed.
  virtual void exchange(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
                        const std::vector<std::span<std::byte>>& in) = 0;
};

}  // namespace binllm
