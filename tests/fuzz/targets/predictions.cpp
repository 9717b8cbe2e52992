// SPDX-License-Identifier: MIT
#include "../target.hpp"

#include <binllm/io/containers/prediction_file.hpp>

#include <cstring>

namespace binllm::fuzz {
namespace {

void read_records(const std::filesystem::path& path) {
  const PredictionFile file(path);
  const auto count = static_cast<std::size_t>(file.header().count), top = static_cast<std::size_t>(file.header().top);
  std::vector<std::int32_t> words(top);
  std::vector<float> log_probabilities(top), rest(1);
  for (std::size_t i = 0; i < count; ++i) file.read(i, words, log_probabilities, rest);
}

/// The header holds the checksum as a number, so that no message helps.
std::string with_checksum(std::string_view input) {
  std::string file(input);
  PredictionFileHeader header;
  if (file.size() < sizeof header) return file;
  std::memcpy(&header, file.data(), sizeof header);
  header.records = checksum_of("records", std::as_bytes(std::span(file)).subspan(sizeof header));
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

bool run(std::string_view input) {
  return read_file(input, read_records) || read_file(with_checksum(input), read_records);
}

const Registered here("predictions", run);

}  // namespace
}  // namespace binllm::fuzz
