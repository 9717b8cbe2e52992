// SPDX-License-Identifier: MIT
#include <binllm/io/folders/teacher_cache.hpp>

#include "../../support/errors.hpp"
#include "../../support/small_llama.hpp"
#include "../support.hpp"

#include <binllm/train/chosen_loss.hpp>
#include <binllm/train/pretrain.hpp>

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

constexpr Index words = 37;

TokenStream corpus(int step = 1) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(i * i * step % 37);
  return TokenStream::from_tokens(std::move(ids));
}

TopPredictionOptions options(Index top) { return {.top = top, .context = 12, .batch = 3}; }

/// The file of a small teacher's predictions.
PredictionFileHeader write_cache(const fs::path& path, const Llama<float>& teacher, const TopPredictionOptions& o) {
  TeacherCacheWriter writer(path, corpus(), words, o, 7);
  predict_top(teacher, corpus(), o, writer);
  writer.commit();
  return writer.header();
}

void overwrite(const fs::path& path, std::size_t at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file << bytes;
}

}  // namespace

TEST_CASE("teacher cache: holds the largest predictions of every token of whole windows") {
  const TemporaryFolder folder;
  const auto teacher = small_llama<float>();
  const auto header = write_cache(folder / "cache", teacher, {.top = 5, .context = 12, .batch = 3, .temperature = 2});
  CHECK(header.count == 192);  // (200 - 1) / 12 windows
  CHECK(header.bytes_per_id == 2);
  CHECK(header.record_bytes() == 36);
  CHECK(fs::file_size(folder / "cache") == 128 + 192 * 36);
  CHECK(PredictionFile::is_one(folder / "cache"));
  const auto cache = open_teacher_cache(folder / "cache", corpus(), words);
  CHECK(cache->top() == 5);
  CHECK(cache->context() == 12);
  CHECK(cache->temperature() == 2);
  Tensor<std::int32_t> ids(Shape{12, 5});
  Tensor<float> log_p(Shape{12, 5}), rest(Shape{12});
  cache->read(24, ids.view(), log_p.view(), rest.view());
  const TokenStream stream = corpus();
  const auto logits = logits_of(teacher, View<const std::int32_t>(stream.tokens().data() + 24, Shape{1, 12}));
  for (Index n = 0; n < 12; ++n) {
    const Eigen::ArrayXf z = logits.view().slice(0).row(n) / 2;
    const Eigen::ArrayXf log_q = z - z.maxCoeff() - std::log((z - z.maxCoeff()).exp().sum());
    float kept = 0, smallest = 0;
    for (Index i = 0; i < 5; ++i) {
      CHECK(log_p.view().row(n)[i] == doctest::Approx(log_q[ids.view().row(n)[i]]).epsilon(1e-4));
      kept += std::exp(log_p.view().row(n)[i]);
      smallest = std::min(smallest, log_p.view().row(n)[i]);
      if (i > 0) CHECK(ids.view().row(n)[i - 1] < ids.view().row(n)[i]);
    }
    CHECK((log_q > smallest + 1e-5f).count() <= 5);
    CHECK(kept + std::exp(rest.view().data[n]) == doctest::Approx(1).epsilon(1e-5));
  }
}

TEST_CASE("teacher cache: with all words a training learns what it learns from the teacher itself") {
  const TemporaryFolder folder;
  auto teacher = small_llama<float>(small_config(), 9);
  write_cache(folder / "cache", teacher, options(words));
  TrainingOptions training = TrainingOptions::small_model();
  training.tokens = 6 * 4 * 12, training.batch = 4, training.micro_batch = 2, training.context = 12;
  RunLog silent;
  auto from_teacher = small_llama<float>(), from_file = small_llama<float>();
  const LossSettings settings{.distillation = 0.75};
  pretrain(from_teacher, corpus(), training, nullptr, &silent,
           ChosenLoss<float, Cpu>{settings, make_teacher(teacher), nullptr});
  pretrain(from_file, corpus(), training, nullptr, &silent,
           ChosenLoss<float, Cpu>{settings, nullptr, open_teacher_cache(folder / "cache", corpus(), words)});
  CHECK(largest_difference(from_teacher.block.values, from_file.block.values) < 1e-4);
}

TEST_CASE("teacher cache: other tokens, another vocabulary and damage are refused") {
  const TemporaryFolder folder;
  const fs::path path = folder / "cache";
  const auto teacher = small_llama<float>();
  const auto fresh = [&] { write_cache(path, teacher, options(5)); };
  const auto id = [&](const TokenStream& stream = corpus(), Index vocabulary = words) {
    return id_of([&] { static_cast<void>(open_teacher_cache(path, stream, vocabulary)); });
  };
  CHECK(id() == ErrorId::file_missing);
  fresh();
  CHECK(id(corpus(2)) == ErrorId::config_inconsistent);
  CHECK(id(corpus(), 38) == ErrorId::config_inconsistent);
  overwrite(path, 128 + 5 * 36 + 4, "\x01");
  CHECK(id() == ErrorId::header_invalid);
  fresh();
  fs::resize_file(path, 128 + 191 * 36);
  CHECK(id() == ErrorId::file_truncated);
  fresh();
  fs::resize_file(path, 100);
  CHECK(id() == ErrorId::file_truncated);
  fresh();
  overwrite(path, 8, "\x02");
  CHECK(id() == ErrorId::version_unsupported);
  for (const std::size_t field :
       {12U, 16U, 24U, 32U, 40U, 48U}) {  // id width, vocabulary, top, context, count, temperature
    CAPTURE(field);
    fresh();
    overwrite(path, field, "\xff\xff\xff\xff\xff\xff\xff\xff");
    CHECK(id() != ErrorId::file_missing);
  }
  fresh();
  overwrite(path, 0, "x");
  CHECK_FALSE(PredictionFile::is_one(path));
  CHECK(id() == ErrorId::header_invalid);
}

TEST_CASE("teacher cache: records that no writer made are refused when they are read") {
  const TemporaryFolder folder;
  PredictionFileHeader header;
  header.vocab_size = words, header.top = 2, header.context = 1, header.count = 1, header.corpus_tokens = 2;
  const auto id = [&](std::vector<std::int32_t> ids, std::vector<float> log_p, float rest) {
    PredictionFileWriter writer(folder / "file", header);
    writer.append(ids, log_p, {&rest, 1});
    writer.commit();
    const PredictionFile file(folder / "file");
    return id_of([&] { file.read(0, ids, log_p, {&rest, 1}); });
  };
  CHECK(id({1, 1}, {-1, -1}, -1) == ErrorId::header_invalid);
  CHECK(id({3, 1}, {-1, -1}, -1) == ErrorId::header_invalid);
  CHECK(id({1, 40}, {-1, -1}, -1) == ErrorId::header_invalid);
  CHECK(id({1, 2}, {1, -1}, -1) == ErrorId::header_invalid);
  CHECK(id({1, 2}, {-1, std::nanf("")}, -1) == ErrorId::header_invalid);
  CHECK(id({1, 2}, {-1, -1}, std::nanf("")) == ErrorId::header_invalid);
  PredictionFileWriter writer(folder / "good", header);
  const float rest = -1;
  writer.append(std::vector<std::int32_t>{1, 36}, std::vector<float>{-1, -1}, {&rest, 1});
  writer.commit();
  const PredictionFile good(folder / "good");
  std::vector<std::int32_t> ids(2);
  std::vector<float> log_p(2), rests(1);
  good.read(0, ids, log_p, rests);
  CHECK(ids == std::vector<std::int32_t>{1, 36});
  CHECK(id_of([&] { good.read(1, ids, log_p, rests); }) == ErrorId::index_out_of_range);
}
