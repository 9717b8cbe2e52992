// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/writer.hpp>
#include <binllm/io/folders/gguf/config.hpp>
#include <binllm/io/folders/gguf/export.hpp>
#include <binllm/io/folders/gguf/names.hpp>
#include <binllm/io/folders/gguf/rotary_pairs.hpp>
#include <binllm/io/folders/gguf/tokenizer.hpp>
#include <binllm/packed/sign_row.hpp>

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

/// A tensor of the file and what it is made of: numbers, or signs, scales of their rows and maybe of their columns.
struct Plan {
  TensorInfo tensor;
  const ModelTensor* numbers = nullptr;
  const ModelTensor *signs = nullptr, *scale = nullptr, *input_scale = nullptr;
  Index heads = 0;  ///< whose rows are reordered
};

class Exporter {
 public:
  Exporter(const ModelTensors& source, const ModelDescription& description, DType type)
      : source_(source), description_(description), names_(*description.family), type_(type) {
    for (const ModelTensor& tensor : source.all()) add(tensor);
  }

  ContainerConversion write(const std::filesystem::path& to, const Tokenizer* tokenizer) {
    GgufMetadata metadata = gguf_config(description_);
    add_tokenizer(metadata, tokenizer);
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
    for (const Plan& plan : plans_) writer.write(numbers_of(plan));
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
    Plan plan{{name_of(signs == &tensor ? prefix + "weight" : tensor.name), DType::f32, tensor.shape}};
    if (signs == &tensor) {
      plan.signs = &tensor;
      plan.scale = source_.find(prefix + "scale");
      plan.input_scale = source_.find(prefix + "input_scale");
      plan.tensor.shape = Shape{tensor.shape[0], tensor.sign_cols};
      plan.tensor.dtype = type_of_signs(plan);
    } else {
      plan.numbers = &tensor;
      if (tensor.shape.rank() > 1) plan.tensor.dtype = type_;
    }
    if (plan.signs != nullptr || (tensor.shape.rank() > 1 && is_in_block_linear(*description_.family, tensor.name))) {
      result_.block_weights[plan.tensor.dtype] += plan.tensor.shape.size();
    }
    if (description_.family->gguf.rotary_pairs) plan.heads = rotary_heads(plan.tensor.name, description_.config);
    plans_.push_back(std::move(plan));
  }

  [[nodiscard]] std::string name_of(const std::string& of_family) const {
    if (auto name = names_.in_gguf(of_family)) return std::move(*name);
    throw Error(ErrorId::config_inconsistent, "convert_model", of_family, "a tensor that GGUF has a name for", "none");
  }

  static DType type_of_signs(const Plan& plan) {
    const auto rows_of = [&](Index numbers) { return plan.tensor.shape.cols() % numbers == 0; };
    if (plan.input_scale == nullptr && rows_of(128)) return DType::q1_0;
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
    if (tokenizer == nullptr) {
      result_.losses.push_back("the tokenizer: the source has none");
      return;
    }
    result_.losses = add_gguf_tokenizer(metadata, *tokenizer, config.vocab_size);
    // Where both know an end, the model's counts.
    for (auto& [name, value] : gguf_config(description_)) {
      if (name.starts_with("tokenizer.")) metadata.insert_or_assign(name, value);
    }
    if (config.eos_token_ids.size() > 1) {
      result_.losses.push_back(fmt::format("end tokens: GGUF has one, {} of {} are left out",
                                           config.eos_token_ids.size() - 1, config.eos_token_ids.size()));
    }
  }

  [[nodiscard]] std::vector<float> numbers_of(const Plan& plan) const {
    std::vector<float> numbers = plan.numbers != nullptr ? source_.numbers(*plan.numbers) : weights_of(plan);
    if (plan.heads > 0) reorder_rotary_rows(std::span(numbers), plan.heads, description_.config.head_dim, true);
    return numbers;
  }

  /// W_b[i,j] = scale[i] (+-1) input_scale[j]
  [[nodiscard]] std::vector<float> weights_of(const Plan& plan) const {
    const std::vector<std::byte> signs = source_.bytes(*plan.signs);
    const std::vector<float> scale = source_.numbers(*plan.scale);
    const std::vector<float> input =
        plan.input_scale != nullptr ? source_.numbers(*plan.input_scale) : std::vector<float>{};
    const Index rows = plan.tensor.shape[0], cols = plan.tensor.shape.cols();
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
  GgufNames names_;
  DType type_;
  std::vector<Plan> plans_;
  ContainerConversion result_;
};

}  // namespace

ContainerConversion export_gguf(const ModelTensors& source, const ModelDescription& description,
                                const Tokenizer* tokenizer, const std::filesystem::path& to, DType type) {
  return Exporter(source, description, type).write(to, tokenizer);
}

}  // namespace binllm::detail
