// SPDX-License-Identifier: MIT
/// Reading every byte of a model folder, to know whether it is what was saved.
#pragma once
#include <binllm/io/folders/config.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace binllm {

/// What held, and what nobody can tell.
struct Verification {
  std::vector<std::string> verified, not_verified;  ///< sentences
};

/// Compares all checksums of a folder and looks at every number. Whether the tensors are those that its config.json
/// asks for is load_model's to say.
/// Errors: those of read_config, open_tensors and load_tokenizer; header_invalid where a checksum does not hold;
/// value_not_finite with file and tensor.
[[nodiscard]] Verification verify_folder(const std::filesystem::path& folder, const KnownBeside& known = {});

}  // namespace binllm
