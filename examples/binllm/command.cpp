// SPDX-License-Identifier: MIT
#include "command.hpp"

#include <binllm/core/error.hpp>
#include <binllm/device/thread_pool.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <algorithm>
#include <thread>

namespace program {

using binllm::Error;
using binllm::ErrorId;

void Common::add_to(CLI::App& command) {
  command.add_option("--threads", threads, "threads to work with; 0: all cores")->capture_default_str();
  command.add_option("--seed", seed, "seed of initial weights, data order and sampling")->capture_default_str();
  command.add_flag("--json", json, "print one JSON object instead of text");
}

void Common::apply() const {
  static_cast<void>(binllm::instruction_set());  // a wrong BINLLM_FORCE_ISA is to be known before a long run
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  binllm::set_thread_count(threads == 0 ? cores : threads);
}

binllm::TokenStream TextSource::load(const binllm::Tokenizer& tokenizer, binllm::Split split, std::uint64_t seed,
                                     std::size_t built_in_bytes) const {
  if (built_in == !files.empty()) {
    throw Error(ErrorId::option_out_of_range, "text", "--text, --built-in", "exactly one of them",
                built_in ? "both" : "neither");
  }
  if (built_in) return binllm::TokenStream::from_string(binllm::stories_of(split, seed, built_in_bytes), tokenizer);
  if (files.size() == 1) return binllm::TokenStream::from_text(files.front(), tokenizer);
  std::vector<std::int32_t> ids;
  for (const std::string& file : files) {
    const auto part = binllm::TokenStream::from_text(file, tokenizer);
    const std::size_t skip = !ids.empty() && tokenizer.bos() ? 1 : 0;  // BOS opens the whole, not each file
    ids.insert(ids.end(), part.tokens().begin() + static_cast<std::ptrdiff_t>(skip), part.tokens().end());
  }
  return binllm::TokenStream::from_tokens(std::move(ids));
}

binllm::Tokenizer choose_tokenizer(const std::string& option, const fs::path& model) {
  return binllm::load_tokenizer(option.empty() ? model : fs::path(option));
}

namespace {
std::string& stored_command_line() {
  static std::string line;
  return line;
}
}  // namespace

const std::string& command_line() { return stored_command_line(); }

void remember_command_line(int count, char** arguments) {
  std::string line = "binllm";
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const bool plain = !word.empty() && word.find_first_of(" \t\n'\"\\$&|;<>()*?`") == word.npos;
    line += ' ';
    if (plain) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  stored_command_line() = line;
}

}  // namespace program
