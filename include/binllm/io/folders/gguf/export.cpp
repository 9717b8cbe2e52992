// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/writer.hpp>
#include <binllm/io/folders/gguf/config.hpp>
#include <binllm/io/folders/gguf/export.hpp>
#include <binllm/io/folders/gguf/names.hpp>
#include <binllm/io/folders/gguf/rotary_pairs.hpp>
#include <binllm/io/folders/gguf/tokenizer.hpp>
#include <binllm/packed/sign_row.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::detail {
namespace {

/// llama_ftype of llama.h: what most matrices are.
constexpr std::pair<DType, std::uint32_t> file_types[] = {
    {DType::q1_0, 40}, {DType::q4_0, 2}, {DType::bf16, 32}, {DType::f16, 1}, {DType::f32, 0}};

/// What some rows of a tensor of the file are made of: numbers, or signs, scales of their rows and maybe of their columns.
struct Part {
  Shape shape;
  const ModelTensor* numbers = nullptr;
  const ModelTensor *signs = nullptr, *scale = nullptr, *input_scale = nullptr;
  Index heads = 0;  ///< whose rows are reordered
};
struct Plan {
  TensorInfo tensor;
  std::vector<Part> parts;  ///< one below the other
};

/// Of two types of signs the one with more bits.
DType wider(DType a, DType b) {
  const auto bits = [](DType dtype) {
    const StorageBlock block = storage_block(dtype);
    return static_cast<double>(block.bytes) / static_cast<double>(block.numbers);
  };
  return bits(a) < bits(b) ? b : a;
}

class Exporter {
 public:
  Exporter(const ModelTensors& source, const ModelDescription& description, DType type)
      : source_(source),
        description_(description),
        config_(gguf_config(description)),
        names_(*description.family),
        type_(type) {
    for (const ModelTensor& tensor : source.all()) add(tensor);
    count_block_weights();
  }

  ContainerConversion write(const std::filesystem::path& to, const Tokenizer* tokenizer,
                            const std::optional<std::string>& chat_template) {
    GgufMetadata metadata = config_;
    add_tokenizer(metadata, tokenizer);
    if (chat_template) metadata.emplace("tokenizer.chat_template", *chat_template);
    metadata.emplace("general.name", to.stem().string());
    metadata.emplace("general.quantization_version", std::uint32_t{2});
    metadata.emplace("general.file_type", file_type());
    std::vector<TensorInfo> tensors;
    for (const Plan& plan : plans_) tensors.push_back(plan.tensor);
    const std::vector<float> factors = rotary_factors(description_.config);
    if (!factors.empty()) {
      tensors.push_back({"rope_freqs.weight", DType::f32, Shape{static_cast<Index>(factors.size())}});
    }
    GgufWriter writer(to, metadata, std::move(tensors));
    for (const Plan& plan : plans_) {
      for (const Part& part : plan.parts) writer.write(numbers_of(part));
    }
    writer.write(factors);
    writer.commit();
    result_.roundings = writer.roundings();
    return std::move(result_);
  }

 private:
  void add(const ModelTensor& tensor) {
    const std::string prefix = beside(tensor.name), leaf = tensor.name.substr(prefix.size());
    const ModelTensor* const signs = source_.find(prefix + "signs");
    if (signs != nullptr && &tensor != signs && leaf != "bias") return;  // its scales, which go with them
    if (signs == nullptr && leaf != "weight" && leaf != "bias") {
      throw Error(ErrorId::config_inconsistent, "convert_model", "format",
                  "a full-precision or a packed model for GGUF", description_.format);
    }
    std::string name = name_of(signs == &tensor ? prefix + "weight" : tensor.name);
    Part part{tensor.shape};
    DType type = tensor.shape.rank() > 1 ? type_ : DType::f32;
    if (signs == &tensor) {
      part = {Shape{tensor.shape[0], tensor.sign_cols}, nullptr, &tensor, source_.find(prefix + "scale"),
              source_.find(prefix + "input_scale")};
      type = type_of_signs(part);
    } else {
      part.numbers = &tensor;
    }
    if (description_.family->gguf.rotary_pairs) part.heads = rotary_heads(name, description_.config);
    if (description_.family->gguf.fused_qkv) name = fused_name(name).value_or(name);
    put(std::move(name), type, part);
  }

  /// A tensor of its own, or below what has the name.
  void put(std::string name, DType type, const Part& part) {
    const auto same = [&](const Plan& plan) { return plan.tensor.name == name; };
    const auto found = std::find_if(plans_.begin(), plans_.end(), same);
    if (found == plans_.end()) {
      plans_.push_back({{std::move(name), type, part.shape}, {part}});
      return;
    }
    const Index rows = found->tensor.shape[0] + part.shape[0];
    found->tensor.shape = part.shape.rank() == 1 ? Shape{rows} : Shape{rows, part.shape.cols()};
    found->tensor.dtype = wider(found->tensor.dtype, type);
    found->parts.push_back(part);
  }

  void count_block_weights() {
    for (const auto& [tensor, parts] : plans_) {
      const auto name =
          names_.of_family(parts.size() > 1 ? fused_parts(tensor.name, description_.config)[0].name : tensor.name);
      if (tensor.shape.rank() > 1 && name && is_in_block_linear(*description_.family, *name)) {
        result_.block_weights[tensor.dtype] += tensor.shape.size();
      }
    }
  }

  [[nodiscard]] std::string name_of(const std::string& of_family) const {
    if (auto name = names_.in_gguf(of_family)) return std::move(*name);
    throw Error(ErrorId::config_inconsistent, "convert_model", of_family, "a tensor that GGUF has a name for", "none");
  }

  static DType type_of_signs(const Part& part) {
    const auto rows_of = [&](Index numbers) { return part.shape.cols() % numbers == 0; };
    if (part.input_scale == nullptr && rows_of(128)) return DType::q1_0;
    return rows_of(32) ? DType::q4_0 : DType::f16;
  }

  [[nodiscard]] std::uint32_t file_type() const {
    for (const auto& [dtype, number] : file_types) {
      if (result_.block_weights.contains(dtype)) return number;
    }
    return 0;
  }

  void add_tokenizer(GgufMetadata& metadata, const Tokenizer* tokenizer) {
    const auto& config = description_.config;
    result_.losses = add_gguf_tokenizer(metadata, tokenizer, config.vocab_size);
    // Where both know an end, the model's counts.
    for (const auto& [name, value] : config_) {
      if (name.starts_with("tokenizer.")) metadata.insert_or_assign(name, value);
    }
    if (config.eos_token_ids.size() > 1) {
      result_.losses.push_back(fmt::format("end tokens: GGUF has one, {} of {} are left out",
                                           config.eos_token_ids.size() - 1, config.eos_token_ids.size()));
    }
  }

  [[nodiscard]] std::vector<float> numbers_of(const Part& part) const {
    std::vector<float> numbers = part.numbers != nullptr ? source_.numbers(*part.numbers) : weights_of(part);
    if (part.heads > 0) reorder_rotary_rows(std::span(numbers), part.heads, description_.config.head_dim, true);
    return numbers;
  }

  /// W_b[i,j] = scale[i] (+-1) input_scale[j]
  [[nodiscard]] std::vector<float> weights_of(const Part& part) const {
    const std::vector<std::byte> signs = source_.bytes(*part.signs);
    const std::vector<float> scale = source_.numbers(*part.scale);
    const std::vector<float> input =
        part.input_scale != nullptr ? source_.numbers(*part.input_scale) : std::vector<float>{};
    const Index rows = part.shape[0], cols = part.shape.cols();
    std::vector<float> weights(static_cast<std::size_t>(rows * cols));
    for (Index i = 0; i < rows; ++i) {
      float* const row = weights.data() + i * cols;
      const auto* const bits = reinterpret_cast<const std::uint8_t*>(signs.data()) + i * sign_row_bytes(cols);
      unpack_row(bits, View<float>(row, Shape{cols}));
      for (Index j = 0; j < cols; ++j) {
        row[j] *= scale[static_cast<std::size_t>(i)];
        if (!input.empty()) row[j] *= input[static_cast<std::size_t>(j)];
      }
    }
    return weights;
  }

  const ModelTensors& source_;
  const ModelDescription& description_;
  GgufMetadata config_;
  GgufNames names_;
  DType type_;
  std::vector<Plan> plans_;
  ContainerConversion result_;
};

}  // namespace

ContainerConversion export_gguf(const ModelTensors& source, const ModelDescription& description,
                                const Tokenizer* tokenizer, const std::optional<std::string>& chat_template,
                                const std::filesystem::path& to, DType type) {
  return Exporter(source, description, type).write(to, tokenizer, chat_template);
}

}  // namespace binllm::detail
