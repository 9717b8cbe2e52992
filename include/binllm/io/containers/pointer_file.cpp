// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/pointer_file.hpp>

#include <string_view>

namespace binllm::detail {

void check_no_pointer(const std::filesystem::path& path, std::span<const std::byte> content) {
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  if (!text.starts_with("version https://git-lfs.github.com/spec/")) return;
  throw Error(ErrorId::header_invalid, "open", path.string(), "the file itself",
              "a pointer of Git LFS that stands for it: fetch it with git lfs pull, or download it");
}

}  // namespace binllm::detail
