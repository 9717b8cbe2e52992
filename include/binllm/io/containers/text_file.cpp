// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/pointer_file.hpp>
#include <binllm/io/containers/text_file.hpp>

#ifdef BINLLM_WITH_ZSTD
#include <zstd.h>
#endif

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace binllm {
namespace {

constexpr std::uint32_t zstd_magic = 0xfd2fb528;

#ifdef BINLLM_WITH_ZSTD
MappedMemory unpacked(std::span<const std::byte> compressed, const std::filesystem::path& path) {
  const auto refuse = [&](ErrorId id, std::string_view found) {
    throw Error(id, "map_text", path.string(), "a whole zstd file", found);
  };
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), &ZSTD_freeDStream);
  if (!stream) throw std::bad_alloc();
  TemporaryFile text;
  std::vector<char> buffer(ZSTD_DStreamOutSize());
  ZSTD_inBuffer input{compressed.data(), compressed.size(), 0};
  for (std::size_t rest = 1; rest > 0 || input.pos < input.size;) {
    ZSTD_outBuffer output{buffer.data(), buffer.size(), 0};
    rest = ZSTD_decompressStream(stream.get(), &output, &input);
    if (ZSTD_isError(rest) != 0) refuse(ErrorId::file_unreadable, ZSTD_getErrorName(rest));
    if (rest > 0 && input.pos == input.size && output.pos < output.size) {
      refuse(ErrorId::file_truncated, "an end in the middle");
    }
    text.append(buffer.data(), output.pos);
  }
  return text.map();
}
#else
MappedMemory unpacked(std::span<const std::byte>, const std::filesystem::path& path) {
  throw Error(ErrorId::version_unsupported, "map_text", path.string(), "a text",
              "a zstd file; binllm was built without libzstd");
}
#endif

}  // namespace

MappedMemory map_text(const std::filesystem::path& path) {
  MappedMemory file = MappedMemory::of_file(path.string());
  detail::check_no_pointer(path, file.bytes());
  std::uint32_t magic = 0;
  if (file.bytes().size() >= sizeof magic) std::memcpy(&magic, file.bytes().data(), sizeof magic);
  return magic == zstd_magic ? unpacked(file.bytes(), path) : std::move(file);
}

}  // namespace binllm
