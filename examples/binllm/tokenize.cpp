// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/io/folders/tokens.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace program {

namespace {

struct TokenizeOptions {
  std::vector<std::string> text;
  fs::path out, model;
  std::string tokenizer;
  binllm::DocumentOptions documents;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("text", self.text, "text file, also .jsonl and .zst (several are read one after the other)", required());
    v("out", self.out, "file of the ids", required());
    v("model", self.model, "model folder whose tokenizer it is", any);
    v("tokenizer", self.tokenizer, "tokenizer instead of a model's: see --tokenizer of the other commands", any);
    v("separator", self.documents.separator, "line between documents, such as '<|endoftext|>'; its token is written",
      any);
    v("field", self.documents.field, "of JSON lines, the text", any);
    Common::visit(without("seed", v), self.common);
  }
  void refuse_idle(const GivenFlags& given) const {
    const bool lines = std::any_of(text.begin(), text.end(), [](const std::string& file) {
      return file.ends_with(".jsonl") || file.ends_with(".jsonl.zst");
    });
    if (!lines) given.refuse({"field"}, "a --text of JSON lines (.jsonl, .jsonl.zst)", text.front());
  }
};

void tokenize(TokenizeOptions& o) {
  o.common.apply();
  if (o.tokenizer.empty() == o.model.empty()) {
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "tokenize", "--tokenizer, --model", "exactly one of them",
                        o.model.empty() ? "neither" : "both");
  }
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model);
  const auto start = std::chrono::steady_clock::now();
  const auto header =
      binllm::write_token_file(std::vector<fs::path>(o.text.begin(), o.text.end()), o.out, tokenizer, o.documents);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double speed = static_cast<double>(header.text_bytes) / 1e6 / seconds.count();
  if (o.common.json) {
    const Json line{{"tokens", header.count},
                    {"text_bytes", header.text_bytes},
                    {"bytes_per_id", header.bytes_per_id},
                    {"vocabulary", header.vocab_size},
                    {"tokenizer", {{"name", tokenizer.name()}, {"hash", fmt::format("{:016x}", header.tokenizer)}}},
                    {"hash", fmt::format("{:016x}", header.ids)},
                    {"megabytes_per_second", speed}};
    fmt::print("{}\n", line.dump());
    return;
  }
  fmt::print(
      "tokens         {}, {} bytes each\ntext           {} bytes, {:.2f} a token\ntokenizer      {} of {} tokens\n"
      "MB/s           {:.1f}\n",
      header.count, header.bytes_per_id, header.text_bytes,
      static_cast<double>(header.text_bytes) / static_cast<double>(std::max<std::uint64_t>(1, header.count)),
      tokenizer.name(), header.vocab_size, speed);
}

}  // namespace

void add_tokenize(CLI::App& app, std::string& list) {
  add_command(app, list, "tokenize", "a text's token ids in a file, for --text of the other commands", tokenize);
}

}  // namespace program
