// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/containers/gguf/types.hpp>
#include <binllm/io/containers/values.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

namespace binllm {
namespace {

constexpr std::string_view magic = "GGUF";
constexpr auto most_bytes = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());

/// The header, read from its start; every error names the file and what was being read.
class Header {
 public:
  Header(std::span<const std::byte> file, std::string path) : file_(file), path_(std::move(path)) {}

  /// What the next reads are about: a value or a tensor. A damaged name may have any length; a message should not.
  void about(std::string_view kind, std::string_view name) {
    about_ = fmt::format(": {} {}", kind, name.substr(0, 128));
  }
  [[noreturn]] void refuse(std::string wanted, std::string found, ErrorId id = ErrorId::header_invalid) const {
    throw Error(id, "GgufFile", path_ + about_, std::move(wanted), std::move(found));
  }

  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  [[nodiscard]] std::size_t left() const noexcept { return file_.size() - position_; }
  /// Errors: file_truncated unless `count` things of `bytes` bytes can follow.
  void expect(std::uint64_t count, std::size_t bytes, std::string_view what) const {
    if (count <= left() / bytes) return;
    refuse(fmt::format("{} {}", count, what), fmt::format("{} bytes to the end of the file", left()),
           ErrorId::file_truncated);
  }

  template <class T>
  T read() {
    if constexpr (std::is_same_v<T, std::string>) {
      const auto length = read<std::uint64_t>();
      expect(length, 1, "bytes of text");
      const char* const start = reinterpret_cast<const char*>(file_.data()) + position_;
      position_ += static_cast<std::size_t>(length);
      return {start, static_cast<std::size_t>(length)};
    } else if constexpr (std::is_same_v<T, bool>) {
      const auto byte = read<std::uint8_t>();
      if (byte > 1) refuse("a truth value of 0 or 1", fmt::format("{}", byte));
      return byte == 1;
    } else {
      expect(1, sizeof(T), "number");
      T value;
      std::memcpy(&value, file_.data() + position_, sizeof(T));
      position_ += sizeof(T);
      return value;
    }
  }

  GgufValue value() {
    const auto type = read<std::uint32_t>();
    return of_type<GgufValue>(type, [this]<class T>() -> GgufValue {
      if constexpr (std::is_same_v<T, GgufArray>) {
        return array();
      } else {
        return read<T>();
      }
    });
  }

 private:
  GgufArray array() {
    const auto type = read<std::uint32_t>();
    const auto count = read<std::uint64_t>();
    return of_type<GgufArray>(type, [&]<class Values>() -> GgufArray {
      if constexpr (std::is_same_v<Values, std::monostate>) {
        refuse("an array of numbers, truth values or texts", "an array of arrays");
      } else {
        using T = typename Values::value_type;
        expect(count, std::is_same_v<T, std::string> ? sizeof(std::uint64_t) : sizeof(T), "elements");
        Values values;
        values.reserve(static_cast<std::size_t>(count));
        for (std::uint64_t i = 0; i < count; ++i) values.push_back(read<T>());
        return values;
      }
    });
  }

  /// f.operator()<T>() with the alternative of that number.
  template <class Variant, class F>
  Variant of_type(std::uint32_t type, F f) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      Variant result;
      const bool known =
          ((type == I && (result = f.template operator()<std::variant_alternative_t<I, Variant>>(), true)) || ...);
      if (!known) refuse("a type of value from 0 to 12", fmt::format("{}", type));
      return result;
    }
    (std::make_index_sequence<std::variant_size_v<Variant>>{});
  }

  std::span<const std::byte> file_;
  std::string path_, about_;
  std::size_t position_ = 0;
};

void check_version(Header& header) {
  const auto version = header.read<std::uint32_t>();
  if (version == 2 || version == 3) return;
  const bool swapped = (version & 0xffffu) == 0;
  header.refuse("version 2 or 3, little-endian", swapped ? "a big-endian file" : fmt::format("version {}", version),
                ErrorId::version_unsupported);
}

DType read_dtype(Header& header) {
  const auto number = header.read<std::uint32_t>();
  for (const auto& [known, dtype] : detail::gguf_types) {
    if (known == number) return dtype;
  }
  std::string wanted, found = fmt::format("type {}", number);
  for (const auto& [known, dtype] : detail::gguf_types)
    wanted += fmt::format("{}{}", wanted.empty() ? "" : ", ", to_string(dtype));
  for (const auto& [foreign, name] : detail::gguf_foreign_types) {
    if (foreign == number) found = name;
  }
  header.refuse("one of " + wanted, found, ErrorId::dtype_unsupported);
}

/// The extents of the file, columns first, as a shape.
Shape read_shape(Header& header) {
  const auto rank = header.read<std::uint32_t>();
  if (rank > Shape::max_rank) header.refuse("at most 4 dimensions", fmt::format("{}", rank), ErrorId::rank_unsupported);
  std::array<Index, Shape::max_rank> extents{};
  for (std::uint32_t axis = rank; axis-- > 0;) {
    const auto extent = header.read<std::uint64_t>();
    if (extent > most_bytes) header.refuse("extents below 2^63", fmt::format("{}", extent));
    extents[axis] = static_cast<Index>(extent);
  }
  return Shape(std::span<const Index>(extents).first(rank));
}

TensorInfo read_tensor(Header& header, std::uint64_t alignment) {
  TensorInfo tensor{header.read<std::string>(), DType::f32, {}};
  header.about("tensor", tensor.name);
  tensor.shape = read_shape(header);
  tensor.dtype = read_dtype(header);
  const auto offset = header.read<std::uint64_t>();
  if (offset % alignment != 0 || offset > most_bytes) {
    header.refuse(fmt::format("an offset below 2^63 that is a multiple of {}", alignment), fmt::format("{}", offset));
  }
  tensor.offset = static_cast<std::size_t>(offset);
  const StorageBlock block = storage_block(tensor.dtype);
  const auto columns = static_cast<std::uint64_t>(tensor.shape.cols());
  if (columns % block.numbers != 0) {
    header.refuse(fmt::format("rows of a multiple of {} numbers of {}", block.numbers, to_string(tensor.dtype)),
                  fmt::format("shape {}", to_string(tensor.shape)));
  }
  std::uint64_t bytes = block.bytes;
  for (int axis = 0; axis < tensor.shape.rank(); ++axis) {
    const auto extent = static_cast<std::uint64_t>(std::max<Index>(tensor.shape[axis], 1));  // a 0 hides no overflow
    if (bytes > most_bytes / extent) header.refuse("fewer than 2^63 bytes", "shape " + to_string(tensor.shape));
    bytes *= extent;
  }
  bytes = tensor.shape.size() == 0 ? 0 : bytes / block.numbers;
  tensor.bytes = static_cast<std::size_t>(bytes);
  return tensor;
}

std::uint64_t alignment_of(const GgufMetadata& metadata, Header& header) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return gguf_alignment;
  const auto* const alignment = std::get_if<std::uint32_t>(&found->second);
  if (alignment == nullptr || !std::has_single_bit(*alignment)) {
    header.about("value", found->first);
    header.refuse("a power of 2 as UINT32", alignment == nullptr ? "another type" : fmt::format("{}", *alignment));
  }
  return *alignment;
}

/// The sorted tensors must follow each other, each at the next multiple of the alignment.
void check_coverage(Header& header, const std::vector<TensorInfo>& tensors, std::uint64_t alignment,
                    std::size_t data_bytes) {
  const auto aligned = [alignment](std::uint64_t at) { return (at + alignment - 1) / alignment * alignment; };
  std::uint64_t covered = 0;
  for (const TensorInfo& tensor : tensors) {
    header.about("tensor", tensor.name);
    if (tensor.offset != aligned(covered)) {
      header.refuse(fmt::format("data at offset {}, behind the tensor before it", aligned(covered)),
                    fmt::format("{} at offset {}", tensor.offset < covered ? "an overlap" : "a hole", tensor.offset));
    }
    covered = tensor.offset + tensor.bytes;  // both below 2^63
    if (covered > data_bytes) {
      header.refuse(fmt::format("{} bytes of data", covered), fmt::format("{}", data_bytes), ErrorId::file_truncated);
    }
  }
  if (data_bytes > aligned(covered)) {
    header.refuse(fmt::format("{} bytes of data, this tensor the last", covered), fmt::format("{}", data_bytes));
  }
}

}  // namespace

bool is_gguf(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  if (path.extension() == ".gguf") return true;
  const MappedFile file(path);
  return file.bytes().size() >= magic.size() && std::memcmp(file.bytes().data(), magic.data(), magic.size()) == 0;
}

GgufFile::GgufFile(const std::filesystem::path& path) : path_(path), file_(path) {
  Header header(file_.bytes(), path.string());
  std::array<char, magic.size()> start{};
  header.expect(1, start.size(), "word GGUF at its start");
  for (char& letter : start) letter = static_cast<char>(header.read<std::int8_t>());
  if (std::string_view(start.data(), start.size()) != magic)
    header.refuse("a file that begins with GGUF", "other bytes");
  check_version(header);
  const auto tensors = header.read<std::uint64_t>(), values = header.read<std::uint64_t>();
  for (std::uint64_t i = 0; i < values; ++i) {
    auto name = header.read<std::string>();
    header.about("value", name);
    auto value = header.value();
    if (!metadata_.emplace(std::move(name), std::move(value)).second) header.refuse("every name once", "it twice");
  }
  const std::uint64_t alignment = alignment_of(metadata_, header);
  for (std::uint64_t i = 0; i < tensors; ++i) tensors_.push_back(read_tensor(header, alignment));
  // Empty tensors sort before the one that starts where they stand.
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    header.about("tensor", tensors_[i].name);
    if (!by_name_.emplace(tensors_[i].name, i).second) header.refuse("every name once", "it twice");
  }
  const std::uint64_t start_of_data = (header.position() + alignment - 1) / alignment * alignment;
  data_start_ = static_cast<std::size_t>(std::min<std::uint64_t>(start_of_data, file_.bytes().size()));
  check_coverage(header, tensors_, alignment, file_.bytes().size() - data_start_);
}

const TensorInfo* GgufFile::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

std::span<const std::byte> GgufFile::bytes(const TensorInfo& tensor) const noexcept {
  assert(tensor.offset + tensor.bytes <= file_.bytes().size() - data_start_);
  return file_.bytes().subspan(data_start_ + tensor.offset, tensor.bytes);
}

namespace {

void check_room(const GgufFile& file, const TensorInfo& tensor, std::size_t room) {
  if (room == static_cast<std::size_t>(tensor.shape.size())) return;
  throw Error(ErrorId::shape_mismatch, "GgufFile::read",
              fmt::format("{}: tensor {}", file.path().string(), tensor.name),
              fmt::format("room for shape {}", to_string(tensor.shape)), fmt::format("{} elements", room));
}

}  // namespace

void GgufFile::read(const TensorInfo& tensor, std::span<float> out) const {
  check_room(*this, tensor, out.size());
  read_values(tensor.dtype, bytes(tensor), out);
}

void GgufFile::read(const TensorInfo& tensor, std::span<double> out) const {
  check_room(*this, tensor, out.size());
  read_values(tensor.dtype, bytes(tensor), out);
}

}  // namespace binllm
