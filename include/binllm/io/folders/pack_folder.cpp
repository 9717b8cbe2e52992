// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/pack_folder.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace binllm {
namespace {

namespace fs = std::filesystem;

/// Visitor of for_each_tensor: names and shapes in the model's order.
struct ListTensors {
  std::vector<TensorEntry>& tensors;
  template <class T>
  void values(const std::string& name, View<T> view) const {
    tensors.push_back({name, DType::f32, view.shape});
  }
};

/// What a tensor of the source becomes.
class PackedTensor {
 public:
  PackedTensor(const Family& family, const TensorEntry& source)
      : source_(source), packs_(source.name.ends_with(".weight") && is_in_block_linear(family, source.name)) {}

  void add_entries(std::vector<TensorEntry>& entries) const {
    if (!packs_) return entries.push_back(source_);
    const std::string prefix = detail::beside(source_.name);
    const Index rows = source_.shape.rows();
    entries.push_back({prefix + "signs", DType::u8, {rows, sign_row_bytes(source_.shape.cols())}});
    entries.push_back({prefix + "scale", DType::f32, {rows}});
  }
  void write(const detail::TensorLoader& loader, SafetensorsWriter& writer) const {
    Tensor<float> values(source_.shape);
    loader.read(source_.name, values.view());
    if (!packs_) return append(writer, values.view());
    const Index rows = source_.shape.rows(), row_bytes = sign_row_bytes(source_.shape.cols());
    Tensor<std::uint8_t> signs(Shape{rows, row_bytes});
    Tensor<float> scale(Shape{rows});
    for (Index i = 0; i < rows; ++i) {
      const auto row = values.view().row(i);
      pack_row(View<const float>(row.data(), Shape{row.size()}), signs.view().data + i * row_bytes);
      scale.view().data[i] = static_cast<float>(row.template cast<double>().abs().mean());
    }
    append(writer, signs.view());
    append(writer, scale.view());
  }

 private:
  template <class T>
  static void append(SafetensorsWriter& writer, View<T> view) {
    writer.append(std::as_bytes(std::span(view.data, static_cast<std::size_t>(view.size()))));
  }

  TensorEntry source_;
  bool packs_;
};

/// That of a folder, where it has one.
std::optional<Tokenizer> tokenizer_of(const fs::path& folder) {
  try {
    return load_tokenizer(folder);
  } catch (const Error& error) {
    if (error.id() != ErrorId::file_missing) throw;
    return std::nullopt;
  }
}

}  // namespace

void pack_folder(const fs::path& from, const fs::path& to) {
  check_model_path(from);
  ModelDescription description = read_config(from);
  detail::check_format_name(from, description, FullPrecisionFormat::name);
  std::error_code ignored;
  if (fs::equivalent(from, to, ignored)) {
    throw Error(ErrorId::config_inconsistent, "pack_folder", to.string(), "another folder than the source", "the same");
  }
  detail::TensorLoader loader(from, description);
  std::vector<TensorEntry> sources, entries;
  with_family<void>(*description.family, [&]<class A>() {
    const auto model = detail::expect_as<CausalLm<A, float>>(loader, description, FullPrecisionFormat{});
    detail::for_each_tensor(model, ListTensors{sources});
  });
  std::vector<PackedTensor> tensors;
  for (const TensorEntry& source : sources) {
    tensors.emplace_back(*description.family, source).add_entries(entries);
  }
  description.format = OneBitFormat::name;
  description.recipe.merge(detail::format_recipe(OneBitFormat{}));
  const auto tokenizer = tokenizer_of(from);
  const SaveOptions options{.tokenizer = tokenizer ? &*tokenizer : nullptr, .source = from};
  detail::write_folder(to, description, options, detail::yielding(OneBitFormat{}), [&](const fs::path& file) {
    SafetensorsWriter writer(file, entries, {{"format", "pt"}}, Checksums::of_each_tensor);
    for (const PackedTensor& tensor : tensors) tensor.write(loader, writer);
    writer.commit();
  });
}

}  // namespace binllm
