// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/blocks.hpp>
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/containers/values.hpp>
#include <binllm/io/folders/chat_template.hpp>
#include <binllm/io/folders/convert.hpp>
#include <binllm/io/folders/gguf/export.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/model_tensors.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>

namespace binllm {
namespace {

namespace fs = std::filesystem;

/// That of the source, where it has one.
std::optional<Tokenizer> tokenizer_of(const fs::path& from) {
  try {
    return load_tokenizer(from);
  } catch (const Error& error) {
    if (error.id() != ErrorId::file_missing) throw;
    return std::nullopt;
  }
}

/// What a GGUF file says of a model that neither our folders nor our GGUF files keep.
void say_lost_metadata(const fs::path& from, std::vector<std::string>& losses) {
  if (!is_gguf(from)) return;
  const GgufFile file(from);
  std::string names;
  for (const auto& [name, value] : file.metadata()) {
    const bool kept = name == "general.architecture" || name == "general.type" || name == "general.file_type" ||
                      name == "general.alignment" || name == "general.quantization_version";
    const bool lost = (name.starts_with("general.") && !kept) || name.starts_with("tokenizer.chat_template.");
    if (lost) names += (names.empty() ? "" : ", ") + name;
  }
  if (!names.empty()) losses.push_back("metadata: " + names);
}

/// A model folder: names, signs and whole numbers as they are.
class FolderTensors {
 public:
  FolderTensors(const ModelTensors& source, const Family& family, DType type) : source_(&source) {
    for (const ModelTensor& tensor : source.all()) {
      const bool scale = source.find(detail::beside(tensor.name) + "signs") != nullptr;
      const bool matrix = tensor.dtype == DType::f32 && tensor.shape.rank() > 1 && !scale;
      entries_.push_back({tensor.name, matrix ? type : tensor.dtype, tensor.shape});
      if (tensor.sign_cols > 0 || (matrix && is_in_block_linear(family, tensor.name))) {
        const Index columns = tensor.sign_cols > 0 ? tensor.sign_cols : tensor.shape.cols();
        result.block_weights[entries_.back().dtype] += tensor.shape.rows() * columns;
      }
    }
  }
  void write(const fs::path& file) {
    SafetensorsWriter writer(file, entries_, {{"format", "pt"}}, Checksums::of_each_tensor);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const ModelTensor& tensor = source_->all()[i];
      if (tensor.dtype == DType::f32) {
        append(writer, source_->numbers(tensor), entries_[i]);
      } else {
        writer.append(source_->bytes(tensor));
      }
    }
    writer.commit();
  }

  ContainerConversion result;

 private:
  void append(SafetensorsWriter& writer, const std::vector<float>& numbers, const TensorEntry& entry) {
    std::vector<std::byte> stored(numbers.size() * bytes_per_element(entry.dtype));
    std::vector<float> again(numbers.size());
    encode_blocks(entry.dtype, numbers, stored);
    read_values(entry.dtype, stored, std::span(again));
    const auto bad = std::find_if(again.begin(), again.end(), [](float number) { return !std::isfinite(number); });
    if (bad != again.end()) {
      throw Error(ErrorId::value_not_finite, "convert_model", fmt::format("tensor {}", entry.name),
                  fmt::format("numbers that {} can hold", to_string(entry.dtype)),
                  fmt::format("{}", numbers[static_cast<std::size_t>(bad - again.begin())]));
    }
    result.roundings[entry.dtype].add(numbers, again);
    writer.append(stored);
  }

  const ModelTensors* source_;
  std::vector<TensorEntry> entries_;
};

}  // namespace

ContainerConversion convert_model(const fs::path& from, const fs::path& to, const ConvertOptions& options) {
  if (options.type != DType::f32 && options.type != DType::f16 && options.type != DType::bf16) {
    throw Error(ErrorId::option_out_of_range, "convert_model", "type", "F32, F16 or BF16", to_string(options.type));
  }
  std::error_code ignored;
  if (fs::equivalent(from, to, ignored)) {
    throw Error(ErrorId::config_inconsistent, "convert_model", to.string(), "another place than the source",
                "the same");
  }
  check_model_path(from);
  const ModelDescription description = read_config(from);
  const ModelTensors source(from, description);
  const auto tokenizer = tokenizer_of(from);
  ContainerConversion result;
  if (to.extension() == ".gguf") {
    result = detail::export_gguf(source, description, tokenizer ? &*tokenizer : nullptr, chat_template_text(from), to,
                                 options.type);
  } else {
    FolderTensors tensors(source, *description.family, options.type);
    const SaveOptions save{.tokenizer = tokenizer ? &*tokenizer : nullptr, .source = from};
    const auto never = [](auto&&...) { return false; };
    detail::write_folder(to, description, save, never, [&](const fs::path& file) { tensors.write(file); });
    result = std::move(tensors.result);
  }
  say_lost_metadata(from, result.losses);
  return result;
}

}  // namespace binllm
