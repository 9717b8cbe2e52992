// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/token_file.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace binllm {
namespace {

constexpr std::size_t ids_at_a_time = std::size_t{1} << 16;
constexpr std::uint64_t largest_vocabulary = std::uint64_t{1} << 31;

[[noreturn]] void refuse(ErrorId id, const std::filesystem::path& path, std::string_view wanted,
                         std::string_view found) {
  throw Error(id, "TokenFile", path.string(), wanted, found);
}

/// Of a file of that many bytes. Errors: version_unsupported, header_invalid, file_truncated.
void check(const TokenFileHeader& header, std::size_t bytes, const std::filesystem::path& path) {
  if (header.version != TokenFileHeader::newest) {
    refuse(ErrorId::version_unsupported, path, fmt::format("version {}", TokenFileHeader::newest),
           fmt::format("{}", header.version));
  }
  const std::uint64_t width = header.bytes_per_id;
  if (width != 2 && width != 4) {
    refuse(ErrorId::header_invalid, path, "ids of 2 or 4 bytes", fmt::format("{}", width));
  }
  if (header.reserved != 0) refuse(ErrorId::header_invalid, path, "zeros at the end of the header", "others");
  if (header.vocab_size == 0 || header.vocab_size > largest_vocabulary) {
    refuse(ErrorId::header_invalid, path, "a vocabulary of 1 to 2^31 tokens", fmt::format("{}", header.vocab_size));
  }
  const std::uint64_t room = (bytes - sizeof header) / width;
  if (header.count > room) {
    refuse(ErrorId::file_truncated, path, fmt::format("{} ids", header.count), fmt::format("{}", room));
  }
  if (bytes - sizeof header != header.count * width) {
    refuse(ErrorId::header_invalid, path, fmt::format("nothing after {} ids", header.count), "more bytes");
  }
}

/// Ids of two bytes as ids of four.
MappedMemory spread(std::span<const std::byte> narrow) {
  TemporaryFile wide;
  std::vector<std::uint16_t> from(ids_at_a_time);
  std::vector<std::int32_t> to;
  while (!narrow.empty()) {
    const std::size_t count = std::min(ids_at_a_time, narrow.size() / sizeof(std::uint16_t));
    std::memcpy(from.data(), narrow.data(), count * sizeof(std::uint16_t));
    to.assign(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count));
    wide.append(to.data(), count * sizeof(std::int32_t));
    narrow = narrow.subspan(count * sizeof(std::uint16_t));
  }
  return wide.map();
}

}  // namespace

TokenFileWriter::TokenFileWriter(const std::filesystem::path& path, std::uint64_t vocab_size, std::uint64_t tokenizer)
    : file_(path) {
  if (vocab_size == 0 || vocab_size > largest_vocabulary) {
    throw Error(ErrorId::option_out_of_range, "TokenFileWriter", "vocab_size", "1 to 2^31",
                fmt::format("{}", vocab_size));
  }
  header_.bytes_per_id = vocab_size <= 0x10000 ? 2 : 4;
  header_.vocab_size = vocab_size;
  header_.tokenizer = tokenizer;
  header_.ids = fnv_of_nothing;
  file_.write(std::as_bytes(std::span(&header_, 1)));
}

void TokenFileWriter::append(std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) {
    if (id >= 0 && static_cast<std::uint64_t>(id) < header_.vocab_size) continue;
    throw Error(ErrorId::token_out_of_range, "TokenFileWriter::append", "ids",
                fmt::format("ids in [0, {})", header_.vocab_size), fmt::format("{}", id));
  }
  if (header_.bytes_per_id == 2) {
    std::vector<std::uint16_t> narrow(ids.size());
    std::transform(ids.begin(), ids.end(), narrow.begin(),
                   [](std::int32_t id) { return static_cast<std::uint16_t>(id); });
    file_.write(std::as_bytes(std::span(narrow)));
  } else {
    file_.write(std::as_bytes(ids));
  }
  header_.count += ids.size();
  header_.ids = fnv_extend(header_.ids, ids);
}

void TokenFileWriter::commit(std::uint64_t text_bytes) {
  header_.text_bytes = text_bytes;
  file_.overwrite(0, std::as_bytes(std::span(&header_, 1)));
  file_.commit();
}

bool TokenFile::is_one(std::span<const std::byte> file) noexcept {
  std::uint64_t magic = 0;
  if (file.size() < sizeof magic) return false;
  std::memcpy(&magic, file.data(), sizeof magic);
  return magic == TokenFileHeader::magic_number;
}

TokenFile::TokenFile(const std::filesystem::path& path) : memory_(MappedMemory::of_file(path.string())) {
  const auto bytes = memory_.bytes();
  if (!is_one(bytes)) refuse(ErrorId::header_invalid, path, "a file of token ids", "another kind of file");
  if (bytes.size() < sizeof header_) refuse(ErrorId::file_truncated, path, "64 bytes or more", "fewer");
  std::memcpy(&header_, bytes.data(), sizeof header_);
  check(header_, bytes.size(), path);
  auto data = bytes.subspan(sizeof header_);
  if (header_.bytes_per_id == 2) {
    memory_ = spread(data);
    data = memory_.bytes();
  }
  ids_ = {reinterpret_cast<const std::int32_t*>(data.data()), static_cast<std::size_t>(header_.count)};
  const auto is_wrong = [&](std::int32_t id) { return id < 0 || static_cast<std::uint64_t>(id) >= header_.vocab_size; };
  if (const auto wrong = std::find_if(ids_.begin(), ids_.end(), is_wrong); wrong != ids_.end()) {
    refuse(ErrorId::header_invalid, path, fmt::format("ids in [0, {})", header_.vocab_size), fmt::format("{}", *wrong));
  }
  if (fnv_extend(fnv_of_nothing, ids_) != header_.ids) {
    refuse(ErrorId::header_invalid, path, "the ids that were written", "others: the file is damaged");
  }
}

}  // namespace binllm
