// SPDX-License-Identifier: MIT
/// What stands behind AnyModel: an interface, and one template that implements it for every type of model by calling the
/// functions that programs call who know their types. Included by the sources of binllm::any alone.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/infer/generate.hpp>
#include <binllm/io/any/any_model.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/train/pretrain.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace binllm {

struct AnyModel::Interface {
  using Made = std::unique_ptr<Interface>;

  virtual ~Interface() = default;
  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  [[nodiscard]] virtual std::string_view format() const = 0;
  [[nodiscard]] virtual Index parameters() const = 0;
  [[nodiscard]] virtual Perplexity evaluate(const TokenStream&, const PerplexityOptions&) const = 0;
  /// `last` says that the model is used no more.
  [[nodiscard]] virtual GenerationReport generate(const Tokenizer&, const std::vector<std::string>& prompts,
                                                  const GenerateOptions&, TextReceiver*, bool last) = 0;
  virtual void save(const std::filesystem::path&, const SaveOptions&) const = 0;

  // What a format does not have, it refuses.
  virtual double pretrain(const TokenStream&, const TrainingOptions&, const TokenStream*, RunLog*) {
    refuse("pretrain", "a full-precision model");
  }
  [[nodiscard]] virtual Made quantise(std::string_view /*format*/, const FormatWords&) const {
    refuse("quantise", "a full-precision model");
  }
  virtual std::pair<double, double> search_channel_scale(const TokenStream&, const ChannelScaleOptions&, RunLog*) {
    refuse("search_channel_scale", "a model whose weights become bits");
  }
  virtual double train_progressively(const TokenStream&, const ProgressiveOptions&, const TokenStream*, RunLog*) {
    refuse("train_progressively", "a model with a schedule");
  }
  [[nodiscard]] virtual Made pack(const std::string& /*activations*/) const {
    refuse("pack", "a model that has a stored form");
  }

 protected:
  [[noreturn]] void refuse(std::string_view operation, std::string_view wanted) const {
    throw Error(ErrorId::config_inconsistent, operation, "model", wanted, format());
  }
};

namespace detail {

/// What a device offers: models of all families that the library ships, computing on it.
struct AnyModels {
  using Made = AnyModel::Interface::Made;
  virtual ~AnyModels() = default;
  [[nodiscard]] virtual Made open(const std::filesystem::path& folder, const std::string& activations) const = 0;
  [[nodiscard]] virtual Made random(std::string_view family, const ModelConfig& config, std::uint64_t seed) const = 0;
};
[[nodiscard]] const AnyModels& models_of_cpu();
/// Errors: device_missing in a program without CUDA.
[[nodiscard]] const AnyModels& models_of_gpu(Precision precision);

/// Calls f.template operator()<Format>(format) with the shipped format of these words. Errors: unknown_name,
/// option_out_of_range.
template <class F>
void with_format_of(std::string_view name, const FormatWords& words, F&& f) {
  const auto get = [&](std::string_view key) -> std::string_view {
    const auto found = words.find(std::string(key));
    return found == words.end() ? std::string_view{} : found->second;
  };
  with_format_named<float, FloatActivations>(name, get, [&]<class Format>() {
    if (Format::name != name) throw Error(ErrorId::unknown_name, "AnyModel", "format", Format::name, name);
    if constexpr (requires { Format::named(get); }) {
      f(Format{Format::named(get)});
    } else {
      f(Format{});
    }
  });
}

/// Errors: option_out_of_range.
[[nodiscard]] inline bool wants_float(const std::string& activations, bool otherwise) {
  if (activations.empty()) return otherwise;
  if (activations == FloatActivations::name || activations == Int8Activations::name)
    return activations == FloatActivations::name;
  throw Error(ErrorId::option_out_of_range, "AnyModel", "activations", "int8 or float", activations);
}

/// The same model computing in T on a device, behind the interface.
template <class T, class Device, class Model>
[[nodiscard]] AnyModel::Interface::Made placed(Model&& host);

template <class Model>
class ModelOf : public AnyModel::Interface {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Format = typename Model::format_type;
  static constexpr bool on_host = std::is_same_v<Device, Cpu>;
  static constexpr bool quantised = requires { typename Format::kind; };
  static constexpr bool full_precision = Format::trainable && !quantised;

  explicit ModelOf(Model&& model) : model_(std::move(model)) {}

  const ModelConfig& config() const override { return model_.config; }
  std::string_view format() const override { return Format::name; }
  Index parameters() const override { return parameter_count(model_); }
  Perplexity evaluate(const TokenStream& stream, const PerplexityOptions& options) const override {
    return evaluate_perplexity(model_, stream, options);
  }
  GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                            const GenerateOptions& options, TextReceiver* receiver, bool last) override {
    std::vector<std::vector<std::int32_t>> ids;
    for (const std::string& prompt : prompts) ids.push_back(encode_prompt(tokenizer, prompt));
    const DecoderOptions chosen = decoder_options(model_.config, ids, options);
    auto decoder = last ? Decoder(std::move(model_), chosen) : Decoder(model_, chosen);
    auto texts = generate_texts(decoder, tokenizer, ids, options, receiver);
    return {std::move(texts), decoder.memory()};
  }
  void save(const std::filesystem::path& folder, const SaveOptions& options) const override {
    with_host_model([&](const auto& model) { binllm::save(model, folder, options); });
  }

  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation,
                  RunLog* log) override {
    if constexpr (full_precision) {
      return binllm::pretrain(model_, corpus, options, validation, log);
    } else {
      return Interface::pretrain(corpus, options, validation, log);
    }
  }
  Made quantise(std::string_view format, const FormatWords& words) const override {
    Made made;
    if constexpr (full_precision) {
      with_format_of(format, words, [&]<class F>(const F& wanted) {
        if constexpr (requires { typename F::kind; }) {
          using Quantised = with_format<Model, F>;
          made = std::make_unique<ModelOf<Quantised>>(binllm::quantise<typename F::kind>(model_, wanted));
        }
      });
      if (made == nullptr) refuse("quantise", "the name of a quantised format");
    } else {
      made = Interface::quantise(format, words);
    }
    return made;
  }
  std::pair<double, double> search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                 RunLog* log) override {
    if constexpr (requires { binllm::search_channel_scale(model_, corpus, options, log); }) {
      return binllm::search_channel_scale(model_, corpus, options, log);
    } else {
      return Interface::search_channel_scale(corpus, options, log);
    }
  }
  double train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                             const TokenStream* validation, RunLog* log) override {
    if constexpr (requires { binllm::train_progressively(model_, corpus, options, validation, log); }) {
      return binllm::train_progressively(model_, corpus, options, validation, log);
    } else {
      return Interface::train_progressively(corpus, options, validation, log);
    }
  }
  Made pack(const std::string& activations) const override {
    if constexpr (requires(const with_device<Model, float, Cpu>& host) { binllm::pack(host); }) {
      Made made;
      with_host_model([&](const auto& host) {
        if (wants_float(activations, !on_host)) {
          made = placed<T, Device>(binllm::pack<FloatActivations>(host));
        } else {
          made = placed<T, Device>(binllm::pack<Int8Activations>(host));
        }
      });
      return made;
    } else {
      return Interface::pack(activations);
    }
  }

 private:
  template <class M, class Scalar, class Where>
  using with_device = CausalLm<typename M::architecture, Scalar, Where, typename M::format_type>;
  using Decoder = decltype(binllm::Decoder(std::declval<Model&>(), DecoderOptions{}));

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

template <class T, class Device, class Stored>
using RestoredOn = decltype(on_device<Device, T>(unpack(std::declval<const Stored&>())));

/// A stored model on a device that has no product of its own for the form: it computes with the restored weights, and
/// is saved as it was.
template <class T, class Device, class Stored>
class RestoredModel final : public ModelOf<RestoredOn<T, Device, Stored>> {
  using Running = ModelOf<RestoredOn<T, Device, Stored>>;
  using Base = AnyModel::Interface;

 public:
  explicit RestoredModel(Stored&& stored) : Running(on_device<Device, T>(unpack(stored))), stored_(std::move(stored)) {}

  std::string_view format() const override { return Stored::format_type::name; }
  Index parameters() const override { return parameter_count(stored_); }
  void save(const std::filesystem::path& folder, const SaveOptions& options) const override {
    binllm::save(stored_, folder, options);
  }
  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation,
                  RunLog* log) override {
    return Base::pretrain(corpus, options, validation, log);
  }
  Base::Made quantise(std::string_view format, const FormatWords& words) const override {
    return Base::quantise(format, words);
  }

 private:
  Stored stored_;
};

template <class T, class Device, class Model>
AnyModel::Interface::Made placed(Model&& host) {
  static_assert(!std::is_reference_v<Model>);
  if constexpr (std::is_same_v<Device, Cpu>) {
    return std::make_unique<ModelOf<Model>>(std::move(host));
  } else if constexpr (Model::format_type::trainable) {
    auto moved = on_device<Device, T>(host);
    return std::make_unique<ModelOf<decltype(moved)>>(std::move(moved));
  } else {
    return std::make_unique<RestoredModel<T, Device, Model>>(std::move(host));
  }
}

/// Models of all shipped families and formats on a device, computing in T.
template <class T, class Device>
struct ModelsOn final : AnyModels {
  static constexpr bool on_host = std::is_same_v<Device, Cpu>;

  Made open(const std::filesystem::path& folder, const std::string& activations) const override {
    const bool floats = wants_float(activations, !on_host);
    const auto place = [&]<class Model>(Model model) -> Made {
      if (!on_host && !floats && !Model::format_type::trainable) refuse_int8();
      return placed<T, Device>(std::move(model));
    };
    if constexpr (on_host) {
      if (!floats) return with_model<float, Int8Activations>(folder, place);
    }
    return with_model<float, FloatActivations>(folder, place);
  }
  Made random(std::string_view family, const ModelConfig& config, std::uint64_t seed) const override {
    Made made;
    with_named<ShippedFamilies>("AnyModel", "family", family, [&]<class A>() {
      CausalLm<A, float> model(config);
      initialise(model, seed);
      made = placed<T, Device>(std::move(model));
    });
    return made;
  }

 private:
  [[noreturn]] static void refuse_int8() {
    throw Error(ErrorId::option_out_of_range, "AnyModel", "activations", "float on a GPU", Int8Activations::name);
  }
};

}  // namespace detail
}  // namespace binllm
