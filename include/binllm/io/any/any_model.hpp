// SPDX-License-Identifier: MIT
/// A model whose family, format, device and scalar type are known at run time alone: what a program needs that opens
/// any folder. The code behind it is compiled once, in binllm::any; programs that know their types use those.
///
///   AnyModel model = AnyModel::open("stories260K", {.device = AnyDevice::on_gpu(0, Precision::bf16)});
///   model = model.binarize({.estimator = "progressive"});
///   model.train_progressively(corpus, options);
///   model.pack("float").save("one-bit");
#pragma once
#include <binllm/eval/perplexity.hpp>
#include <binllm/eval/task_scores.hpp>
#include <binllm/infer/decoder_memory.hpp>
#include <binllm/infer/texts.hpp>
#include <binllm/io/any/any_device.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/methods/formats.hpp>
#include <binllm/methods/post_training/any_method.hpp>
#include <binllm/methods/post_training/blockwise_options.hpp>
#include <binllm/methods/post_training/report.hpp>
#include <binllm/models/families.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/policy/shipped.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/forecast.hpp>
#include <binllm/train/progressive.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// The policies of a binary model by name.
struct RecipeNames {
  static constexpr std::string_view format = "binary";
  std::string estimator{TypeAt<0, ShippedEstimators<float>>::name};
  std::string scale{}, schedule{};  ///< empty: the estimator's own
  std::string granularity{RowScales::name};
  std::string channel_scale{ChannelScale<float>::name};

  /// With the names that were left empty. Errors: unknown_name, option_out_of_range (group size).
  [[nodiscard]] RecipeNames completed() const;
  /// What they mean. Errors: as above.
  [[nodiscard]] ScaleTraits scale_traits() const;
  [[nodiscard]] ChannelSharing sharing() const;
  [[nodiscard]] FormatWords words() const;
};

struct OpenOptions {
  AnyDevice device{};
  std::string activations{};  ///< of a packed model: "int8" or "float"; empty: the device's, "int8", on a GPU "float"
  std::string format{};       ///< refuse any other: "dense", "binary" or "packed"; empty: all are welcome
};

/// Texts, and the bytes that made them.
struct GenerationReport {
  GeneratedTexts texts;
  DecoderMemory memory;
};

class AnyModel {
 public:
  struct Interface;

  /// A folder of any format. Folders are read on the host, in float. On a GPU the bits of a packed model become weights
  /// +-scale. Errors: those of load_model; config_inconsistent where options.format is another; option_out_of_range for
  /// activations that the device does not have; out_of_memory.
  [[nodiscard]] static AnyModel open(const std::filesystem::path& folder, const OpenOptions& options = {});
  /// A full-precision model of a shipped family with random weights, the same on all devices.
  /// Errors: unknown_name, config_inconsistent, out_of_memory.
  [[nodiscard]] static AnyModel random(const ModelConfig& config, std::uint64_t seed, const AnyDevice& device = {},
                                       std::string_view family = TypeAt<0, ShippedFamilies>::name);

  [[nodiscard]] const ModelConfig& config() const;
  /// The name of its family in ShippedFamilies.
  [[nodiscard]] std::string_view family() const;
  /// As config.json names it.
  [[nodiscard]] std::string_view format() const;
  [[nodiscard]] Index parameter_count() const;

  /// Errors: those of evaluate_perplexity.
  [[nodiscard]] Perplexity evaluate(const TokenStream& stream, const PerplexityOptions& options) const;
  /// By the items of a multiple-choice task. Errors: those of evaluate_task.
  [[nodiscard]] TaskScores evaluate(const Tokenizer& tokenizer, const std::vector<TaskItem>& items,
                                    const TaskOptions& options = {}) const;
  /// Continues prompts. A model that is given away need not keep two vocabularies where it decodes with one in fewer
  /// bits. Errors: those of generate_texts.
  [[nodiscard]] GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                                          const GenerateOptions& options, TextReceiver* receiver = nullptr) const&;
  [[nodiscard]] GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                                          const GenerateOptions& options, TextReceiver* receiver = nullptr) &&;
  /// Any format; float as F32. Models of a GPU are copied to the host first. Errors: those of binllm::save.
  void save(const std::filesystem::path& folder, const SaveOptions& options = {}) const;

  // Errors of all that follow: config_inconsistent where the model's format has no such step; those of the function of
  // the same name.

  /// Trains a full-precision model; returns the last step's loss.
  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation = nullptr,
                  RunLog* log = nullptr);
  /// The quantised model of a full-precision one, in a shipped format with words as in its config.json.
  [[nodiscard]] AnyModel quantise(std::string_view format, const FormatWords& words) const;
  [[nodiscard]] AnyModel binarize(const RecipeNames& recipe) const;
  /// Stage 1; returns the losses before the first and at the last step.
  std::pair<double, double> search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                 RunLog* log = nullptr);
  /// Stage 2; returns the last step's loss.
  double train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                             const TokenStream* validation = nullptr, RunLog* log = nullptr);
  /// The packed model of a binary one, with activations as in OpenOptions.
  [[nodiscard]] AnyModel pack(const std::string& activations = {}) const;
  /// The model that a method after training makes of a full-precision one, which itself is left with the weights that
  /// it restores to. `ids` (windows, tokens) are the calibration text, or empty for a method that needs none.
  [[nodiscard]] AnyModel quantise_blockwise(const AnyPostTrainingMethod& method, View<const std::int32_t> ids,
                                            const BlockwiseOptions& options = {}, QuantiseLog* log = nullptr);

  /// For those who make models.
  explicit AnyModel(std::unique_ptr<Interface> model) noexcept;
  AnyModel(AnyModel&&) noexcept;
  AnyModel& operator=(AnyModel&&) noexcept;
  ~AnyModel();

 private:
  std::unique_ptr<Interface> model_;
};

/// Refuses a folder of a shipped family and format unless it holds the tensors that its config.json asks for. No value
/// is read, no memory taken for one. Errors: those of load_model, but for those of values.
void check_folder(const std::filesystem::path& folder);

/// What `pretrain` takes for a model of this configuration and family, on the CPU in float32. Errors: unknown_name.
[[nodiscard]] MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                                  const TokenStream* validation = nullptr,
                                                  std::string_view family = TypeAt<0, ShippedFamilies>::name);

/// What both stages take.
struct RecipeForecast {
  Index parameters = 0;                    ///< of the binary model
  MemoryForecast channel_scale, training;  ///< stage 1, stage 2
};
[[nodiscard]] RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe,
                                             const TrainingOptions& options, const TokenStream* validation = nullptr,
                                             std::string_view family = TypeAt<0, ShippedFamilies>::name);

}  // namespace binllm
