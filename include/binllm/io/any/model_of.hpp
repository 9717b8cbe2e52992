// SPDX-License-Identifier: MIT
/// The one template that implements AnyModel, by calling the functions that programs call who know their types. Its
/// linear layers are erased one by one, so there is one model type for each family, device and scalar type, whatever
/// the formats. The build makes a unit of each, which says `template struct FamilyOn<A, T, Device>;`.
#pragma once
#include <binllm/infer/generate.hpp>
#include <binllm/io/any/models_on.hpp>
#include <binllm/io/any/once.hpp>
#include <binllm/methods/post_training/erased.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/train/pretrain.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace binllm::detail {

template <class T, class Device>
[[nodiscard]] AnyKind<T, Device> full_precision_format() {
  return format_named<T, Device>(FullPrecisionFormat::name, {});
}
[[nodiscard]] inline AnyKind<float, Cpu> format_of_folder(const ModelDescription& description, bool float_activations) {
  return format_named<float, Cpu>(description.format, description.recipe, float_activations);
}
/// The same model on another device, computing in another type.
template <class T, class Device, class A, class From, class FromDevice>
[[nodiscard]] ErasedModel<A, T, Device> moved(const ErasedModel<A, From, FromDevice>& model,
                                              bool float_activations = false) {
  ErasedModel<A, T, Device> other(model.config, same_format<T, Device>(model.format, float_activations));
  copy_model(model, other);
  return other;
}

template <class A, class T, class Device>
class ModelOf final : public AnyModel::Interface {
 public:
  using Model = ErasedModel<A, T, Device>;
  using HostModel = ErasedModel<A, float, Cpu>;
  /// Where folders are read, and every form has a product of its own.
  static constexpr bool on_host = std::is_same_v<Model, HostModel>;

  explicit ModelOf(Model&& model) : model_(std::move(model)) {}
  /// A stored model where its form has no product of its own computes with the restored weights, or, where
  /// no single weight stands for a layer, as the kind that trains it. It is saved as it was.
  ModelOf(Model&& restored, HostModel&& stored) : model_(std::move(restored)), stored_(std::move(stored)) {}

  /// A model of the host, where it computes. Activations are those of packed signs.
  [[nodiscard]] static Made placed(HostModel&& host, bool float_activations = !on_host) {
    if constexpr (on_host) {
      return std::make_unique<ModelOf>(std::move(host));
    } else if (trains(host.format)) {
      return std::make_unique<ModelOf>(moved<T, Device>(host));
    } else if (!std::is_same_v<Device, Cpu> && host.format.chosen->multiplies_on_gpus()) {
      return std::make_unique<ModelOf>(moved<T, Device>(host, float_activations), std::move(host));
    } else {
      const auto kind = host.format.chosen->one_weight() ? std::nullopt : trainable_format(host.format);
      auto computes = kind ? restored_to_kind(host, *kind) : restored(host, full_precision_format<float, Cpu>());
      return std::make_unique<ModelOf>(moved<T, Device>(computes), std::move(host));
    }
  }

  const ModelConfig& config() const override { return model_.config; }
  std::string_view family() const override { return Model::architecture::name; }
  std::string_view format() const override {
    return stored_ ? format_name(stored_->format) : format_name(model_.format);
  }
  Index parameters() const override { return stored_ ? parameter_count(*stored_) : parameter_count(model_); }
  Perplexity evaluate(const TokenStream& stream, const PerplexityOptions& options,
                      const AnyCommunicator& ranks) const override {
    return evaluate_perplexity(model_, stream, options, ranks);
  }
  TaskScores evaluate(const Tokenizer& tokenizer, const std::vector<TaskItem>& items, const TaskOptions& options,
                      const AnyCommunicator& ranks) const override {
    return evaluate_task(model_, tokenizer, items, options, ranks);
  }
  GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                            const GenerateOptions& options, TextReceiver* receiver, bool last) override {
    std::vector<std::vector<std::int32_t>> ids;
    for (const std::string& prompt : prompts) ids.push_back(encode_prompt(tokenizer, prompt));
    const DecoderOptions chosen = decoder_options(model_.config, ids, options);
    auto decoder = last ? Decoder<Model>(std::move(model_), chosen) : Decoder<Model>(model_, chosen);
    auto texts = generate_texts(decoder, tokenizer, ids, options, receiver);
    return {std::move(texts), decoder.memory()};
  }
  AnyDecoderPointer decoder(const GenerateOptions& options) override {
    const DecoderOptions chosen{1, options.context, options.sharpness, options.vocabulary, options.cache};
    return std::make_unique<ErasedDecoder<Model>>(std::move(model_), chosen);
  }
  void save(const std::filesystem::path& folder, const SaveOptions& options) const override {
    if (stored_) return binllm::save(*stored_, folder, options);
    with_host_model([&](const HostModel& model) { binllm::save(model, folder, options); });
  }

  AnyTeacherPointer teacher(double sharpness) override { return make_teacher(std::move(model_), sharpness); }
  void predict_top(const TokenStream& corpus, const TopPredictionOptions& options,
                   TopPredictionReceiver& receiver) const override {
    binllm::predict_top(model_, corpus, options, receiver);
  }
  GeneratedTokens generate_tokens(const std::vector<std::vector<std::int32_t>>& prompts,
                                  const GenerateOptions& options) const override {
    return generate_batch(model_, prompts, options);
  }

  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation, RunLog* log,
                  const LearnFrom& loss, const AnyParallel& parallel) override {
    if (!full_precision()) return Interface::pretrain(corpus, options, validation, log, loss, parallel);
    return binllm::pretrain(model_, corpus, options, validation, log, chosen(loss), parallel);
  }
  Made quantise(std::string_view format, const FormatWords& words) const override {
    if (!full_precision()) return Interface::quantise(format, words);
    const auto wanted = format_named<T, Device>(format, words);
    if (!wanted.chosen->quantised()) refuse("quantise", "the name of a quantised format");
    return std::make_unique<ModelOf>(quantised(model_, wanted));
  }
  std::pair<double, double> search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                 RunLog* log, const AnyParallel& parallel) override {
    std::pair<double, double> losses;
    const bool searched = with_recipe_of(model_.format, [&]<class F>(const F& format) {
      const BinaryModel<typename F::recipe, Model> binary{model_, format};
      losses = binllm::search_channel_scale(binary, corpus, options, log, NextToken{}, parallel);
    });
    return searched ? losses : Interface::search_channel_scale(corpus, options, log, parallel);
  }
  double train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                             const TokenStream* validation, RunLog* log, const LearnFrom& loss,
                             const AnyParallel& parallel) override {
    if (stored_ || !model_.format.chosen->quantised())
      return Interface::train_progressively(corpus, options, validation, log, loss, parallel);
    return binllm::train_progressively(model_, corpus, options, validation, log, chosen(loss), parallel);
  }
  Made pack(const std::string& activations) const override {
    if (stored_ || model_.format.chosen->stored_name().empty()) return Interface::pack(activations);
    Made made;
    with_host_model([&](const HostModel& host) {
      const bool floats = wants_float(activations, !on_host);
      made = placed(stored(host, stored_format(host.format, floats)), floats);
    });
    return made;
  }
  Made quantise_blockwise(const AnyPostTrainingMethod& method, View<const std::int32_t> ids,
                          const BlockwiseOptions& options, QuantiseLog* log) override {
    if (!full_precision()) return Interface::quantise_blockwise(method, ids, options, log);
    const auto form = format_named<float, Cpu>(method.form(), method.form_words());
    return placed(binllm::quantise_blockwise(model_, ids, method, form, options, log));
  }

 private:
  [[nodiscard]] static ChosenLoss<T, Device> chosen(const LearnFrom& loss) {
    const auto teacher = std::dynamic_pointer_cast<const Teacher<T, Device>>(loss.teacher);
    if (loss.teacher && !teacher) {
      throw Error(ErrorId::config_inconsistent, "AnyModel", "teacher", "one that computes where the student does",
                  "one of another device or precision");
    }
    return {loss.settings, teacher, loss.cache};
  }
  [[nodiscard]] bool full_precision() const {
    return !stored_ && trains(model_.format) && !model_.format.chosen->quantised();
  }
  template <class F>
  void with_host_model(const F& f) const {
    if constexpr (on_host) {
      f(model_);
    } else {
      f(moved<float, Cpu>(model_));
    }
  }

  Model model_;
  std::optional<HostModel> stored_;
};

template <class A, class T, class Device>
auto FamilyOn<A, T, Device>::open(const std::filesystem::path& folder, const ModelDescription& description,
                                  const std::string& activations) -> Made {
  constexpr bool on_host = ModelOf<A, T, Device>::on_host, on_gpu = !std::is_same_v<Device, Cpu>;
  const bool floats = wants_float(activations, !on_host);
  auto host = load_as<ErasedModel<A, float, Cpu>>(folder, description, format_of_folder(description, floats));
  if (!on_host && !floats && !trains(host.format) && !(on_gpu && host.format.chosen->multiplies_on_gpus()))
    throw Error(ErrorId::option_out_of_range, "AnyModel", "activations",
                on_gpu ? "float for this format on a GPU" : "float for a model that computes in bf16",
                Int8Activations::name);
  return ModelOf<A, T, Device>::placed(std::move(host), floats);
}
template <class A, class T, class Device>
void FamilyOn<A, T, Device>::check(const std::filesystem::path& folder, const ModelDescription& description) {
  const auto format = format_of_folder(description, false);
  check_format(folder, description, format);
  TensorLoader loader(folder, description);
  static_cast<void>(expect_as<ErasedModel<A, float, Cpu>>(loader, description, format));
}
template <class A, class T, class Device>
auto FamilyOn<A, T, Device>::random(const ModelConfig& config, std::uint64_t seed) -> Made {
  ErasedModel<A, float, Cpu> model(config, full_precision_format<float, Cpu>());
  initialise(model, seed);
  return ModelOf<A, T, Device>::placed(std::move(model));
}

}  // namespace binllm::detail
