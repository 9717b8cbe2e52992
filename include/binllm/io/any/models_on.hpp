// SPDX-License-Identifier: MIT
/// What stands behind AnyModel: an interface, and what a device offers that implements it. Each family is compiled in
/// units of its own, one for each device and scalar type (model_of.hpp). Included by the sources of binllm::any alone.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/device/meta.hpp>
#include <binllm/io/any/any_model.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace binllm {

struct AnyModel::Interface {
  using Made = std::unique_ptr<Interface>;

  virtual ~Interface() = default;
  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  [[nodiscard]] virtual std::string_view family() const = 0;
  [[nodiscard]] virtual std::string_view format() const = 0;
  [[nodiscard]] virtual Index parameters() const = 0;
  [[nodiscard]] virtual Perplexity evaluate(const TokenStream&, const PerplexityOptions&,
                                            const AnyCommunicator&) const = 0;
  [[nodiscard]] virtual TaskScores evaluate(const Tokenizer&, const std::vector<TaskItem>&, const TaskOptions&,
                                            const AnyCommunicator&) const = 0;
  /// `last` says that the model is used no more.
  [[nodiscard]] virtual GenerationReport generate(const Tokenizer&, const std::vector<std::string>& prompts,
                                                  const GenerateOptions&, TextReceiver*, bool last) = 0;
  /// The model is used no more.
  [[nodiscard]] virtual AnyDecoderPointer decoder(const GenerateOptions&) = 0;
  virtual void save(const std::filesystem::path&, const SaveOptions&) const = 0;
  [[nodiscard]] virtual AnyTeacherPointer teacher(double sharpness) = 0;
  virtual void predict_top(const TokenStream&, const TopPredictionOptions&, TopPredictionReceiver&) const = 0;
  [[nodiscard]] virtual GeneratedTokens generate_tokens(const std::vector<std::vector<std::int32_t>>& prompts,
                                                        const GenerateOptions&) const = 0;

  // What a format does not have, it refuses.
  virtual double pretrain(const TokenStream&, const TrainingOptions&, const TokenStream*, RunLog*, const LearnFrom&,
                          const AnyParallel&) {
    refuse("pretrain", "a full-precision model");
  }
  [[nodiscard]] virtual Made quantise(std::string_view /*format*/, const FormatWords&) const {
    refuse("quantise", "a full-precision model");
  }
  virtual std::pair<double, double> search_channel_scale(const TokenStream&, const ChannelScaleOptions&, RunLog*,
                                                         const AnyParallel&) {
    refuse("search_channel_scale", "a model whose weights become bits");
  }
  virtual double train_progressively(const TokenStream&, const ProgressiveOptions&, const TokenStream*, RunLog*,
                                     const LearnFrom&, const AnyParallel&) {
    refuse("train_progressively", "a quantised model");
  }
  [[nodiscard]] virtual Made pack(const std::string& /*activations*/) const {
    refuse("pack", "a model that has a stored form");
  }
  [[nodiscard]] virtual Made quantise_blockwise(const AnyPostTrainingMethod&, View<const std::int32_t>,
                                                const BlockwiseOptions&, QuantiseLog*) {
    refuse("quantise_blockwise", "a full-precision model");
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
  /// What check_folder does.
  virtual void check(const std::filesystem::path& folder) const = 0;
};
/// In float32 or bf16.
[[nodiscard]] const AnyModels& models_of_cpu(Precision precision);
/// Errors: device_missing in a program without CUDA.
[[nodiscard]] const AnyModels& models_of_gpu(Precision precision);

/// The part of one family A, for models that compute in T on a device.
template <class A, class T, class Device>
struct FamilyOn {
  using Made = AnyModel::Interface::Made;
  [[nodiscard]] static Made open(const std::filesystem::path& folder, const ModelDescription& description,
                                 const std::string& activations);
  static void check(const std::filesystem::path& folder, const ModelDescription& description);
  [[nodiscard]] static Made random(const ModelConfig& config, std::uint64_t seed);
};
template <class T, class Device>
struct ModelsOn final : AnyModels {
  Made open(const std::filesystem::path& folder, const std::string& activations) const override {
    const ModelDescription description = read_config(folder);
    return with_family<Made>(*description.family,
                             [&]<class A>() { return FamilyOn<A, T, Device>::open(folder, description, activations); });
  }
  void check(const std::filesystem::path& folder) const override {
    const ModelDescription description = read_config(folder);
    with_family<void>(*description.family, [&]<class A>() { FamilyOn<A, T, Device>::check(folder, description); });
  }
  Made random(std::string_view family, const ModelConfig& config, std::uint64_t seed) const override {
    Made made;
    with_named<ShippedFamilies>("AnyModel", "family", family,
                                [&]<class A>() { made = FamilyOn<A, T, Device>::random(config, seed); });
    return made;
  }
};

/// The loss of a forecast, on Meta.
template <class T>
[[nodiscard]] ChosenLoss<T, Meta> loss_on_meta(const LossForecast& loss);

/// The forecasts of one family, for models that compute in T.
template <class A, class T>
struct FamilyForecast {
  [[nodiscard]] static Index parameters(const ModelConfig& config);
  /// A model of it that teaches on Meta.
  [[nodiscard]] static TeacherPointer<T, Meta> teacher(const ModelConfig& config);
  [[nodiscard]] static MemoryForecast pretraining(const ModelConfig& config, const TrainingOptions& options,
                                                  const TokenStream* validation, const LossForecast& loss,
                                                  const RanksForecast& ranks);
  [[nodiscard]] static RecipeForecast quantised(const ModelConfig& config, std::string_view format,
                                                const FormatWords& words, const TrainingOptions& options,
                                                const TokenStream* validation, const LossForecast& loss,
                                                const RanksForecast& ranks);
};

}  // namespace detail
}  // namespace binllm
