// SPDX-License-Identifier: MIT
/// What the subcommands of the program share.
#pragma once
#include <binllm/data/story_corpus.hpp>
#include <binllm/data/token_stream.hpp>
#include <binllm/io/folders/tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace program {

namespace fs = std::filesystem;

/// Options of every subcommand.
struct Common {
  int threads = 0;  ///< 0: all cores
  std::uint64_t seed = 1;
  bool json = false;

  void add_to(CLI::App& command);
  /// Puts `threads` into force. Called first by each subcommand.
  void apply() const;
};

/// A text to learn from or to judge by: files, one after the other, or the built-in stories.
struct TextSource {
  std::vector<std::string> files;
  bool built_in = false;

  /// The stream; of built-in stories, at least `built_in_bytes` of the split.
  /// Errors: option_out_of_range with neither or both.
  [[nodiscard]] binllm::TokenStream load(const binllm::Tokenizer& tokenizer, binllm::Split split, std::uint64_t seed,
                                         std::size_t built_in_bytes) const;
};

/// "byte", a SentencePiece file, or what the model folder has.
[[nodiscard]] binllm::Tokenizer choose_tokenizer(const std::string& option, const fs::path& model);

/// The command line as a user would type it again.
[[nodiscard]] const std::string& command_line();
void remember_command_line(int count, char** arguments);

void add_pretrain(CLI::App& app);
void add_binarize(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_generate(CLI::App& app);
void add_inspect(CLI::App& app);
void add_demo(CLI::App& app);

}  // namespace program
