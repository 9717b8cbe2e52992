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
#include <binllm/infer/any_decoder.hpp>
#include <binllm/infer/decoder_memory.hpp>
#include <binllm/infer/texts.hpp>
#include <binllm/infer/top_predictions.hpp>
#include <binllm/io/any/any_device.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/methods/formats.hpp>
#include <binllm/methods/post_training/any_method.hpp>
#include <binllm/methods/post_training/blockwise_options.hpp>
#include <binllm/methods/post_training/report.hpp>
#include <binllm/models/families.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/policy/shipped.hpp>
#include <binllm/ranks/any_communicator.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/chosen_loss.hpp>
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
  std::string format{};       ///< refuse any other than this, such as "dense"; empty: all are welcome
};

/// Texts, and the bytes that made them.
struct GenerationReport {
  GeneratedTexts texts;
  DecoderMemory memory;
};

/// What a training learns from beside the next token. A teacher computes where the student does, in the same numbers.
struct LearnFrom {
  LossSettings settings{};
  AnyTeacherPointer teacher{};
  TeacherCachePointer cache{};
};

/// The ranks that a training is spread over, and what they divide: chosen at run time.
using AnyParallel = Parallel<AnyCommunicator, AnySharding>;

class AnyModel {
 public:
  struct Interface;

  /// A folder of any format. Folders are read on the host, in float. A packed model computes with its bits, on a GPU
  /// too; other stored forms become weights there. Errors: those of load_model; config_inconsistent where options.format is another; option_out_of_range for
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
  [[nodiscard]] Perplexity evaluate(const TokenStream& stream, const PerplexityOptions& options,
                                    const AnyCommunicator& ranks = {}) const;
  /// By the items of a multiple-choice task. Errors: those of evaluate_task.
  [[nodiscard]] TaskScores evaluate(const Tokenizer& tokenizer, const std::vector<TaskItem>& items,
                                    const TaskOptions& options = {}, const AnyCommunicator& ranks = {}) const;
  /// Continues prompts. A model that is given away need not keep two vocabularies where it decodes with one in fewer
  /// bits. Errors: those of generate_texts.
  [[nodiscard]] GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                                          const GenerateOptions& options, TextReceiver* receiver = nullptr) const&;
  [[nodiscard]] GenerationReport generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                                          const GenerateOptions& options, TextReceiver* receiver = nullptr) &&;
  /// The model, given away to read and continue one text, as a Conversation does. Of the options `context` (0: the
  /// model's positions), `sharpness` and `vocabulary` count. Errors: those of Decoder.
  [[nodiscard]] AnyDecoderPointer decoder(const GenerateOptions& options = {}) &&;
  /// Any format; float as F32. Models of a GPU are copied to the host first. Errors: those of binllm::save.
  void save(const std::filesystem::path& folder, const SaveOptions& options = {}) const;

  // Errors of all that follow: config_inconsistent where the model's format has no such step; those of the function of
  // the same name.

  /// Trains a full-precision model; returns the last step's loss. Errors of a teacher: config_inconsistent for one that
  /// computes elsewhere; those of ChosenLoss.
  double pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation = nullptr,
                  RunLog* log = nullptr, const LearnFrom& loss = {}, const AnyParallel& parallel = {});
  /// The quantised model of a full-precision one, in a shipped format with words as in its config.json.
  [[nodiscard]] AnyModel quantise(std::string_view format, const FormatWords& words) const;
  [[nodiscard]] AnyModel binarize(const RecipeNames& recipe) const;
  /// Stage 1; returns the losses before the first and at the last step.
  std::pair<double, double> search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                 RunLog* log = nullptr, const AnyParallel& parallel = {});
  /// Stage 2, of any quantised model: t as its kind says, by chunks or by steps. Returns the last step's loss.
  double train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                             const TokenStream* validation = nullptr, RunLog* log = nullptr, const LearnFrom& loss = {},
                             const AnyParallel& parallel = {});
  /// The model, given away to teach others of any family and format. `sharpness` is its t, where it has estimators.
  [[nodiscard]] AnyTeacherPointer teacher(double sharpness = std::numeric_limits<double>::infinity()) &&;
  /// What it predicts for a corpus. Errors: those of predict_top.
  void predict_top(const TokenStream& corpus, const TopPredictionOptions& options,
                   TopPredictionReceiver& receiver) const;
  /// Tokens that continue prompts of ids. Errors: those of generate_batch.
  [[nodiscard]] GeneratedTokens generate_tokens(const std::vector<std::vector<std::int32_t>>& prompts,
                                                const GenerateOptions& options) const;
  /// A quantised model in the stored form of its kind: packed, of a binary one, with activations as in OpenOptions.
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

/// Numbers of a model in full precision. Errors: unknown_name, config_inconsistent.
[[nodiscard]] Index parameters_of(const ModelConfig& config, std::string_view family);

/// What a loss adds to the memory of a training: a teacher, counted in full precision; predictions from a cache.
struct LossForecast {
  LossSettings settings{};
  std::optional<ModelConfig> teacher{};
  std::string teacher_family{};
  TeacherCachePointer cache{};
};

/// What `pretrain` takes for a model of this configuration and family, on the CPU in that precision, where tf32 counts as
/// float32. Errors: unknown_name.
[[nodiscard]] MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                                  const TokenStream* validation = nullptr,
                                                  std::string_view family = TypeAt<0, ShippedFamilies>::name,
                                                  const LossForecast& loss = {}, const RanksForecast& ranks = {},
                                                  Precision precision = Precision::float32);

/// What both stages take.
struct RecipeForecast {
  Index parameters = 0;                    ///< of the quantised model
  MemoryForecast channel_scale, training;  ///< stage 1 (of binary models), stage 2
};
[[nodiscard]] RecipeForecast forecast_quantised(const ModelConfig& config, std::string_view format,
                                                const FormatWords& words, const TrainingOptions& options,
                                                const TokenStream* validation = nullptr,
                                                std::string_view family = TypeAt<0, ShippedFamilies>::name,
                                                const LossForecast& loss = {}, const RanksForecast& ranks = {},
                                                Precision precision = Precision::float32);
/// The same of a binary model.
[[nodiscard]] RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe,
                                             const TrainingOptions& options, const TokenStream* validation = nullptr,
                                             std::string_view family = TypeAt<0, ShippedFamilies>::name,
                                             const LossForecast& loss = {}, const RanksForecast& ranks = {},
                                             Precision precision = Precision::float32);

}  // namespace binllm
