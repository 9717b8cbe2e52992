// SPDX-License-Identifier: MIT
/// Model folders: config.json, model.safetensors and the tokenizer file. Names of tensors are Hugging Face's.
///   a dense layer       "X.weight"
///   a binarised layer   "X.weight", "X.scale" (S_l), "X.input_scale" (S_t)
///   a packed layer      "X.signs" (one bit a weight, in the layout that config.json names), "X.scale",
///                       and, where there is one, "X.input_scale"
#pragma once
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/recipe.hpp>
#include <binllm/io/folders/tensors.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/models/llama.hpp>

#include <filesystem>
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
};

namespace detail {

void write_model(const std::filesystem::path& folder, ModelDescription description,
                 const std::vector<TensorSource>& tensors, const SaveOptions& options);

/// A packed layer has an input scale where the file has one.
template <class T, class Activations>
void make_input_scales(const TensorLoader& loader, Llama<T, Cpu, PackedFormat<Activations>>& model) {
  for_each_leaf(
      "",
      [&](const std::string& name, auto& leaf) {
        if constexpr (!is_parameter<std::remove_cvref_t<decltype(leaf)>>) {
          if (loader.has(beside_weight(name, "input_scale"))) leaf.input_scale = Tensor<T>(Shape{leaf.cols});
        }
      },
      model);
}
template <class Model>
void make_input_scales(const TensorLoader&, Model&) {}

template <class Model>
[[nodiscard]] Model load_as(const std::filesystem::path& folder, const ModelDescription& description,
                            const typename Model::format_type& format) {
  check_format(folder, description, Model::format_type::name, format_recipe(format));
  TensorLoader loader(folder, description.config);
  Model model(description.config, format,
              Ownership::borrow_first);  // shapes first: memory once the file is known to fit
  make_input_scales(loader, model);
  for_each_tensor(model, ExpectTensors{loader});
  if (model.config.tie_word_embeddings) loader.expect_copy("lm_head.weight", "model.embed_tokens.weight");
  loader.check();
  model.allocate();
  for_each_tensor(model, ReadTensors{loader});
  return model;
}

}  // namespace detail

/// Loads a folder as `Model`, a Llama<T, Cpu, Dense | Binary<...> | Packed>; values stored as F64, F32, F16 or BF16
/// become T. The policies of RuntimeBinary are those that the folder names; those of a compile-time format must be the
/// folder's.
/// Errors: those of read_config and SafetensorsFile; config_inconsistent (another format or other policies),
/// version_unsupported (layout of a packed model), unknown_name (a policy); tensors_mismatched, which lists all tensors
/// that are missing, not wanted, or of another shape; value_not_finite with file, tensor and index.
template <class Model>
[[nodiscard]] Model load_model(const std::filesystem::path& folder) {
  const ModelDescription description = read_config(folder);
  detail::check_format(folder, description, Model::format_type::name, {});
  return detail::load_as<Model>(folder, description, detail::FormatOf<typename Model::format_type>::make(description));
}

/// The same with its tokenizer. Errors: also those of load_tokenizer.
template <class Model>
[[nodiscard]] Pretrained<Model> load_pretrained(const std::filesystem::path& folder) {
  Tokenizer tokenizer = load_tokenizer(folder);
  return {load_model<Model>(folder), std::move(tokenizer)};
}

/// A packed model, with activations in eight bits or as they are. Errors: as load_model.
template <class T, class Activations = Int8Activations>
[[nodiscard]] Llama<T, Cpu, PackedFormat<Activations>> load_packed(const std::filesystem::path& folder) {
  return load_model<Llama<T, Cpu, PackedFormat<Activations>>>(folder);
}

/// A binary model in a format of the caller's. Errors: as load_model.
template <class Model>
[[nodiscard]] Model load_binary(const std::filesystem::path& folder, const typename Model::format_type& format) {
  return detail::load_as<Model>(folder, read_config(folder), format);
}

/// Calls f(model) with the model of a folder of any format, and returns what f returns (one type for all models).
/// Binary models come as RuntimeBinary<T, shared or per_linear>, packed ones with the activations asked for.
/// Errors: as load_model.
template <class T, class Activations = Int8Activations, class F>
decltype(auto) with_model(const std::filesystem::path& folder, F&& f) {
  const ModelDescription description = read_config(folder);
  if (description.format == Packed::name) return f(load_packed<T, Activations>(folder));
  if (description.format == Dense::name) return f(load_model<Llama<T, Cpu, Dense>>(folder));
  if (channel_sharing_named(recipe_entry(description, "channel_scale")) == ChannelSharing::per_linear) {
    return f(load_model<Llama<T, Cpu, RuntimeBinary<T, ChannelSharing::per_linear>>>(folder));
  }
  return f(load_model<Llama<T, Cpu, RuntimeBinary<T, ChannelSharing::shared>>>(folder));
}

/// Writes a model folder that `load_model` reads back bit for bit (float as F32, double as F64). Each file is replaced
/// whole or not at all, config.json last. The names of the format's policies are stored by themselves.
/// Errors: write_failed; config_inconsistent (the tokenizer has more tokens than the model); those of write_config.
template <class T, class Format>
void save(const Llama<T, Cpu, Format>& model, const std::filesystem::path& folder, const SaveOptions& options = {}) {
  static_assert(
      requires { detail::format_recipe(model.format); }, "only dense, binary and packed models have a folder format");
  std::vector<TensorSource> tensors;
  std::vector<Tensor<std::uint8_t>> rows;
  detail::for_each_tensor(model, detail::CollectTensors{tensors, rows});
  detail::write_model(folder, {model.config, std::string(Format::name), detail::format_recipe(model.format)}, tensors,
                      options);
}

}  // namespace binllm
