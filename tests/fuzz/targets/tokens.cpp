// SPDX-License-Identifier: MIT
#include "../target.hpp"

#include <binllm/io/containers/token_file.hpp>

#include <cstring>

namespace binllm::fuzz {
namespace {

void read_ids(const std::filesystem::path& path) {
  const TokenFile file(path);
  for (const std::int32_t id : file.ids())
    require(id >= 0 && static_cast<std::uint64_t>(id) < file.header().vocab_size,
            "ids are below the vocabulary's size");
}

/// The header holds the hash as a number, so that no message helps.
std::string with_hash(std::string_view input) {
  std::string file(input);
  TokenFileHeader header;
  if (file.size() < sizeof header) return file;
  std::memcpy(&header, file.data(), sizeof header);
  std::vector<std::int32_t> ids;
  const std::size_t width = header.bytes_per_id == 2 ? 2 : 4;
  for (std::size_t at = sizeof header; at + width <= file.size(); at += width) {
    std::int32_t id = 0;
    std::memcpy(&id, file.data() + at, width);
    ids.push_back(id);
  }
  header.ids = fnv_extend(fnv_of_nothing, ids);
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

bool run(std::string_view input) { return read_file(input, read_ids) || read_file(with_hash(input), read_ids); }

const Registered here("tokens", run);

}  // namespace
}  // namespace binllm::fuzz
