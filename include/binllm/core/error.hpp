// SPDX-License-Identifier: MIT
/// The one exception of the library. Every public function that refuses an input throws `Error`;
/// kernels assert and never throw. Each id has a line in docs/errors.md.
#pragma once
#include <binllm/core/message.hpp>

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace binllm {

enum class ErrorId : int {
  // tensors and automatic differentiation
  shape_mismatch = 101,
  rank_unsupported = 102,
  empty_tensor = 103,
  index_out_of_range = 104,
  stale_variable = 105,
  foreign_tape = 106,
  not_scalar = 107,
  not_recorded = 108,
  out_of_memory = 109,
  // files
  file_missing = 201,
  file_unreadable = 202,
  file_truncated = 203,
  header_invalid = 204,
  tensors_mismatched = 205,
  dtype_unsupported = 206,
  write_failed = 207,
  value_not_finite = 208,
  version_unsupported = 209,
  // configuration
  config_invalid = 301,
  config_inconsistent = 302,
  unknown_name = 303,
  option_out_of_range = 304,
  // text and tokens
  text_too_short = 401,
  token_out_of_range = 402,
  tokenizer_invalid = 403,
  // training
  training_diverged = 501,
  resume_mismatched = 502,
  // devices
  device_missing = 601,
  device_failed = 602,
  // several ranks
  rank_failed = 701,
};

/// Thrown by every public function of binllm: what was asked of whom, what was wanted, what was found.
class Error : public std::runtime_error {
 public:
  Error(ErrorId id, std::string_view operation, std::string_view argument, std::string_view wanted,
        std::string_view found)
      : std::runtime_error(message(id, operation, argument, wanted, found)),
        id_(id),
        operation_(operation),
        argument_(argument),
        wanted_(wanted),
        found_(found) {}

  [[nodiscard]] ErrorId id() const noexcept { return id_; }
  [[nodiscard]] const std::string& operation() const noexcept { return operation_; }
  [[nodiscard]] const std::string& argument() const noexcept { return argument_; }
  [[nodiscard]] const std::string& wanted() const noexcept { return wanted_; }
  [[nodiscard]] const std::string& found() const noexcept { return found_; }

 private:
  /// "E101: operation: argument: wanted ..., found ..."
  [[nodiscard]] static std::string message(ErrorId id, std::string_view operation, std::string_view argument,
                                           std::string_view wanted, std::string_view found) {
    std::string text("E");
    text.append(std::to_string(static_cast<int>(id))).append(": ").append(operation).append(": ").append(argument);
    return text.append(": wanted ").append(wanted).append(", found ").append(found);
  }

  ErrorId id_;
  std::string operation_, argument_, wanted_, found_;
};

}  // namespace binllm
