// SPDX-License-Identifier: MIT
#include <binllm/methods/formats.hpp>
#include <binllm/methods/shipped.hpp>

namespace binllm {

std::optional<AnyKind<float, Cpu>> trainable_format(const AnyKind<float, Cpu>& form) {
  std::optional<AnyKind<float, Cpu>> format;
  for_each_type<MethodFormats>([&]<class F>() {
    if constexpr (requires { typename F::kind::Form; }) {
      if (Stored<typename F::kind::Form>::name != form.chosen->name()) return;
      const auto words = form.chosen->words();
      format = format_named<float, Cpu>(F::name, FormatWords(words.begin(), words.end()));
    }
  });
  return format;
}

}  // namespace binllm
