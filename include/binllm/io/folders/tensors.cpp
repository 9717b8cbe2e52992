// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/values.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/tensors.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
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
void read_finite(const TensorFile& file, const std::string& name, View<T> to) {
  const TensorInfo& tensor = *file.find(name);
  file.verify(tensor);
  file.read(tensor, std::span(to.data, static_cast<std::size_t>(to.size())));
  file.release(tensor);
  for (Index i = 0; i < to.size(); ++i) {
    if (std::isfinite(to.data[i])) continue;
    throw Error(ErrorId::value_not_finite, "load_model", fmt::format("{}: tensor {}", file.path().string(), name),
                "finite values", fmt::format("{} at index {}", to.data[i], i));
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

}  // namespace

TensorLoader::TensorLoader(const std::filesystem::path& folder, const ModelDescription& description)
    : file_(open_tensors(folder, description)) {
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

void TensorLoader::expect_values(const std::string& name, const Shape& shape, DType dtype) {
  expected_.push_back({name, shape, 0, dtype});
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
    known.insert(expected.name);
    complain(mismatch(expected));
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
  for (const std::string& complaint : complaints) list += "\n  " + complaint;
  throw Error(ErrorId::tensors_mismatched, "load_model", file_->path().string(), "the tensors of config.json",
              fmt::format("{} that differ:{}", complaints.size(), list));
}

void TensorLoader::read(const std::string& name, View<float> to) const { read_finite(*file_, name, to); }
void TensorLoader::read(const std::string& name, View<double> to) const { read_finite(*file_, name, to); }
void TensorLoader::read(const std::string& name, View<std::uint8_t> to) const {
  read_bytes(name, [&](std::span<const std::byte> bytes) { copy_bytes(bytes, to); });
}
void TensorLoader::read(const std::string& name, View<std::int32_t> to) const {
  read_bytes(name, [&](std::span<const std::byte> bytes) { copy_bytes(bytes, to); });
}

}  // namespace binllm::detail
