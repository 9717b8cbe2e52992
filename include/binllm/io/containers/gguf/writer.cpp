// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/blocks.hpp>
#include <binllm/io/containers/gguf/types.hpp>
#include <binllm/io/containers/gguf/writer.hpp>
#include <binllm/io/containers/values.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace binllm {
namespace {

constexpr std::uint32_t version = 3;

std::size_t padding_behind(std::size_t bytes) { return (gguf_alignment - bytes % gguf_alignment) % gguf_alignment; }

/// Bytes of a header, little-endian.
class Header {
 public:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      put(static_cast<std::uint64_t>(value.size()));
      bytes_.append(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      bytes_.push_back(value ? '\1' : '\0');
    } else if constexpr (std::is_same_v<T, GgufArray>) {
      put(static_cast<std::uint32_t>(value.index()));
      std::visit([this](const auto& values) { this->put_elements(values); }, value);
    } else {
      static_assert(std::is_arithmetic_v<T>);
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }
  void put(const GgufValue& value) {
    put(static_cast<std::uint32_t>(value.index()));
    std::visit([this](const auto& own) { this->put(own); }, value);
  }
  void pad() { bytes_.append(padding_behind(bytes_.size()), '\0'); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  template <class Values>
  void put_elements(const Values& values) {
    if constexpr (!std::is_same_v<Values, std::monostate>) {
      put(static_cast<std::uint64_t>(values.size()));
      for (const auto& value : values) put(static_cast<typename Values::value_type>(value));
    }
  }

  std::string bytes_ = "GGUF";
};

std::uint32_t number_of(DType dtype) {
  for (const auto& [number, known] : detail::gguf_types) {
    if (known == dtype) return number;
  }
  return 0;
}

[[noreturn]] void refuse(ErrorId id, const std::filesystem::path& path, std::string_view tensor, std::string wanted,
                         std::string found) {
  throw Error(id, "GgufWriter", fmt::format("{}: tensor {}", path.string(), tensor), std::move(wanted),
              std::move(found));
}

/// Sets offsets and bytes of the tensors, and returns all that stands before the data.
Header lay_out(const std::filesystem::path& path, const GgufMetadata& metadata, std::vector<TensorInfo>& tensors) {
  Header header;
  header.put(version);
  header.put(static_cast<std::uint64_t>(tensors.size()));
  header.put(static_cast<std::uint64_t>(metadata.size()));
  for (const auto& [name, value] : metadata) {
    header.put(name);
    header.put(value);
  }
  std::set<std::string_view> names;
  std::size_t offset = 0;
  for (TensorInfo& tensor : tensors) {
    const StorageBlock block = storage_block(tensor.dtype);
    if (!is_encodable(tensor.dtype)) {
      refuse(ErrorId::dtype_unsupported, path, tensor.name, "F32, F16, BF16, Q4_0 or Q1_0",
             std::string(to_string(tensor.dtype)));
    }
    if (!names.insert(tensor.name).second)
      refuse(ErrorId::header_invalid, path, tensor.name, "every name once", "it twice");
    if (static_cast<std::size_t>(tensor.shape.cols()) % block.numbers != 0) {
      refuse(ErrorId::header_invalid, path, tensor.name, fmt::format("rows of a multiple of {} numbers", block.numbers),
             to_string(tensor.shape));
    }
    tensor.offset = offset;
    tensor.bytes = static_cast<std::size_t>(tensor.shape.size()) / block.numbers * block.bytes;
    offset += tensor.bytes + padding_behind(tensor.bytes);
    header.put(tensor.name);
    header.put(static_cast<std::uint32_t>(tensor.shape.rank()));
    for (int axis = tensor.shape.rank(); axis-- > 0;) header.put(static_cast<std::uint64_t>(tensor.shape[axis]));
    header.put(number_of(tensor.dtype));
    header.put(static_cast<std::uint64_t>(tensor.offset));
  }
  header.pad();
  return header;
}

}  // namespace

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata, std::vector<TensorInfo> tensors)
    : path_(path), file_(path), tensors_(std::move(tensors)) {
  file_.write(lay_out(path, metadata, tensors_).bytes());
  fill_up();
}

/// Pads tensors that are complete.
void GgufWriter::fill_up() {
  constexpr std::array<std::byte, gguf_alignment> zeros{};
  while (current_ < tensors_.size() && written_ == tensors_[current_].bytes) {
    file_.write(std::span(zeros).first(padding_behind(written_)));
    written_ = 0;
    ++current_;
  }
}

void GgufWriter::write(std::span<const float> numbers) {
  if (numbers.empty()) return;
  if (current_ == tensors_.size()) refuse(ErrorId::shape_mismatch, path_, "behind the last", "no numbers", "some");
  const TensorInfo& tensor = tensors_[current_];
  const StorageBlock block = storage_block(tensor.dtype);
  const std::size_t bytes = numbers.size() / block.numbers * block.bytes;
  if (numbers.size() % block.numbers != 0 || bytes > tensor.bytes - written_) {
    refuse(ErrorId::shape_mismatch, path_, tensor.name,
           fmt::format("up to {} numbers more in blocks of {}", (tensor.bytes - written_) / block.bytes * block.numbers,
                       block.numbers),
           fmt::format("{}", numbers.size()));
  }
  // All types but F32 and BF16 hold scales or values in half precision.
  const float most =
      tensor.dtype == DType::f32 || tensor.dtype == DType::bf16 ? std::numeric_limits<float>::max() : 65504.0f;
  for (const float number : numbers) {
    if (!(std::abs(number) <= most)) {
      refuse(ErrorId::value_not_finite, path_, tensor.name,
             fmt::format("numbers up to {} for {}", most, to_string(tensor.dtype)), fmt::format("{}", number));
    }
  }
  stored_.resize(bytes);
  encode_blocks(tensor.dtype, numbers, stored_);
  again_.resize(numbers.size());
  read_values(tensor.dtype, stored_, std::span(again_));
  roundings_[tensor.dtype].add(numbers, again_);
  file_.write(stored_);
  written_ += bytes;
  fill_up();
}

void GgufWriter::commit() {
  if (current_ < tensors_.size()) {
    refuse(ErrorId::shape_mismatch, path_, tensors_[current_].name, "all its numbers", "fewer");
  }
  file_.commit();
}

}  // namespace binllm
