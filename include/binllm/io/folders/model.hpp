// SPDX-License-Identifier: MIT
/// Model folders: config.json, model.safetensors and the tokenizer file. Names of tensors are Hugging Face's.
///   a dense layer       "X.weight"
///   a binarised layer   "X.weight", "X.scale" (S_l), "X.input_scale" (S_t)
///   a packed layer      "X.signs" (one bit a weight, in the layout that config.json names), "X.scale",
///                       and, where there is one, "X.input_scale"
/// Where other programs hold query, key and value in one tensor, dense folders do so too (DecoderNames); others have
/// them one by one.
#pragma once
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/recipe.hpp>
#include <binllm/io/folders/tensors.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/models/families.hpp>
#include <binllm/models/formats.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace binllm {

template <class Model>
struct Pretrained {
  Model model;
  Tokenizer tokenizer;
};

struct SaveOptions {
  const Tokenizer* tokenizer = nullptr;  ///< stored with the model where given
  std::map<std::string, std::string>
      recipe{};  ///< more for config.json, such as "t"; names what is "custom", or that there was no stage 1
  /// A folder whose generation_config.json and foreign keys are kept, and what stands beside its tokenizer where
  /// `tokenizer` is that; or a GGUF file. Of either the chat template.
  std::filesystem::path source{};
};

/// The family and format of a model, for readers of folders that hold one of the caller's own.
template <class Model>
[[nodiscard]] KnownBeside known_of() {
  return {&family_of<typename Model::architecture>, Model::format_type::name};
}

namespace detail {

/// Writes a model folder whose tensors `write_tensors(path)` writes; config.json last.
void write_folder(const std::filesystem::path& folder, ModelDescription description, const SaveOptions& options,
                  const AboutWords& yields, const std::function<void(const std::filesystem::path&)>& write_tensors);

/// A model without memory for its parameters, all of which the loader is known to have in their shapes.
template <class Model>
[[nodiscard]] Model expect_as(TensorLoader& loader, const ModelDescription& description,
                              const typename Model::format_type& format) {
  Model model(description.config, format, Ownership::borrow_first);
  for_each_tensor(model, ExpectTensors{loader});
  if (model.config.tie_word_embeddings) {
    const DecoderNames& names = description.family->names;
    loader.expect_copy(std::string(names.head) + ".weight", std::string(names.embedding) + ".weight");
  }
  loader.check();
  return model;
}

template <class Model>
[[nodiscard]] Model load_as(const std::filesystem::path& folder, const ModelDescription& description,
                            const typename Model::format_type& format) {
  check_family(folder, description, family_of<typename Model::architecture>);
  check_format(folder, description, format);
  TensorLoader loader(folder, description);
  Model model = expect_as<Model>(loader, description, format);
  model.allocate();
  for_each_tensor(model, ReadTensors{loader});
  return model;
}

}  // namespace detail

/// Loads a folder as `Model`, a CausalLm on the host of any family and format; values stored as F64, F32, F16 or BF16
/// become T. Policies that are chosen at run time are those that the folder names; those of a compile-time format must be
/// the folder's. Errors: those of read_config and open_tensors; config_inconsistent (another format or other policies),
/// version_unsupported (layout of a packed model), unknown_name (a policy); tensors_mismatched, which lists all tensors
/// that are missing, not wanted, or of another shape; value_not_finite with file, tensor and index.
template <class Model>
[[nodiscard]] Model load_model(const std::filesystem::path& folder) {
  const ModelDescription description = read_config(folder, known_of<Model>());
  detail::check_format_name(folder, description, Model::format_type::name);
  return detail::load_as<Model>(folder, description, detail::format_of<typename Model::format_type>(description));
}

/// The same with its tokenizer. Errors: also those of load_tokenizer.
template <class Model>
[[nodiscard]] Pretrained<Model> load_pretrained(const std::filesystem::path& folder) {
  Tokenizer tokenizer = load_tokenizer(folder, known_of<Model>());
  return {load_model<Model>(folder), std::move(tokenizer)};
}

/// A model in a format of the caller's. Errors: as load_model.
template <class Model>
[[nodiscard]] Model load_model(const std::filesystem::path& folder, const typename Model::format_type& format) {
  return detail::load_as<Model>(folder, read_config(folder, known_of<Model>()), format);
}

/// Calls f(model) with the model of a folder of any shipped family, in full precision, binary or packed, and returns what
/// f returns (one type for all models). Binary models come with the policies that the folder names, packed ones with the
/// activations asked for. Formats of other methods are AnyModel's. Errors: as load_model.
template <class T, class Activations = Int8Activations, class F>
decltype(auto) with_model(const std::filesystem::path& folder, F&& f) {
  const ModelDescription description = read_config(folder);
  if (!any_type<CommonFormats>([&]<class Format>() { return Format::name == description.format; }))
    detail::check_format_name(folder, description, names_of<CommonFormats>());
  using Result = decltype(f(std::declval<CausalLm<TypeAt<0, ShippedFamilies>, T>>()));
  const auto as = [&]<class A>() -> Result {
    const auto get = [&](const char* key) -> std::string_view { return recipe_entry(description, key); };
    return with_format_named<T, Activations>(description.format, get, [&]<class Format>() -> Result {
      return f(load_model<CausalLm<A, T, Cpu, Format>>(folder));
    });
  };
  return with_family<Result>(*description.family, as);
}

/// Writes a model folder that `load_model` reads back bit for bit (float as F32, double as F64). Each file is replaced
/// whole or not at all, config.json last. Each tensor and config.json get a checksum. The names of the format's policies
/// are stored by themselves. Errors: value_not_finite, before anything is written; write_failed; config_inconsistent (the
/// tokenizer has more tokens than the model); those of write_config.
template <class A, class T, class Format>
void save(const CausalLm<A, T, Cpu, Format>& model, const std::filesystem::path& folder,
          const SaveOptions& options = {}) {
  std::vector<TensorSource> tensors;
  std::vector<Tensor<std::uint8_t>> rows;
  detail::for_each_tensor(model, detail::CollectTensors{tensors, rows});
  detail::check_finite(tensors, folder);
  const ModelDescription description{model.config, std::string(format_name(model.format)),
                                     detail::format_recipe(model.format), &family_of<A>};
  std::vector<std::vector<std::byte>> fused;
  if (description.format == ModelDescription{}.format) tensors = detail::with_fused_rows(description, tensors, fused);
  detail::write_folder(folder, description, options, detail::yielding(model.format),
                       [&](const std::filesystem::path& file) {
                         write_safetensors(file, tensors, {{"format", "pt"}}, Checksums::of_each_tensor);
                       });
}

}  // namespace binllm
