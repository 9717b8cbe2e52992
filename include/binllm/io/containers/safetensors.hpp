// SPDX-License-Identifier: MIT
/// The safetensors container: eight bytes with the length of a JSON header (little-endian), the header, the data.
/// The header maps a tensor's name to {"dtype", "shape", "data_offsets": [begin, end]} relative to the data.
#pragma once
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/checksum.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/tensor_file.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// A memory-mapped safetensors file; move-only. The constructor checks the whole header, so that every `TensorInfo`
/// is inside the file, has the size of its shape, and no two overlap. Values are not looked at (NaN is the caller's).
/// Errors, each with file and tensor: file_missing, file_unreadable, file_truncated (shorter than the header says),
/// header_invalid (not JSON, duplicate keys, lying sizes, overlaps, holes, bytes that belong to no tensor, checksums of
/// some tensors only, a pointer of Git LFS), dtype_unsupported, rank_unsupported.
class SafetensorsFile final : public TensorFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In ascending order of their offset in the data section.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept override;
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept override;
  void read(const TensorInfo& tensor, std::span<float> out) const override;
  void read(const TensorInfo& tensor, std::span<double> out) const override;
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }
  [[nodiscard]] std::size_t file_bytes() const noexcept override { return file_.bytes().size(); }
  [[nodiscard]] bool has_checksum(const TensorInfo&) const noexcept override { return !checksums_.empty(); }
  void verify(const TensorInfo& tensor) const override;
  void release(const TensorInfo& tensor) const noexcept override { file_.release(bytes(tensor)); }
  /// The "__metadata__" of the header.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::size_t data_start_ = 0;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, std::uint64_t, std::less<>> checksums_;  ///< of all tensors or of none
};

/// What a header says of a tensor that is to be written.
struct TensorEntry {
  std::string name;
  DType dtype;
  Shape shape;
};
/// Whether a file holds a checksum of each tensor, which reading it compares (docs/file-formats.md).
enum class Checksums { none, of_each_tensor };

/// Writes a file whose tensors come one after the other, so that none but the present one need be in memory. The header
/// is written first; `path` is replaced only when all is on the disk.
class SafetensorsWriter {
 public:
  /// Errors: write_failed; header_invalid for a name twice, "__metadata__" as a name, text that is not UTF-8.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorEntry> tensors,
                    std::map<std::string, std::string> metadata = {}, Checksums checksums = Checksums::none);

  /// The next bytes of the tensors in their order, in parts of any length.
  /// Errors: write_failed (the old file stays intact); shape_mismatch beyond the last tensor.
  void append(std::span<const std::byte> bytes);
  /// Errors: write_failed; shape_mismatch where bytes are missing.
  void commit();

 private:
  void begin_next();
  [[nodiscard]] std::string header() const;

  std::filesystem::path path_;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::uint64_t> sums_;  ///< of tensors that are written, where they are wanted
  bool wants_sums_;
  std::optional<Checksum> sum_;      ///< of the present tensor
  std::size_t next_ = 0, left_ = 0;  ///< the tensor after the present one, bytes that it still lacks
  AtomicFile file_;
};

/// A tensor to write: row-major values of `dtype` (raw bits for F16 and BF16).
struct TensorSource {
  std::string name;
  DType dtype;
  Shape shape;
  const void* data;
};

/// Writes tensors in the given order, one after the other, and replaces `path` only when all is on the disk.
/// Errors: write_failed (the old file stays intact); header_invalid for a name twice, "__metadata__" as a name, text
/// that is not UTF-8; empty_tensor for a null pointer.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata = {}, Checksums checksums = Checksums::none);

}  // namespace binllm
