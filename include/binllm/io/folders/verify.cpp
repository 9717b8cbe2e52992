// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/folders/open_tensors.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/io/folders/verify.hpp>

#include <algorithm>
#include <cmath>

namespace binllm {
namespace {

void check_finite(const TensorFile& file, const TensorInfo& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.size()));
  file.read(tensor, values);
  const auto bad = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return;
  throw Error(ErrorId::value_not_finite, "verify_folder",
              fmt::format("{}: tensor {}", file.path().string(), tensor.name), "finite values",
              fmt::format("{} at index {}", *bad, bad - values.begin()));
}

}  // namespace

Verification verify_folder(const std::filesystem::path& folder, const KnownBeside& known) {
  Verification result;
  const auto say = [&](bool held, std::string sentence) {
    (held ? result.verified : result.not_verified).push_back(std::move(sentence));
  };
  const ModelDescription description = read_config(folder, known);
  if (!is_gguf(folder)) {  // there one header says all
    say(true, "config.json: well formed");
    const bool summed = has_config_checksum(folder);
    say(summed, summed ? "config.json: checksum" : "config.json: has no checksum");
  }
  const auto file = open_tensors(folder, description);
  std::size_t sums = 0, numbers = 0;
  for (const TensorInfo& tensor : file->tensors()) {
    file->verify(tensor);
    if (file->has_checksum(tensor)) ++sums;
    if (is_floating(tensor.dtype)) {
      check_finite(*file, tensor);
      ++numbers;
    }
    file->release(tensor);
  }
  const std::string name = file->path().filename().string();
  const std::size_t all = file->tensors().size();
  say(true, fmt::format("{}: header of {} tensors", name, all));
  say(true, fmt::format("{}: finite numbers in {} tensors", name, numbers));
  if (sums > 0) say(true, fmt::format("{}: checksums of {} tensors", name, sums));
  if (sums < all) say(false, fmt::format("{}: {} tensors have no checksum", name, all - sums));
  try {
    const Tokenizer tokenizer = load_tokenizer(folder, known);
    say(true, fmt::format("tokenizer: {} of {} tokens loads", tokenizer.name(), tokenizer.vocab_size()));
    if (!tokenizer.file_name().empty() && !is_gguf(folder)) {
      say(false, fmt::format("{}: has no checksum", tokenizer.file_name()));
    }
  } catch (const Error& error) {
    if (error.id() != ErrorId::file_missing) throw;
    say(false, "tokenizer: there is none");
  }
  return result;
}

}  // namespace binllm
