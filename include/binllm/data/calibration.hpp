// SPDX-License-Identifier: MIT
/// The windows of a text that a method after training is calibrated with.
#pragma once
#include <binllm/core/counts.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/data/token_stream.hpp>
#include <binllm/device/cpu.hpp>

#include <algorithm>

namespace binllm {

struct CalibrationOptions {
  Index windows = 128, context = 2048;  ///< as the literature has it

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("windows", self.windows, "windows of the calibration text", count_from(1));
    v("context", self.context, "tokens in a window", count_from(1));
  }
};

/// Ids (windows, context) at equal distances over the whole text; no token stands in two of them.
/// Errors: option_out_of_range; text_too_short with the tokens that are needed.
[[nodiscard]] inline Tensor<std::int32_t> calibration_windows(const TokenStream& text,
                                                              const CalibrationOptions& options = {}) {
  check_options("calibration_windows", options);
  const auto [windows, context] = options;
  if (text.size() / context < windows)
    throw Error(ErrorId::text_too_short, "calibration_windows", "text",
                fmt::format("at least {} windows of {} tokens", windows, context),
                fmt::format("{} tokens, {} such windows", text.size(), text.size() / context));
  Tensor<std::int32_t> ids(Shape{windows, context});
  const Index room = text.size() - windows * context;
  for (Index i = 0; i < windows; ++i) {
    const Index first =
        i * context + (windows > 1 ? static_cast<Index>(static_cast<double>(room) * static_cast<double>(i) /
                                                        static_cast<double>(windows - 1))
                                   : 0);
    std::copy_n(text.tokens().begin() + first, context, ids.view().data + i * context);
  }
  return ids;
}

}  // namespace binllm
