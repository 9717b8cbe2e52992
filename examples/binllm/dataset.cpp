// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/random.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/token_file.hpp>
#include <binllm/io/folders/tokens.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace program {

namespace {

struct DatasetOptions {
  ChosenModel model;
  binllm::Index documents = 1000, document_tokens = 2048, greedy_least = 3, greedy_most = 5, sequences = 8;
  double temperature = 1, top_p = 1;
  binllm::Index top_k = 0;
  fs::path out;
  std::string tokenizer;
  DeviceChoice device;
  DryRunFlag dry;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "", any);
    v("documents", self.documents, "texts to write", count_from(1));
    v("document_tokens", self.document_tokens, "tokens of each at most", count_from(2));
    v("greedy_least", self.greedy_least, "after the first token so many at least are the most likely ones",
      count_from(0));
    v("greedy_most", self.greedy_most, "and so many at most", count_from(0));
    v("temperature", self.temperature, "of the draws after them", above(0));
    v("top_k", self.top_k, "draw among so many most likely tokens; 0: among all", at_least(0));
    v("top_p", self.top_p, "draw among the most likely tokens of this mass; 1: among all", between(0, 1));
    v("sequences", self.sequences, "texts written at the same time", count_from(1));
    v("out", self.out, "token file, or JSON lines where it ends in .jsonl", required());
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("dry", self.dry, "", any);
    v("common", self.common, "", any);
  }
  void check() const {
    if (greedy_least <= greedy_most) return;
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "dataset", "--greedy-least",
                        fmt::format("at most --greedy-most {}", greedy_most), fmt::format("{}", greedy_least));
  }
};

using Ids = std::vector<std::int32_t>;

/// The documents' ends: a token file, with the tokenizer's end token behind each document, or JSON lines.
class DocumentWriter {
 public:
  DocumentWriter(const fs::path& path, const binllm::Tokenizer& tokenizer) : tokenizer_(tokenizer) {
    if (path.extension() == ".jsonl") {
      lines_.emplace(path);
    } else {
      ids_.emplace(path, static_cast<std::uint64_t>(tokenizer.vocab_size()), binllm::hash_of(tokenizer));
      if (const auto bos = tokenizer.bos()) ids_->append({&*bos, 1});
    }
  }
  /// `document` without BOS and end token.
  void add(const Ids& document) {
    const std::string text = tokenizer_.decode(document);
    bytes_ += text.size();
    tokens_ += document.size();
    if (lines_) {
      const std::string line = Json{{"text", text}}.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
      return lines_->write(std::as_bytes(std::span(line)));
    }
    ids_->append(document);
    if (const auto eos = tokenizer_.eos()) ids_->append({&*eos, 1});
  }
  void commit() { lines_ ? lines_->commit() : ids_->commit(bytes_); }
  [[nodiscard]] std::size_t tokens() const noexcept { return tokens_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  const binllm::Tokenizer& tokenizer_;
  std::optional<binllm::AtomicFile> lines_;
  std::optional<binllm::TokenFileWriter> ids_;
  std::size_t tokens_ = 0, bytes_ = 0;
};

/// The prompt of a document: BOS where the tokenizer has one, and a token with text, drawn from the vocabulary.
Ids first_tokens(const binllm::Tokenizer& tokenizer, std::uint64_t seed, binllm::Index document) {
  const binllm::Random random(seed, binllm::Purpose::document, static_cast<std::uint64_t>(document));
  Ids ids;
  if (const auto bos = tokenizer.bos()) ids.push_back(*bos);
  const auto count = static_cast<std::uint64_t>(tokenizer.vocab_size());
  for (std::uint64_t draw = 0;; ++draw) {
    const auto token = static_cast<std::int32_t>(random.below(draw + 1, count));
    const bool special = token == tokenizer.bos() || token == tokenizer.eos() || token == tokenizer.unknown();
    if (special || tokenizer.decode({&token, 1}).empty()) continue;
    ids.push_back(token);
    return ids;
  }
}

void dataset(DatasetOptions& o) {
  o.common.apply();
  o.device.apply();
  o.model.refuse_idle(o.common.given);
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model.model);
  const auto model = o.model.open(o.device);
  const binllm::Index opening = tokenizer.bos() ? 2 : 1;
  const binllm::Index length = o.document_tokens + opening - 1;  // BOS is no token of the document
  const binllm::Index positions = model.config().max_position_embeddings;
  if (length > positions) {
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "dataset", "--document-tokens",
                        fmt::format("at most {}, the model's positions", positions - opening + 1),
                        fmt::format("{}", o.document_tokens));
  }
  binllm::GenerateOptions greedy{.seed = o.common.seed, .sequences = o.sequences, .choosable = tokenizer.vocab_size()};
  if (const auto eos = tokenizer.eos()) greedy.end_tokens = {*eos};
  binllm::GenerateOptions drawn = greedy;
  drawn.temperature = o.temperature, drawn.top_k = o.top_k, drawn.top_p = o.top_p, drawn.context = length;
  drawn.max_tokens = length;
  drawn.check();
  binllm::check_may_write_file(o.out);
  if (o.dry.ends_here(o.common)) return;
  DocumentWriter writer(o.out, tokenizer);
  const auto start = std::chrono::steady_clock::now();
  for (binllm::Index first = 0; first < o.documents; first += o.sequences) {
    const binllm::Index count = std::min(o.sequences, o.documents - first);
    std::vector<Ids> prompts;
    for (binllm::Index i = 0; i < count; ++i) prompts.push_back(first_tokens(tokenizer, o.common.seed, first + i));
    greedy.max_tokens = std::min(o.greedy_most, length - opening);
    if (greedy.max_tokens > 0) {
      const auto opened = model.generate_tokens(prompts, greedy).sequences;
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        const binllm::Random random(o.common.seed, binllm::Purpose::document, static_cast<std::uint64_t>(first) + i);
        const auto spread = static_cast<std::uint64_t>(o.greedy_most - o.greedy_least + 1);
        const auto wanted = static_cast<std::size_t>(o.greedy_least) + random.below(0, spread);
        prompts[i] = opened[i].tokens;
        prompts[i].resize(std::min(prompts[i].size(), static_cast<std::size_t>(opening) + wanted));
      }
    }
    drawn.first_sequence = first;
    for (const auto& [ids, finish] : model.generate_tokens(prompts, drawn).sequences) {
      const auto end = ids.begin() + std::min(std::ssize(ids), length);  // the last token needs no place in the context
      writer.add(Ids(ids.begin() + (opening - 1), end));
    }
  }
  writer.commit();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double speed = static_cast<double>(writer.tokens()) / seconds;
  if (!o.common.json) {
    fmt::print("documents      {}, {} tokens, {} bytes of text\ntokens/s       {:.0f}\npeak memory    {}\n",
               o.documents, writer.tokens(), writer.bytes(), speed, o.device.peaks());
    return;
  }
  Json line{{"documents", o.documents},
            {"tokens", writer.tokens()},
            {"text_bytes", writer.bytes()},
            {"tokens_per_second", speed}};
  o.device.add_to(line);
  o.device.add_peaks_to(line);
  fmt::print("{}\n", line.dump());
}

}  // namespace

void add_dataset(CLI::App& app, std::string& list) {
  add_command(app, list, "dataset", "texts that a model makes up, for a student of it to learn from", dataset);
}

}  // namespace program
