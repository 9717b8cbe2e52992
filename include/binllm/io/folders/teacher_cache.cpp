// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/teacher_cache.hpp>

#include <algorithm>

namespace binllm {
namespace {

namespace fs = std::filesystem;

PredictionFileHeader header_of(const TokenStream& corpus, Index vocab_size, const TopPredictionOptions& options,
                               std::uint64_t teacher) {
  const Index windows = Batches(corpus, 1, options.context, 0).windows();
  PredictionFileHeader header;
  header.vocab_size = static_cast<std::uint64_t>(vocab_size);
  header.top = static_cast<std::uint64_t>(std::min(options.top, vocab_size));
  header.context = static_cast<std::uint64_t>(options.context);
  header.count = static_cast<std::uint64_t>(windows * options.context);
  header.temperature = options.temperature;
  header.corpus_tokens = static_cast<std::uint64_t>(corpus.size());
  header.corpus = corpus.hash();
  header.teacher = teacher;
  return header;
}

template <class T>
auto span_of(View<T> view) {
  return std::span<T>(view.data, static_cast<std::size_t>(view.size()));
}

class FileCache final : public TeacherCache {
 public:
  explicit FileCache(PredictionFile&& file) : file_(std::move(file)) {}
  Index top() const override { return static_cast<Index>(file_.header().top); }
  Index context() const override { return static_cast<Index>(file_.header().context); }
  double temperature() const override { return file_.header().temperature; }
  void read(Index first_token, View<std::int32_t> words, View<float> log_probabilities,
            View<float> rest) const override {
    file_.read(static_cast<std::size_t>(first_token), span_of(words), span_of(log_probabilities), span_of(rest));
  }

 private:
  PredictionFile file_;
};

}  // namespace

TeacherCacheWriter::TeacherCacheWriter(const fs::path& path, const TokenStream& corpus, Index vocab_size,
                                       const TopPredictionOptions& options, std::uint64_t teacher)
    : file_(path, header_of(corpus, vocab_size, options, teacher)) {}

void TeacherCacheWriter::receive(const TopPredictions<Cpu>& predictions) {
  file_.append(span_of(predictions.words), span_of(predictions.log_probabilities), span_of(predictions.rest));
}

TeacherCachePointer open_teacher_cache(const fs::path& path, const TokenStream& corpus, Index vocab_size) {
  PredictionFile file(path);
  const PredictionFileHeader& header = file.header();
  const auto refuse = [&](std::string wanted, std::string found) {
    throw Error(ErrorId::config_inconsistent, "open_teacher_cache", path.string(), wanted, found);
  };
  if (header.vocab_size != static_cast<std::uint64_t>(vocab_size))
    refuse(fmt::format("a vocabulary of {} tokens", vocab_size), fmt::format("{}", header.vocab_size));
  if (header.corpus != corpus.hash() || header.corpus_tokens != static_cast<std::uint64_t>(corpus.size())) {
    refuse(fmt::format("predictions for the text's {} tokens (hash {:016x})", corpus.size(), corpus.hash()),
           fmt::format("those for {} tokens (hash {:016x})", header.corpus_tokens, header.corpus));
  }
  const auto windows = static_cast<std::uint64_t>((corpus.size() - 1) / static_cast<Index>(header.context));
  if (header.count != windows * header.context)
    refuse(fmt::format("{} windows of {} tokens", windows, header.context), fmt::format("{} tokens", header.count));
  return std::make_shared<FileCache>(std::move(file));
}

}  // namespace binllm
