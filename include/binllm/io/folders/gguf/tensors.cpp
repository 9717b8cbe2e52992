// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/gguf/names.hpp>
#include <binllm/io/folders/gguf/rotary_pairs.hpp>
#include <binllm/io/folders/gguf/tensors.hpp>

#include <utility>

namespace binllm {
namespace {

/// What configurations say already: the factors of the scaling llama3.
bool is_derived_in_gguf(std::string_view name) { return name == "rope_freqs.weight"; }

[[noreturn]] void refuse_rows(const GgufFile& file, const TensorInfo& tensor, Index rows) {
  throw Error(ErrorId::shape_mismatch, "open_tensors", fmt::format("{}: tensor {}", file.path().string(), tensor.name),
              fmt::format("{} rows, those of its heads", rows), to_string(tensor.shape));
}

Index rows_of(const TensorInfo& tensor) { return tensor.shape.rank() == 0 ? 1 : tensor.shape[0]; }

}  // namespace

GgufModelTensors::GgufModelTensors(const std::filesystem::path& path, const ModelDescription& description)
    : file_(path), head_dim_(description.config.head_dim) {
  for (const TensorInfo& tensor : file_.tensors()) {
    if (is_derived_in_gguf(tensor.name)) continue;
    const auto parts = detail::fused_parts(tensor.name, description.config);
    if (parts.empty()) {
      add(tensor, description);
      continue;
    }
    Index rows = 0;
    for (const auto& part : parts) rows += part.rows;
    if (rows_of(tensor) != rows) refuse_rows(file_, tensor, rows);
    TensorInfo own = tensor;
    for (const auto& part : parts) {
      own.name = part.name;
      own.shape = tensor.shape.rank() == 1 ? Shape{part.rows} : Shape{part.rows, tensor.shape.cols()};
      own.bytes = tensor.bytes / static_cast<std::size_t>(rows) * static_cast<std::size_t>(part.rows);
      add(own, description);
      own.offset += own.bytes;
    }
  }
}

void GgufModelTensors::add(TensorInfo tensor, const ModelDescription& description) {
  const detail::GgufNames names(*description.family);
  const Index heads = description.family->gguf.rotary_pairs ? detail::rotary_heads(tensor.name, description.config) : 0;
  if (heads > 0 && rows_of(tensor) != heads * head_dim_) refuse_rows(file_, tensor, heads * head_dim_);
  if (auto name = names.of_family(tensor.name)) tensor.name = std::move(*name);
  if (!by_name_.emplace(tensor.name, tensors_.size()).second) {
    throw Error(ErrorId::tensors_mismatched, "open_tensors", file_.path().string(),
                fmt::format("one tensor for {}", tensor.name), "two");
  }
  tensors_.push_back(std::move(tensor));
  heads_.push_back(heads);
}

const TensorInfo* GgufModelTensors::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

template <class T>
void GgufModelTensors::read_as(const TensorInfo& tensor, std::span<T> out) const {
  file_.read(tensor, out);
  const Index heads = heads_[by_name_.find(tensor.name)->second];
  if (heads > 0) detail::reorder_rotary_rows(out, heads, head_dim_, false);
}

}  // namespace binllm
