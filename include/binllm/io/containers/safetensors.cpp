// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/containers/values.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace binllm {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = sizeof(std::uint64_t);
constexpr std::uint64_t max_header_bytes = 100'000'000;  // the limit of the reference implementation
constexpr int header_depth = 3;                          // {name: {"shape": [...]}}
constexpr std::string_view metadata_key = "__metadata__";
constexpr std::string_view checksum_prefix = "binllm.checksum.";
constexpr std::array known_dtypes{DType::f64, DType::f32, DType::f16, DType::bf16,
                                  DType::i64, DType::i32, DType::u8,  DType::boolean};

/// Throws about one file and, unless empty, one tensor of it.
class Complaint {
 public:
  Complaint(std::string operation, const std::filesystem::path& path, std::string_view tensor = {})
      : operation_(std::move(operation)), argument_(path.string()) {
    // A damaged header may hold a name of any length; a message should not.
    if (!tensor.empty()) argument_ += fmt::format(": tensor {}", tensor.substr(0, 128));
  }
  [[noreturn]] void raise(ErrorId id, std::string wanted, std::string found) const {
    throw Error(id, operation_, argument_, std::move(wanted), std::move(found));
  }
  [[noreturn]] void invalid(std::string wanted, std::string found) const {
    raise(ErrorId::header_invalid, std::move(wanted), std::move(found));
  }

 private:
  std::string operation_, argument_;
};

/// a * b, or nothing where that exceeds what an Index can hold.
std::optional<std::size_t> checked_product(std::size_t a, std::size_t b) {
  constexpr auto limit = static_cast<std::size_t>(std::numeric_limits<Index>::max());
  if (b != 0 && a > limit / b) return std::nullopt;
  return a * b;
}

/// The bytes of `shape` elements of `dtype`, or nothing on overflow.
std::optional<std::size_t> checked_bytes(const Shape& shape, DType dtype) {
  std::optional<std::size_t> bytes = bytes_per_element(dtype);
  for (int axis = 0; axis < shape.rank() && bytes; ++axis) {
    bytes = checked_product(*bytes, static_cast<std::size_t>(shape[axis]));
  }
  return bytes;
}

/// The text between the length and the data, or an error if the file is too short to hold it.
std::string_view header_text(std::span<const std::byte> file, const Complaint& complaint) {
  if (file.size() < length_bytes) {
    complaint.raise(ErrorId::file_truncated, "at least 8 bytes", fmt::format("{} bytes", file.size()));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), length_bytes);
  if (length > max_header_bytes) {
    complaint.invalid(fmt::format("a header of at most {} bytes", max_header_bytes), fmt::format("{} bytes", length));
  }
  if (length > file.size() - length_bytes) {
    complaint.raise(ErrorId::file_truncated, fmt::format("a header of {} bytes", length),
                    fmt::format("{} bytes after the length", file.size() - length_bytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + length_bytes,
                              static_cast<std::size_t>(length));
  if (!text.starts_with('{')) complaint.invalid("a header that starts with {", "another byte or none");
  return text;
}

/// A non-negative integer of the header that an Index can hold.
Index parse_integer(const json& value, std::string_view what, const Complaint& complaint) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<Index>::max()) {
    complaint.invalid(fmt::format("{} of integers from 0 to 2^63 - 1", what), value.dump().substr(0, 64));
  }
  return value.get<Index>();
}

DType parse_dtype(const json& value, const Complaint& complaint) {
  if (!value.is_string()) complaint.invalid("dtype as a string", value.type_name());
  const auto& name = value.get_ref<const std::string&>();
  for (const DType dtype : known_dtypes) {
    if (to_string(dtype) == name) return dtype;
  }
  complaint.raise(ErrorId::dtype_unsupported, "dtype F64, F32, F16, BF16, I64, I32, U8 or BOOL", name.substr(0, 64));
}

Shape parse_shape(const json& value, const Complaint& complaint) {
  if (!value.is_array()) complaint.invalid("shape as an array", value.type_name());
  if (value.size() > Shape::max_rank) {
    complaint.raise(ErrorId::rank_unsupported, "at most 4 dimensions", fmt::format("{}", value.size()));
  }
  std::array<Index, Shape::max_rank> extents{};
  std::transform(value.begin(), value.end(), extents.begin(),
                 [&](const json& extent) { return parse_integer(extent, "shape", complaint); });
  return Shape(std::span<const Index>(extents).first(value.size()));
}

TensorInfo parse_tensor(const std::string& name, const json& entry, const Complaint& complaint) {
  if (!entry.is_object()) complaint.invalid("an object", entry.type_name());
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!entry.contains(key)) complaint.invalid(key, "no such key");
  }
  if (entry.size() != 3) complaint.invalid("no key but dtype, shape and data_offsets", entry.dump().substr(0, 128));

  TensorInfo tensor{name, parse_dtype(entry["dtype"], complaint), parse_shape(entry["shape"], complaint)};
  const json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) {
    complaint.invalid("data_offsets [begin, end]", offsets.dump().substr(0, 64));
  }
  const Index begin = parse_integer(offsets[0], "data_offsets", complaint);
  const Index end = parse_integer(offsets[1], "data_offsets", complaint);
  if (begin > end) complaint.invalid("data_offsets with begin <= end", fmt::format("[{}, {}]", begin, end));
  tensor.offset = static_cast<std::size_t>(begin);
  tensor.bytes = static_cast<std::size_t>(end - begin);

  const auto wanted = checked_bytes(tensor.shape, tensor.dtype);
  if (!wanted) complaint.invalid("a size below 2^63 bytes", fmt::format("shape {}", to_string(tensor.shape)));
  if (*wanted != tensor.bytes) {
    complaint.invalid(
        fmt::format("{} bytes for shape {} of {}", *wanted, to_string(tensor.shape), to_string(tensor.dtype)),
        fmt::format("data_offsets that span {} bytes", tensor.bytes));
  }
  return tensor;
}

std::map<std::string, std::string> parse_metadata(const json& entry, const Complaint& complaint) {
  std::map<std::string, std::string> metadata;
  if (!entry.is_object()) complaint.invalid("__metadata__ as an object", entry.type_name());
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) complaint.invalid("strings in __metadata__", value.type_name());
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

/// The sorted tensors must tile the data section exactly.
void check_coverage(const std::vector<TensorInfo>& tensors, std::size_t data_bytes, const std::filesystem::path& path) {
  std::size_t covered = 0;
  for (const TensorInfo& tensor : tensors) {
    const Complaint complaint("SafetensorsFile", path, tensor.name);
    const std::size_t end = tensor.offset + tensor.bytes;  // both below 2^63
    if (end > data_bytes) {
      complaint.raise(ErrorId::file_truncated, fmt::format("{} bytes of data", end), fmt::format("{}", data_bytes));
    }
    if (tensor.offset != covered) {
      complaint.invalid(
          fmt::format("data at offset {}, where the tensor before it ends", covered),
          fmt::format("{} at offset {}", tensor.offset < covered ? "an overlap" : "a hole", tensor.offset));
    }
    covered = end;
  }
  if (covered != data_bytes) {
    Complaint("SafetensorsFile", path)
        .invalid(fmt::format("{} bytes of data", covered), fmt::format("{}, the last of no tensor", data_bytes));
  }
}

template <class Out>
void read_as(const SafetensorsFile& file, const TensorInfo& tensor, std::span<Out> out) {
  const Complaint complaint("SafetensorsFile::read", file.path(), tensor.name);
  if (out.size() != static_cast<std::size_t>(tensor.shape.size())) {
    complaint.raise(ErrorId::shape_mismatch, fmt::format("room for shape {}", to_string(tensor.shape)),
                    fmt::format("{} elements", out.size()));
  }
  if (!is_floating(tensor.dtype)) {
    complaint.raise(ErrorId::dtype_unsupported, "a floating point tensor", std::string(to_string(tensor.dtype)));
  }
  read_values(tensor.dtype, file.bytes(tensor), out);
}

/// What a checksum is of, beside the bytes.
std::string summed_name(std::string_view name, DType dtype, const Shape& shape) {
  return fmt::format("{} {} {}", name, to_string(dtype), to_string(shape));
}
std::string to_text(std::uint64_t checksum) { return fmt::format("{:016x}", checksum); }

/// Errors: header_invalid unless there is one of every tensor or none at all.
std::map<std::string, std::uint64_t, std::less<>> parse_checksums(const std::map<std::string, std::string>& metadata,
                                                                  const std::vector<TensorInfo>& tensors,
                                                                  const std::filesystem::path& path) {
  std::map<std::string, std::uint64_t, std::less<>> checksums;
  for (auto entry = metadata.lower_bound(std::string(checksum_prefix));
       entry != metadata.end() && entry->first.starts_with(checksum_prefix); ++entry) {
    const auto& [key, text] = *entry;
    const std::string name = key.substr(checksum_prefix.size());
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size() || to_text(value) != text) {
      Complaint("SafetensorsFile", path, name).invalid("a checksum of 16 hexadecimal digits", text.substr(0, 64));
    }
    checksums.emplace(name, value);
  }
  if (checksums.empty()) return checksums;
  for (const TensorInfo& tensor : tensors) {
    if (!checksums.contains(tensor.name)) {
      Complaint("SafetensorsFile", path, tensor.name).invalid("a checksum, as other tensors have", "none");
    }
  }
  if (checksums.size() != tensors.size()) {
    Complaint("SafetensorsFile", path)
        .invalid(fmt::format("checksums of its {} tensors", tensors.size()), fmt::format("{}", checksums.size()));
  }
  return checksums;
}

std::size_t bytes_of(const TensorEntry& tensor) {
  return static_cast<std::size_t>(tensor.shape.size()) * bytes_per_element(tensor.dtype);
}

/// The header of the given tensors, padded so that the data starts at a multiple of 8.
std::string make_header(const std::filesystem::path& path, std::span<const TensorEntry> tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(metadata_key)] = metadata;
  std::set<std::string_view> names{metadata_key};
  std::size_t offset = 0;
  for (const TensorEntry& tensor : tensors) {
    const Complaint complaint("write_safetensors", path, tensor.name);
    const auto bytes = checked_bytes(tensor.shape, tensor.dtype);
    if (!bytes) complaint.invalid("a size below 2^63 bytes", to_string(tensor.shape));
    if (!names.insert(tensor.name).second) complaint.invalid("every name once, and none __metadata__", tensor.name);
    std::vector<Index> extents;
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) extents.push_back(tensor.shape[axis]);
    header.push_back(
        {tensor.name,
         {{"dtype", to_string(tensor.dtype)}, {"shape", extents}, {"data_offsets", {offset, offset + *bytes}}}});
    offset += *bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    Complaint("write_safetensors", path).invalid("names and metadata in UTF-8", "other bytes");
  }
  text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
  if (text.size() > max_header_bytes) {
    Complaint("write_safetensors", path)
        .invalid(fmt::format("a header of at most {} bytes", max_header_bytes), fmt::format("{}", text.size()));
  }
  return text;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const Complaint complaint("SafetensorsFile", path);
  const std::string_view text = header_text(file_.bytes(), complaint);
  const json header =
      detail::parse_json_object(text, header_depth, {ErrorId::header_invalid, "SafetensorsFile", path.string()});
  for (const auto& [name, entry] : header.items()) {
    if (name == metadata_key) {
      metadata_ = parse_metadata(entry, complaint);
    } else {
      tensors_.push_back(parse_tensor(name, entry, Complaint("SafetensorsFile", path, name)));
    }
  }
  // Empty tensors sort before the one that starts where they stand.
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  data_start_ = length_bytes + text.size();
  check_coverage(tensors_, file_.bytes().size() - data_start_, path);
  for (std::size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
  checksums_ = parse_checksums(metadata_, tensors_, path);
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const noexcept {
  assert(tensor.offset + tensor.bytes <= file_.bytes().size() - data_start_);
  return file_.bytes().subspan(data_start_ + tensor.offset, tensor.bytes);
}

void SafetensorsFile::read(const TensorInfo& tensor, std::span<float> out) const { read_as(*this, tensor, out); }
void SafetensorsFile::read(const TensorInfo& tensor, std::span<double> out) const { read_as(*this, tensor, out); }

void SafetensorsFile::verify(const TensorInfo& tensor) const {
  const auto wanted = checksums_.find(tensor.name);
  if (wanted == checksums_.end()) return;
  const std::uint64_t found = checksum_of(summed_name(tensor.name, tensor.dtype, tensor.shape), bytes(tensor));
  if (found == wanted->second) return;
  Complaint("SafetensorsFile", path_, tensor.name)
      .invalid("the checksum " + to_text(wanted->second), to_text(found) + ": the file is damaged");
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorEntry> tensors,
                                     std::map<std::string, std::string> metadata, Checksums checksums)
    : path_(path),
      tensors_(std::move(tensors)),
      metadata_(std::move(metadata)),
      wants_sums_(checksums == Checksums::of_each_tensor),
      file_(path) {
  const std::string text = header();
  const auto length = std::bit_cast<std::array<std::byte, length_bytes>>(static_cast<std::uint64_t>(text.size()));
  file_.write(length);
  file_.write(std::as_bytes(std::span(text)));
  begin_next();
}

/// With sums of zero where they are not known yet; they do not change its length.
std::string SafetensorsWriter::header() const {
  if (!wants_sums_) return make_header(path_, tensors_, metadata_);
  std::map<std::string, std::string> all = metadata_;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    all[std::string(checksum_prefix) + tensors_[i].name] = to_text(i < sums_.size() ? sums_[i] : 0);
  }
  return make_header(path_, tensors_, all);
}

/// Tensors without a byte are done as soon as they begin.
void SafetensorsWriter::begin_next() {
  while (left_ == 0) {
    if (sum_) sums_.push_back(sum_->value());
    sum_.reset();
    if (next_ == tensors_.size()) return;
    const TensorEntry& tensor = tensors_[next_++];
    left_ = bytes_of(tensor);
    if (wants_sums_) sum_.emplace(summed_name(tensor.name, tensor.dtype, tensor.shape), left_);
  }
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      throw Error(ErrorId::shape_mismatch, "SafetensorsWriter", path_.string(), "the bytes of its tensors",
                  fmt::format("{} more", bytes.size()));
    }
    const auto part = bytes.first(std::min(bytes.size(), left_));
    if (sum_) sum_->add(part);
    file_.write(part);
    left_ -= part.size();
    bytes = bytes.subspan(part.size());
    begin_next();
  }
}

void SafetensorsWriter::commit() {
  if (left_ > 0) {
    throw Error(ErrorId::shape_mismatch, "SafetensorsWriter", path_.string(), "the bytes of its tensors",
                fmt::format("{} too few in {}", left_, tensors_[next_ - 1].name));
  }
  if (wants_sums_) {
    const std::string text = header();
    file_.overwrite(length_bytes, std::as_bytes(std::span(text)));
  }
  file_.commit();
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata, Checksums checksums) {
  std::vector<TensorEntry> entries;
  for (const TensorSource& tensor : tensors) {
    if (tensor.data == nullptr && tensor.shape.size() > 0) {
      Complaint("write_safetensors", path, tensor.name).raise(ErrorId::empty_tensor, "data", "a null pointer");
    }
    entries.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  SafetensorsWriter writer(path, entries, metadata, checksums);
  for (const TensorSource& tensor : tensors) {
    const auto bytes = static_cast<std::size_t>(tensor.shape.size()) * bytes_per_element(tensor.dtype);
    writer.append({static_cast<const std::byte*>(tensor.data), bytes});
  }
  writer.commit();
}

}  // namespace binllm
