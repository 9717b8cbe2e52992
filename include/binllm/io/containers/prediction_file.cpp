// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/prediction_file.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace binllm {
namespace {

constexpr std::string_view checksum_name = "records";
constexpr std::uint64_t largest_vocabulary = std::uint64_t{1} << 31;

PredictionFileHeader completed(PredictionFileHeader header) {
  header.bytes_per_id = header.vocab_size <= 0x10000 ? 2 : 4;
  return header;
}
/// Takes `bytes` of what `from` points to, and moves on.
void take(const std::byte*& from, void* to, std::size_t bytes) {
  std::memcpy(to, from, bytes);
  from += bytes;
}

}  // namespace

PredictionFileWriter::PredictionFileWriter(const std::filesystem::path& path, const PredictionFileHeader& header)
    : header_(completed(header)),
      file_(path),
      sum_(checksum_name, static_cast<std::size_t>(header_.count) * header_.record_bytes()) {
  file_.write(std::as_bytes(std::span(&header_, 1)));
}

void PredictionFileWriter::append(std::span<const std::int32_t> words, std::span<const float> log_probabilities,
                                  std::span<const float> rest) {
  const auto top = static_cast<std::size_t>(header_.top);
  records_.assign(rest.size() * header_.record_bytes(), std::byte{0});
  std::byte* to = records_.data();
  for (std::size_t n = 0; n < rest.size(); ++n, to += header_.record_bytes()) {
    std::memcpy(to, &rest[n], sizeof(float));
    std::memcpy(to + sizeof(float), &log_probabilities[n * top], top * sizeof(float));
    std::byte* const ids = to + (1 + top) * sizeof(float);
    for (std::size_t i = 0; i < top; ++i)
      std::memcpy(ids + i * header_.bytes_per_id, &words[n * top + i], header_.bytes_per_id);
  }
  sum_.add(records_);
  file_.write(records_);
}

void PredictionFileWriter::commit() {
  header_.records = sum_.value();
  file_.overwrite(0, std::as_bytes(std::span(&header_, 1)));
  file_.commit();
}

bool PredictionFile::is_one(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return false;
  const auto memory = MappedMemory::of_file(path.string());
  std::uint64_t magic = 0;
  if (memory.bytes().size() < sizeof magic) return false;
  std::memcpy(&magic, memory.bytes().data(), sizeof magic);
  return magic == PredictionFileHeader::magic_number;
}

void PredictionFile::refuse(std::string_view wanted, std::string_view found) const {
  throw Error(ErrorId::header_invalid, "PredictionFile", path_.string(), wanted, found);
}

PredictionFile::PredictionFile(const std::filesystem::path& path)
    : path_(path), memory_(MappedMemory::of_file(path.string())) {
  const auto bytes = memory_.bytes();
  if (!is_one(path)) refuse("a file of predictions", "another kind of file");
  if (bytes.size() < sizeof header_)
    throw Error(ErrorId::file_truncated, "PredictionFile", path_.string(), "128 bytes or more", "fewer");
  std::memcpy(&header_, bytes.data(), sizeof header_);
  if (header_.version != PredictionFileHeader::newest) {
    throw Error(ErrorId::version_unsupported, "PredictionFile", path_.string(),
                fmt::format("version {}", PredictionFileHeader::newest), fmt::format("{}", header_.version));
  }
  const PredictionFileHeader& h = header_;
  if (h.vocab_size == 0 || h.vocab_size > largest_vocabulary)
    refuse("a vocabulary of 1 to 2^31 tokens", fmt::format("{}", h.vocab_size));
  if (h.bytes_per_id != completed(h).bytes_per_id)
    refuse(fmt::format("ids of {} bytes", completed(h).bytes_per_id), fmt::format("{}", h.bytes_per_id));
  if (h.top == 0 || h.top > h.vocab_size) refuse("1 word to all of them", fmt::format("{}", h.top));
  if (!(h.temperature > 0) || !std::isfinite(h.temperature)) refuse("a temperature above 0", "another");
  const auto fits = [](std::uint64_t n) { return n > 0 && n < std::uint64_t{1} << 48; };
  if (!fits(h.context) || !fits(h.count) || !fits(h.corpus_tokens) || h.count % h.context != 0)
    refuse("whole windows of tokens", fmt::format("{} tokens, {} a window", h.count, h.context));
  const std::uint64_t room = (bytes.size() - sizeof header_) / h.record_bytes();
  if (h.count > room) {
    throw Error(ErrorId::file_truncated, "PredictionFile", path_.string(), fmt::format("{} records", h.count),
                fmt::format("{}", room));
  }
  const auto records = bytes.subspan(sizeof header_);
  if (records.size() != static_cast<std::size_t>(h.count) * h.record_bytes())
    refuse(fmt::format("nothing after {} records", h.count), "more bytes");
  if (checksum_of(checksum_name, records) != h.records)
    refuse("the records that were written", "others: it is damaged");
}

void PredictionFile::read(std::size_t first, std::span<std::int32_t> words, std::span<float> log_probabilities,
                          std::span<float> rest) const {
  const auto count = static_cast<std::size_t>(header_.count), top = static_cast<std::size_t>(header_.top);
  if (first > count || rest.size() > count - first) {
    throw Error(ErrorId::index_out_of_range, "PredictionFile::read", "first", fmt::format("records in [0, {})", count),
                fmt::format("[{}, {})", first, first + rest.size()));
  }
  const std::byte* const records = memory_.bytes().data() + sizeof header_ + first * header_.record_bytes();
  for (std::size_t n = 0; n < rest.size(); ++n) {
    const std::byte* from = records + n * header_.record_bytes();
    take(from, &rest[n], sizeof(float));
    take(from, &log_probabilities[n * top], top * sizeof(float));
    std::int64_t before = -1;
    for (std::size_t i = n * top; i < (n + 1) * top; ++i) {
      std::uint32_t word = 0;
      take(from, &word, header_.bytes_per_id);
      if (word <= before || word >= header_.vocab_size || !(log_probabilities[i] <= 0.001f) || !(rest[n] <= 0.001f))
        refuse("log-probabilities of ascending words", fmt::format("others in record {}", first + n));
      before = word;
      words[i] = static_cast<std::int32_t>(word);
    }
  }
}

}  // namespace binllm
