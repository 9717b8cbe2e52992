// SPDX-License-Identifier: MIT
/// What a teacher said of a corpus, in a file, for the training that learns from it.
#pragma once
#include <binllm/data/token_stream.hpp>
#include <binllm/infer/top_predictions.hpp>
#include <binllm/io/containers/prediction_file.hpp>
#include <binllm/io/folders/identity.hpp>
#include <binllm/train/teacher_cache.hpp>

#include <cstdint>
#include <filesystem>

namespace binllm {

/// Writes what a model predicts, as it comes.
class TeacherCacheWriter final : public TopPredictionReceiver {
 public:
  /// Errors: write_failed, text_too_short.
  TeacherCacheWriter(const std::filesystem::path& path, const TokenStream& corpus, Index vocab_size,
                     const TopPredictionOptions& options, std::uint64_t teacher);
  void receive(const TopPredictions<Cpu>& predictions) override;
  /// Errors: write_failed.
  void commit() { file_.commit(); }
  [[nodiscard]] const PredictionFileHeader& header() const noexcept { return file_.header(); }

 private:
  PredictionFileWriter file_;
};

/// The cache in a file, for a training on this corpus. Errors: those of PredictionFile; config_inconsistent for one of
/// other tokens.
[[nodiscard]] TeacherCachePointer open_teacher_cache(const std::filesystem::path& path, const TokenStream& corpus,
                                                     Index vocab_size);

}  // namespace binllm
