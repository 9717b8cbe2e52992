// SPDX-License-Identifier: MIT
/// Chunks of logits on a GPU, as every compiler sees them. A private tail of ops/chunked_head.hpp.
#pragma once

namespace binllm {

/// Products of a few thousand rows fill the device, and the gradient of w is read and written once a chunk.
template <>
struct LogitChunk::Limits<Cuda> {
  static constexpr Index fewest_rows = 256, most_rows = 8192, bytes = Index(512) << 20;
};

}  // namespace binllm
