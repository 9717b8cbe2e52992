// SPDX-License-Identifier: MIT
/// What stands behind AnyModel: an interface, and one template that implements it for every type of model by calling
/// the functions that programs call who know their types. Included by the sources of binllm::any alone.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/infer/generate.hpp>
#include <binllm/io/any/any_model.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/train/pretrain.hpp>

#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

namespace binllm {

struct AnyModel::Interface {
  using Made = std::unique_ptr<Interface>;

  virtual ~Interface() = default;
  [[nodiscard]] virtual const LlamaConfig& config() const = 0;
  [[nodiscard]] virtual std::string_view format() const = 0;
  [[nodiscard]] virtual Index parameters() const = 0;
  [[nodiscard]] virtual Perplexity evaluate(const TokenStream&, const PerplexityOptions&) = 0;
  /// `last` says that the model is used no more.
  [[nodiscard]] virtual GenerationReport generate(const Tokenizer&, const std::vector<std::string>& prompts,
                                                  const GenerateOptions&, TextReceiver*, bool last) = 0;
  virtual void save(const std::filesystem::path&, const SaveOptions&) const = 0;

  // What a format does not have, it refuses.
  virtual double pretrain(const TokenStream&, const TrainingOptions&, const TokenStream*, RunLog*) {
    refuse("pretrain", "a full-precision model");
  }
  [[nodiscard]] virtual Made binarize(const RecipeNames&) const { refuse("binarize", "a full-precision model"); }
  virtual std::pair<double, double> search_channel_scale(const TokenStream&, const ChannelScaleOptions&, RunLog*) {
    refuse("search_channel_scale", "a binary model");
  }
  virtual double train_progressively(const TokenStream&, const ProgressiveOptions&, const TokenStream*, RunLog*) {
    refuse("train_progressively", "a binary model");
  }
  [[nodiscard]] virtual Made pack(const std::string& /*activations*/) const { refuse("pack", "a binary model"); }

 private:
  [[noreturn]] void refuse(std::string_view operation, std::string_view wanted) const {
    throw Error(ErrorId::config_inconsistent, operation, "model", wanted, std::string(format()));
  }
};

namespace detail {

template <ChannelSharing sharing>
using AnyBinary = RuntimeBinary<float, sharing>;
template <class Activations>
using HostPacked = Llama<float, Cpu, PackedFormat<Activations>>;

/// Every type of model that a folder is read into: the one list.
using HostModel = std::variant<Llama<float>, Llama<float, Cpu, AnyBinary<ChannelSharing::shared>>,
                               Llama<float, Cpu, AnyBinary<ChannelSharing::per_linear>>, HostPacked<Int8Activations>,
                               HostPacked<FloatActivations>>;

/// The model where it computes.
[[nodiscard]] AnyModel::Interface::Made on_cpu(HostModel&& model);
/// Errors: device_missing in a program without CUDA.
[[nodiscard]] AnyModel::Interface::Made on_gpu(HostModel&& model, Precision precision);

/// The policies by name as a format. Errors: unknown_name, option_out_of_range.
template <ChannelSharing sharing>
[[nodiscard]] AnyBinary<sharing> format_of(const RecipeNames& names) {
  const RecipeNames all = names.completed();
  return {RuntimeEstimator<float>::named(all.estimator), RuntimeScale<float>::named(all.scale, all.granularity),
          RuntimeSchedule::named(all.schedule)};
}
/// Calls f(format); without channel scales there is nothing to share. Errors: as above.
template <class F>
decltype(auto) with_format_of(const RecipeNames& names, F&& f) {
  if (channel_sharing_named(names.channel_scale) == ChannelSharing::per_linear)
    return f(format_of<ChannelSharing::per_linear>(names));
  return f(format_of<ChannelSharing::shared>(names));
}

/// Errors: option_out_of_range.
[[nodiscard]] inline bool wants_float(const std::string& activations, bool otherwise) {
  if (activations.empty()) return otherwise;
  if (activations == FloatActivations::name || activations == Int8Activations::name)
    return activations == FloatActivations::name;
  throw Error(ErrorId::option_out_of_range, "AnyModel", "activations", "int8 or float", activations);
}

/// The decoder takes the model, so that it need not keep two vocabularies.
template <class D>
[[nodiscard]] GenerationReport continue_prompts(D&& decoder, const Tokenizer& tokenizer,
                                                const std::vector<std::vector<std::int32_t>>& ids,
                                                const GenerateOptions& options, TextReceiver* receiver) {
  auto texts = generate_texts(decoder, tokenizer, ids, options, receiver);
  return {std::move(texts), decoder.memory()};
}

template <class Model>
class ModelOf : public AnyModel::Interface {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Format = typename Model::format_type;
  static constexpr bool on_host = std::is_same_v<Device, Cpu>;

  explicit ModelOf(Model&& model) : model_(std::move(model)) {}

  const LlamaConfig& config() const override { return model_.config; }
  std::string_view format() const override { return Format::name; }
  Index parameters() const override { return parameter_count(model_); }
  Perplexity evaluate(const TokenStream& stream, const PerplexityOptions& options) override {
    return evaluate_perplexity(model_, stream, options);
  }
  GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                            const GenerateOptions& options, TextReceiver* receiver, bool last) override {
    using Decoder = binllm::Decoder<T, Device, Format>;
    std::vector<std::vector<std::int32_t>> ids;
    for (const std::string& prompt : prompts) ids.push_back(encode_prompt(tokenizer, prompt));
    const DecoderOptions chosen = decoder_options(model_.config, ids, options);
    if (last) return continue_prompts(Decoder(std::move(model_), chosen), tokenizer, ids, options, receiver);
    return continue_prompts(Decoder(model_, chosen), tokenizer, ids, options, receiver);
  }
  void save(const std::filesystem::path& folder, const SaveOptions& options) const override {
    with_host_model([&](const auto& model) { binllm::save(model, folder, options); });
  }

  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation,
                  RunLog* log) override {
    if constexpr (requires { binllm::pretrain(model_, corpus, options, validation, log); })
      return binllm::pretrain(model_, corpus, options, validation, log);
    else
      return Interface::pretrain(corpus, options, validation, log);
  }
  Made binarize(const RecipeNames& recipe) const override {
    if constexpr (requires { binllm::binarize(model_, format_of<ChannelSharing::shared>(recipe)); }) {
      return with_format_of(recipe, [&](const auto& format) -> Made { return made(binllm::binarize(model_, format)); });
    } else {
      return Interface::binarize(recipe);
    }
  }
  std::pair<double, double> search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                 RunLog* log) override {
    if constexpr (requires { binllm::search_channel_scale(model_, corpus, options, log); })
      return binllm::search_channel_scale(model_, corpus, options, log);
    else
      return Interface::search_channel_scale(corpus, options, log);
  }
  double train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                             const TokenStream* validation, RunLog* log) override {
    if constexpr (requires { binllm::train_progressively(model_, corpus, options, validation, log); })
      return binllm::train_progressively(model_, corpus, options, validation, log);
    else
      return Interface::train_progressively(corpus, options, validation, log);
  }
  Made pack(const std::string& activations) const override;

 private:
  template <class Other>
  [[nodiscard]] static Made made(Other&& model) {
    return std::make_unique<ModelOf<std::remove_cvref_t<Other>>>(std::forward<Other>(model));
  }
  template <class F>
  void with_host_model(const F& f) const {
    if constexpr (on_host) {
      f(model_);
    } else {
      f(on_device<Cpu, float>(model_));
    }
  }

  Model model_;
};

/// A packed model on a device that cannot multiply by its bits: it computes with the weights +-scale, and is saved as
/// the bits.
template <class T, class Device>
class UnpackedModel final : public ModelOf<Llama<T, Device, Dense>> {
  using Running = ModelOf<Llama<T, Device, Dense>>;
  using Base = AnyModel::Interface;

 public:
  explicit UnpackedModel(HostPacked<FloatActivations>&& packed)
      : Running(on_device<Device, T>(unpack(packed))), packed_(std::move(packed)) {}

  std::string_view format() const override { return Packed::name; }
  Index parameters() const override { return parameter_count(packed_); }
  void save(const std::filesystem::path& folder, const SaveOptions& options) const override {
    binllm::save(packed_, folder, options);
  }
  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation,
                  RunLog* log) override {
    return Base::pretrain(corpus, options, validation, log);
  }
  Base::Made binarize(const RecipeNames& recipe) const override { return Base::binarize(recipe); }

 private:
  HostPacked<FloatActivations> packed_;
};

/// A host's model where it computes.
template <class T, class Device>
[[nodiscard]] AnyModel::Interface::Made placed(HostModel&& any) {
  return std::visit(
      []<class Model>(Model&& model) -> AnyModel::Interface::Made {
        if constexpr (std::is_same_v<Device, Cpu>) {
          return std::make_unique<ModelOf<Model>>(std::move(model));
        } else if constexpr (Model::format_type::trainable) {
          using Moved = Llama<T, Device, typename Model::format_type>;
          return std::make_unique<ModelOf<Moved>>(on_device<Device, T>(model));
        } else if constexpr (std::is_same_v<Model, HostPacked<FloatActivations>>) {
          return std::make_unique<UnpackedModel<T, Device>>(std::move(model));
        } else {
          throw Error(ErrorId::option_out_of_range, "AnyModel", "activations", "float on a GPU", "int8");
        }
      },
      std::move(any));
}

template <class Model>
AnyModel::Interface::Made ModelOf<Model>::pack(const std::string& activations) const {
  if constexpr (requires(const Llama<float, Cpu, Format>& host) { binllm::pack(host); }) {
    Made result;
    with_host_model([&](const auto& host) {
      if (wants_float(activations, !on_host)) {
        result = placed<T, Device>(binllm::pack<FloatActivations>(host));
      } else {
        result = placed<T, Device>(binllm::pack<Int8Activations>(host));
      }
    });
    return result;
  } else {
    return Interface::pack(activations);
  }
}

}  // namespace detail
}  // namespace binllm
