// SPDX-License-Identifier: MIT
/// The few command-line arguments of a benchmark.
#pragma once
#include <fmt/core.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace binllm::bench {

/// `--name value` and `--flag`. An argument that nobody asked for ends the program with the usage line.
class Arguments {
 public:
  Arguments(int count, char** words, std::string usage) : words_(words + 1, words + count), usage_(std::move(usage)) {}

  [[nodiscard]] bool flag(std::string_view name) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (words_[i] == name) return take(i, 1), true;
    }
    return false;
  }
  [[nodiscard]] std::string text(std::string_view name, std::string fallback) {
    for (std::size_t i = 0; i + 1 < words_.size(); ++i) {
      if (words_[i] != name) continue;
      const std::string value = words_[i + 1];
      take(i, 2);
      return value;
    }
    return fallback;
  }
  [[nodiscard]] int number(std::string_view name, int fallback) {
    const std::string word = text(name, fmt::format("{}", fallback));
    char* end = nullptr;
    const long value = std::strtol(word.c_str(), &end, 10);
    if (*end != '\0' || value < 1 || value > 1'000'000) refuse(fmt::format("{} {}", name, word));
    return static_cast<int>(value);
  }
  [[noreturn]] void refuse(std::string_view what) const {
    fmt::print(stderr, "not understood: {}\nusage: {}\n", what, usage_);
    std::exit(2);
  }
  /// To be called once all arguments have been asked for.
  void end() const {
    if (!words_.empty()) refuse(words_.front());
  }

 private:
  void take(std::size_t first, std::size_t count) {
    const auto begin = words_.begin() + static_cast<std::ptrdiff_t>(first);
    words_.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
  }

  std::vector<std::string> words_;
  std::string usage_;
};

}  // namespace binllm::bench
