// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/values.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/tensors.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace binllm::detail {
namespace {

std::string describe(const TensorInfo& tensor) {
  return fmt::format("{} {}", to_string(tensor.dtype), to_string(tensor.shape));
}

/// The first row whose last byte has a bit beyond the columns.
std::optional<Index> row_with_pad_bits(std::span<const std::byte> bytes, const Shape& shape, Index cols) {
  if (cols % 8 == 0) return std::nullopt;
  const auto pad = std::byte{static_cast<unsigned char>(0xff << (cols % 8))};
  for (Index row = 0; row < shape.rows(); ++row) {
    const std::byte last = bytes[static_cast<std::size_t>((row + 1) * shape.cols() - 1)];
    if ((last & pad) != std::byte{0}) return row;
  }
  return std::nullopt;
}

template <class T>
void copy_bytes(std::span<const std::byte> from, View<T> to) {
  if (!from.empty()) std::memcpy(to.data, from.data(), from.size());
}

template <class T>
void check_finite(const TensorFile& file, const std::string& name, std::span<const T> values,
                  const auto& index_in_file) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw Error(ErrorId::value_not_finite, "load_model", fmt::format("{}: tensor {}", file.path().string(), name),
                "finite values", fmt::format("{} at index {}", values[i], index_in_file(static_cast<Index>(i))));
  }
}

/// Whether two tensors of one shape hold equal numbers, 0 and -0 too; a part at a time.
bool equal_values(const TensorFile& file, const TensorInfo& a, const TensorInfo& b) {
  constexpr std::size_t part = 1 << 16;
  const auto count = static_cast<std::size_t>(a.shape.size());
  std::vector<double> left(std::min(part, count)), right(left.size());
  for (std::size_t first = 0; first < count; first += part) {
    const std::size_t length = std::min(part, count - first);
    const auto read_part = [&](const TensorInfo& tensor, std::vector<double>& values) {
      const StorageBlock block = storage_block(tensor.dtype);  // a divisor of `part`
      const std::size_t begin = first / block.numbers * block.bytes, size = length / block.numbers * block.bytes;
      read_values(tensor.dtype, file.bytes(tensor).subspan(begin, size), std::span(values).first(length));
    };
    read_part(a, left);
    read_part(b, right);
    if (!std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(length), right.begin())) return false;
  }
  file.release(a);
  file.release(b);
  return true;
}

/// Numbers in a row of a matrix, in an element of a vector.
Index row_size(const Shape& shape) { return shape.rank() == 1 ? 1 : shape.cols(); }

}  // namespace

std::optional<FusedRows> FusedRows::of(const DecoderNames& names, std::string_view tensor) {
  if (names.query_key_value.empty()) return std::nullopt;
  Index third = 0;
  for (const std::string_view own : {names.query, names.key, names.value}) {
    for (const std::string_view leaf : {"weight", "bias"}) {
      const std::string end = fmt::format(".{}.{}.{}", names.attention, own, leaf);
      if (!tensor.ends_with(end)) continue;
      tensor.remove_suffix(end.size());
      return FusedRows{fmt::format("{}.{}.{}.{}", tensor, names.attention, names.query_key_value, leaf), third};
    }
    ++third;
  }
  return std::nullopt;
}

std::vector<TensorSource> with_fused_rows(const ModelDescription& description, const std::vector<TensorSource>& tensors,
                                          std::vector<std::vector<std::byte>>& memory) {
  const Index head_dim = description.config.head_dim;
  std::vector<TensorSource> result;
  std::map<std::string, std::vector<std::byte>*> made;
  memory.reserve(tensors.size());
  for (const TensorSource& tensor : tensors) {
    const auto fused = FusedRows::of(description.family->names, tensor.name);
    if (!fused) {
      result.push_back(tensor);
      continue;
    }
    const auto head_bytes =
        static_cast<std::size_t>(head_dim * row_size(tensor.shape)) * bytes_per_element(tensor.dtype);
    const Index heads = tensor.shape[0] / head_dim;
    auto& bytes = made[fused->name];
    if (bytes == nullptr) {
      bytes = &memory.emplace_back(3 * static_cast<std::size_t>(heads) * head_bytes);
      result.push_back({fused->name, tensor.dtype, FusedRows::whole(tensor.shape), bytes->data()});
    }
    const auto* const from = static_cast<const std::byte*>(tensor.data);
    for (Index h = 0; h < heads; ++h) {
      const auto to = static_cast<std::size_t>(fused->first(h, head_dim) / head_dim) * head_bytes;
      std::copy_n(from + static_cast<std::size_t>(h) * head_bytes, head_bytes, bytes->data() + to);
    }
  }
  return result;
}

void check_finite(std::span<const TensorSource> tensors, const std::filesystem::path& folder) {
  constexpr std::size_t part = 1 << 16;
  std::vector<double> values(part);
  for (const TensorSource& tensor : tensors) {
    if (!is_floating(tensor.dtype)) continue;
    const std::size_t size = bytes_per_element(tensor.dtype), count = static_cast<std::size_t>(tensor.shape.size());
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(tensor.data), count * size);
    for (std::size_t first = 0; first < count; first += part) {
      const auto some = std::span(values).first(std::min(part, count - first));
      read_values(tensor.dtype, bytes.subspan(first * size, some.size() * size), some);
      const auto bad = std::find_if(some.begin(), some.end(), [](double value) { return !std::isfinite(value); });
      if (bad == some.end()) continue;
      throw Error(ErrorId::value_not_finite, "save", fmt::format("{}: tensor {}", folder.string(), tensor.name),
                  "finite values",
                  fmt::format("{} at index {}", *bad, first + static_cast<std::size_t>(bad - some.begin())));
    }
  }
}

TensorLoader::TensorLoader(const std::filesystem::path& folder, const ModelDescription& description)
    : file_(open_tensors(folder, description)),
      names_(description.family->names),
      head_dim_(description.config.head_dim),
      full_precision_(description.format == ModelDescription{}.format) {
  // The most generous reading of the file: one bit a weight, and shapes that are off by a factor of 8.
  const double bits = 64 * (static_cast<double>(file_->file_bytes()) + 0x1p20);
  const ModelConfig& config = description.config;
  const Index tables = config.vocab_size * config.hidden_size * (config.tie_word_embeddings ? 1 : 2);
  const auto weights = static_cast<double>(block_weight_count(*description.family, config) + tables);
  const auto layers = static_cast<std::size_t>(config.num_hidden_layers);
  if (weights > bits || layers > 1000 + file_->tensors().size()) {
    throw Error(ErrorId::tensors_mismatched, "load_model", file_->path().string(),
                fmt::format("the {:.0f} weights in {} layers of config.json", weights, config.num_hidden_layers),
                fmt::format("{} tensors in a file that cannot hold them", file_->tensors().size()));
  }
}

std::optional<FusedRows> TensorLoader::fused(const std::string& name) const {
  auto rows = FusedRows::of(names_, name);
  if (rows && !has(rows->name) && (has(name) || !full_precision_)) rows.reset();
  return rows;
}

Shape TensorLoader::with_rows_of_file(const std::string& name, const Shape& shape) const {
  const Shape& found = file_->find(name)->shape;
  if (found.rank() != shape.rank() || found.rank() == 0) return shape;
  for (int axis = 1; axis < shape.rank(); ++axis) {
    if (found[axis] != shape[axis]) return shape;
  }
  return found;
}

void TensorLoader::expect_values(const std::string& name, const Shape& shape, DType dtype) {
  if (const auto rows = fused(name)) {
    expected_.push_back({rows->name, FusedRows::whole(shape), 0, dtype});
  } else {
    expected_.push_back({name, shape, 0, dtype});
  }
}

void TensorLoader::expect_signs(const std::string& name, const Shape& shape, Index cols) {
  expected_.push_back({name, shape, cols, DType::u8});
}

void TensorLoader::expect_copy(const std::string& name, const std::string& original) {
  copy_ = name;
  original_ = original;
}

std::string TensorLoader::mismatch(const Expected& expected) const {
  const bool signs = expected.sign_cols > 0;
  const bool whole = !is_floating(expected.dtype);
  const std::string wanted = (whole ? std::string(to_string(expected.dtype)) + " " : "") + to_string(expected.shape);
  const TensorInfo* tensor = file_->find(expected.name);
  if (tensor == nullptr) return fmt::format("{}: wanted {}, found none", expected.name, wanted);
  if (tensor->shape != expected.shape || (whole ? tensor->dtype != expected.dtype : !is_floating(tensor->dtype))) {
    return fmt::format("{}: wanted {}, found {}", expected.name, wanted, describe(*tensor));
  }
  if (!signs) return {};
  const auto row = row_with_pad_bits(file_->bytes(*tensor), tensor->shape, expected.sign_cols);
  if (!row) return {};
  return fmt::format("{}: wanted zero bits after column {}, found others in row {}", expected.name,
                     expected.sign_cols - 1, *row);
}

std::string TensorLoader::unequal_copy() const {
  const TensorInfo* copy = file_->find(copy_);
  const TensorInfo* original = file_->find(original_);
  if (copy == nullptr || original == nullptr) return {};
  const bool comparable = copy->shape == original->shape && is_floating(copy->dtype) && is_floating(original->dtype);
  if (comparable && equal_values(*file_, *copy, *original)) return {};
  return fmt::format("{}: wanted none or the values of {} (tie_word_embeddings), found {} of its own", copy_, original_,
                     describe(*copy));
}

void TensorLoader::check() const {
  std::set<std::string_view> known;
  std::vector<std::string> complaints;
  const auto complain = [&](std::string complaint) {
    if (!complaint.empty()) complaints.push_back(std::move(complaint));
  };
  for (const Expected& expected : expected_) {
    if (known.insert(expected.name).second) complain(mismatch(expected));
  }
  if (!copy_.empty()) {
    known.insert(copy_);
    complain(unequal_copy());
  }
  for (const TensorInfo& tensor : file_->tensors()) {
    if (known.contains(tensor.name) || is_derived(tensor.name)) continue;
    complain(fmt::format("{}: wanted none, found {}", tensor.name, describe(tensor)));
  }
  if (complaints.empty()) return;
  std::string list;
  for (const std::string& complaint : complaints) list += (list.empty() ? "" : "; ") + complaint;
  throw Error(ErrorId::tensors_mismatched, "load_model", file_->path().string(), "the tensors of config.json",
              fmt::format("{} that differ: {}", complaints.size(), list));
}

template <class T>
void TensorLoader::read_numbers(const std::string& name, View<T> to) const {
  const auto rows = fused(name);
  const TensorInfo& tensor = *file_->find(rows ? rows->name : name);
  const std::span<T> values(to.data, static_cast<std::size_t>(to.size()));
  file_->verify(tensor);
  if (!rows) {
    file_->read(tensor, values);
    file_->release(tensor);
    return check_finite<T>(*file_, tensor.name, values, [](Index i) { return i; });
  }
  const Index row = row_size(to.shape), head = head_dim_ * row;
  const std::size_t row_bytes = tensor.bytes / static_cast<std::size_t>(tensor.shape[0]);
  for (Index h = 0; h < to.shape[0] / head_dim_; ++h) {
    const auto bytes = file_->bytes(tensor).subspan(static_cast<std::size_t>(rows->first(h, head_dim_)) * row_bytes,
                                                    static_cast<std::size_t>(head_dim_) * row_bytes);
    read_values(tensor.dtype, bytes,
                values.subspan(static_cast<std::size_t>(h * head), static_cast<std::size_t>(head)));
  }
  file_->release(tensor);
  check_finite<T>(*file_, tensor.name, values,
                  [&](Index i) { return rows->first(i / head, head_dim_) * row + i % head; });
}
void TensorLoader::read(const std::string& name, View<float> to) const { read_numbers(name, to); }
void TensorLoader::read(const std::string& name, View<double> to) const { read_numbers(name, to); }
void TensorLoader::read(const std::string& name, View<std::uint8_t> to) const {
  read_bytes(name, [&](std::span<const std::byte> bytes) { copy_bytes(bytes, to); });
}
void TensorLoader::read(const std::string& name, View<std::int32_t> to) const {
  read_bytes(name, [&](std::span<const std::byte> bytes) { copy_bytes(bytes, to); });
}

}  // namespace binllm::detail
