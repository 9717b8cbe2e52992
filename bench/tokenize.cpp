// SPDX-License-Identifier: MIT
// Megabytes of text a second that a tokenizer encodes on one thread; bench/peers/hf_tokenize.py is the same in Hugging
// Face's `tokenizers`, and bench/tokenize.sh runs both. With --documents it prints ids instead, two lines for each
// document of the text (4 bytes of length, little-endian, before each), once whole and once in pieces of a few bytes;
// --save writes the files that a model folder would keep. tests/golden/tokenizers/parity.py compares all that.
#include <binllm/core/mapped_memory.hpp>
#include <binllm/io/folders/tokenizer.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;

namespace {

void print_ids(const std::vector<std::int32_t>& ids) {
  std::string line;
  for (const std::int32_t id : ids) line += fmt::format("{} ", id);
  fmt::print("{}\n", line);
}

std::vector<std::int32_t> in_pieces(const bl::Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::int32_t> ids;
  for (std::size_t at = 0; at < text.size();) at = tokenizer.encode_piece(text, at, ids, 1);
  return ids;
}

void print_documents(const bl::Tokenizer& tokenizer, std::string_view text) {
  for (std::uint32_t length = 0; text.size() >= sizeof length;) {
    std::memcpy(&length, text.data(), sizeof length);
    const std::string_view document = text.substr(sizeof length, length);
    print_ids(tokenizer.encode(document));
    print_ids(in_pieces(tokenizer, document));
    text.remove_prefix(sizeof length + document.size());
  }
}

void save(const bl::Tokenizer& tokenizer, const std::filesystem::path& folder) {
  const auto write = [&](std::string_view name, std::string_view content) {
    std::ofstream(folder / name, std::ios::binary) << content;
  };
  write(tokenizer.file_name(), tokenizer.serialised());
  for (const auto& [name, content] : tokenizer.other_files()) write(name, content);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(
      count, words, "bench_tokenize --tokenizer PATH --text FILE [--repeats N] [--json | --documents [--save FOLDER]]");
  const std::string path = arguments.text("--tokenizer", ""), file = arguments.text("--text", "");
  const std::string folder = arguments.text("--save", "");
  const int repeats = arguments.number("--repeats", 5);
  const bool json = arguments.flag("--json"), documents = arguments.flag("--documents");
  arguments.end();
  if (path.empty() || file.empty()) arguments.refuse("no --tokenizer or no --text");
  try {
    const double start = bl::bench::now();
    const bl::Tokenizer tokenizer = bl::load_tokenizer(path);
    const double load = bl::bench::now() - start;
    const auto memory = bl::MappedMemory::of_file(file);
    const std::string_view text(reinterpret_cast<const char*>(memory.bytes().data()), memory.bytes().size());
    if (!folder.empty()) save(tokenizer, folder);
    if (documents) return print_documents(tokenizer, text), 0;
    std::size_t tokens = 0;
    const double seconds = bl::bench::median_seconds([&] { tokens = tokenizer.encode(text).size(); }, repeats, 1);
    const double speed = static_cast<double>(text.size()) / 1e6 / seconds;
    if (json) {
      fmt::print("{{\"tokens\": {}, \"megabytes_per_second\": {:.2f}, \"load_seconds\": {:.3f}}}\n", tokens, speed,
                 load);
    } else {
      fmt::print("{} tokens, {:.2f} MB/s, loaded in {:.3f} s\n", tokens, speed, load);
    }
  } catch (const bl::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
