// SPDX-License-Identifier: MIT
/// A decoder of one text whose user need not know the model's type.
#pragma once
#include <binllm/infer/generation.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace binllm {

class AnyDecoder {
 public:
  virtual ~AnyDecoder() = default;
  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  /// Tokens that it can read at most.
  [[nodiscard]] virtual Index capacity() const = 0;
  /// Tokens that it has read.
  [[nodiscard]] virtual Index length() const = 0;
  /// Forgets all but the first `tokens`. Errors: index_out_of_range for more than it has read.
  virtual void keep(Index tokens) = 0;
  /// Continues a text whose first `length()` tokens it has read. Errors: those of generate_after.
  [[nodiscard]] virtual GeneratedTokens generate(std::vector<std::int32_t> ids, const GenerateOptions& options,
                                                 TokenReceiver* receiver) = 0;
};
using AnyDecoderPointer = std::unique_ptr<AnyDecoder>;

}  // namespace binllm
