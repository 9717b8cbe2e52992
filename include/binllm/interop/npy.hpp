// SPDX-License-Identifier: MIT
/// Tensors in NumPy's `.npy` files (numpy.lib.format):
///   "\x93NUMPY", version, length of the header; a Python dictionary of type, order and shape; the numbers.
#pragma once
#include <binllm/core/mapped_memory.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace binllm {

namespace detail {

/// What NumPy calls a type, in the order of bytes that x86 and ARM have.
template <class T>
inline constexpr std::string_view npy_type = {};
template <>
inline constexpr std::string_view npy_type<float> = "<f4";
template <>
inline constexpr std::string_view npy_type<double> = "<f8";
template <>
inline constexpr std::string_view npy_type<std::int32_t> = "<i4";
template <>
inline constexpr std::string_view npy_type<std::int64_t> = "<i8";
template <>
inline constexpr std::string_view npy_type<std::uint8_t> = "|u1";

inline constexpr std::string_view npy_magic = "\x93NUMPY";

/// What the dictionary of a header says.
struct NpyHeader {
  std::string type;
  bool column_major = false;
  std::vector<Index> shape;
};

/// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. Errors: header_invalid.
class NpyDictionary {
 public:
  NpyDictionary(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

  [[nodiscard]] NpyHeader operator()() {
    NpyHeader header;
    unsigned seen = 0;
    expect("{");
    while (!next_is('}')) {
      const std::string key = quoted();
      expect(":");
      const unsigned which = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (which == 0 || (seen & which) != 0) refuse("the keys descr, fortran_order and shape, each once", key);
      seen |= which;
      if (which == 1) header.type = quoted();
      if (which == 2) header.column_major = truth();
      if (which == 4) header.shape = extents();
      if (!next_is('}')) expect(",");
    }
    expect("}");
    skip_blanks();
    if (seen != 7 || !rest_.empty()) refuse("a dictionary of descr, fortran_order and shape", "another");
    return header;
  }

 private:
  [[noreturn]] void refuse(std::string_view wanted, std::string_view found) const {
    throw Error(ErrorId::header_invalid, "load_npy", file_, wanted, found.substr(0, 64));
  }
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }
  [[nodiscard]] bool next_is(char c) {
    skip_blanks();
    return rest_.starts_with(c);
  }
  void expect(std::string_view word) {
    skip_blanks();
    if (!rest_.starts_with(word)) refuse(word, rest_.substr(0, 16));
    rest_.remove_prefix(word.size());
  }
  [[nodiscard]] std::string quoted() {
    skip_blanks();
    const char quote = next_is('"') ? '"' : '\'';
    expect(std::string_view(&quote, 1));
    const std::size_t end = rest_.find(quote);
    if (end == rest_.npos) refuse("a text in quotes", rest_.substr(0, 16));
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }
  [[nodiscard]] bool truth() {
    const bool value = next_is('T');
    expect(value ? "True" : "False");
    return value;
  }
  [[nodiscard]] std::vector<Index> extents() {
    std::vector<Index> extents;
    expect("(");
    while (!next_is(')')) {
      Index extent = 0;
      std::size_t digits = 0;
      for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9' && digits < 18; ++digits) {
        extent = extent * 10 + (rest_.front() - '0');
        rest_.remove_prefix(1);
      }
      if (digits == 0) refuse("extents", rest_.substr(0, 16));
      extents.push_back(extent);
      if (!next_is(')')) expect(",");
    }
    expect(")");
    return extents;
  }

  std::string_view rest_;
  const std::string& file_;
};

}  // namespace detail

/// A type that files of NumPy have: float, double, std::int32_t, std::int64_t, std::uint8_t.
template <class T>
concept NpyNumber = !detail::npy_type<T>.empty() && std::endian::native == std::endian::little;

/// Writes a file that `numpy.load` reads, version 1.0. One that cannot be written whole is removed. Errors: write_failed.
template <class T>
requires NpyNumber<std::remove_const_t<T>>
void save_npy(const std::string& path, View<T> view) {
  std::string shape;
  for (int axis = 0; axis < view.shape.rank(); ++axis) shape += fmt::format("{}, ", view.shape[axis]);
  if (view.shape.rank() > 1) shape.resize(shape.size() - 2);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   detail::npy_type<std::remove_const_t<T>>, shape);
  constexpr std::size_t prefix = 10, alignment = 64;
  header.resize((prefix + header.size() + alignment) / alignment * alignment - prefix - 1, ' ');
  header += '\n';
  std::string begin(detail::npy_magic);
  begin += {'\1', '\0', static_cast<char>(header.size() & 255u), static_cast<char>(header.size() >> 8u)};
  begin += header;

  const auto fail = [&] { throw Error(ErrorId::write_failed, "save_npy", path, "a file", std::strerror(errno)); };
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) fail();
  const auto write = [&](const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t written = ::write(file.get(), data, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        struct stat status {};  // not a device
        if (::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) ::unlink(path.c_str());
        errno = reason;
        fail();
      }
      data += written;
      size -= static_cast<std::size_t>(written);
    }
  };
  write(begin.data(), begin.size());
  write(reinterpret_cast<const char*>(view.data), static_cast<std::size_t>(view.size()) * sizeof(T));
}

/// Reads a file of NumPy with numbers of this very type, in C order. Errors: file_missing, file_unreadable;
/// header_invalid (no .npy file, column by column, more bytes than its shape has), version_unsupported,
/// dtype_unsupported, rank_unsupported, file_truncated; out_of_memory.
template <NpyNumber T>
[[nodiscard]] Tensor<T> load_npy(const std::string& path) {
  const MappedMemory file = MappedMemory::of_file(path);
  const std::string_view all(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const auto refuse = [&](ErrorId id, std::string_view wanted, std::string_view found) {
    throw Error(id, "load_npy", path, wanted, found);
  };
  if (!all.starts_with(detail::npy_magic)) refuse(ErrorId::header_invalid, "a .npy file of NumPy", "another file");
  if (all.size() < 12) refuse(ErrorId::file_truncated, "a header", "its first bytes");
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(all[at])); };
  const std::size_t version = byte(6);
  if (version < 1 || version > 3) refuse(ErrorId::version_unsupported, "version 1, 2 or 3", fmt::format("{}", version));
  const std::size_t begin = version == 1 ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (all.size() - begin < length) refuse(ErrorId::file_truncated, "a whole header", "a part of it");
  const detail::NpyHeader header = detail::NpyDictionary(all.substr(begin, length), path)();
  if (header.type != detail::npy_type<T>)
    refuse(ErrorId::dtype_unsupported, detail::npy_type<T>, std::string_view(header.type).substr(0, 64));
  if (header.column_major)
    refuse(ErrorId::header_invalid, "rows one after the other (numpy.ascontiguousarray)", "fortran_order");
  const Shape shape{std::span<const Index>(header.shape)};
  // Checked by division, so that no product of the file's numbers overflows.
  const std::size_t bytes = all.size() - begin - length;
  std::size_t numbers = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto extent = static_cast<std::size_t>(shape[axis]);
    if (extent > 0 && numbers > std::numeric_limits<std::size_t>::max() / sizeof(T) / extent)
      refuse(ErrorId::file_truncated, fmt::format("numbers of shape {}", to_string(shape)),
             fmt::format("{} bytes", bytes));
    numbers *= extent;
  }
  const std::size_t wanted = numbers * sizeof(T);
  if (bytes != wanted) {
    refuse(bytes < wanted ? ErrorId::file_truncated : ErrorId::header_invalid,
           fmt::format("{} bytes for shape {}", wanted, to_string(shape)), fmt::format("{}", bytes));
  }
  Tensor<T> tensor(shape);
  if (wanted > 0) std::memcpy(tensor.view().data, all.data() + begin + length, wanted);
  return tensor;
}

}  // namespace binllm
