// SPDX-License-Identifier: MIT
#include <binllm/io/any/models_on.hpp>

namespace binllm {

namespace {

const detail::AnyModels& models_of(const AnyDevice& device) {
  return device.gpu ? detail::models_of_gpu(device.precision) : detail::models_of_cpu(device.precision);
}

}  // namespace

std::string_view to_string(Precision precision) noexcept {
  return precision == Precision::bf16 ? "bf16" : precision == Precision::tf32 ? "tf32" : "float32";
}

RecipeNames RecipeNames::completed() const {
  RecipeNames all = *this;
  const auto& entry = *RuntimeEstimator<float>::named(estimator).entry;
  if (scale.empty()) all.scale = entry.default_scale;
  if (schedule.empty()) all.schedule = entry.default_schedule;
  static_cast<void>(all.scale_traits());
  static_cast<void>(RuntimeSchedule::named(all.schedule));
  static_cast<void>(all.sharing());
  return all;
}
ScaleTraits RecipeNames::scale_traits() const { return scale_traits_named(scale, granularity); }
ChannelSharing RecipeNames::sharing() const { return channel_sharing_named(channel_scale); }
FormatWords RecipeNames::words() const {
  const RecipeNames all = completed();
  return {{"estimator", all.estimator},
          {"scale", all.scale},
          {"granularity", all.granularity},
          {"channel_scale", all.channel_scale},
          {"schedule", all.schedule}};
}

void check_folder(const std::filesystem::path& folder) {
  check_model_path(folder);
  detail::models_of_cpu(Precision::float32).check(folder);
}

AnyModel AnyModel::open(const std::filesystem::path& folder, const OpenOptions& options) {
  check_model_path(folder);
  if (!options.format.empty()) detail::check_format_name(folder, read_config(folder), options.format);
  return AnyModel(models_of(options.device).open(folder, options.activations));
}

AnyModel AnyModel::random(const ModelConfig& config, std::uint64_t seed, const AnyDevice& device,
                          std::string_view family) {
  return AnyModel(models_of(device).random(family, config, seed));
}

AnyModel::AnyModel(std::unique_ptr<Interface> model) noexcept : model_(std::move(model)) {}
AnyModel::AnyModel(AnyModel&&) noexcept = default;
AnyModel& AnyModel::operator=(AnyModel&&) noexcept = default;
AnyModel::~AnyModel() = default;

const ModelConfig& AnyModel::config() const { return model_->config(); }
std::string_view AnyModel::family() const { return model_->family(); }
std::string_view AnyModel::format() const { return model_->format(); }
Index AnyModel::parameter_count() const { return model_->parameters(); }

Perplexity AnyModel::evaluate(const TokenStream& stream, const PerplexityOptions& options,
                              const AnyCommunicator& ranks) const {
  return model_->evaluate(stream, options, ranks);
}
TaskScores AnyModel::evaluate(const Tokenizer& tokenizer, const std::vector<TaskItem>& items,
                              const TaskOptions& options, const AnyCommunicator& ranks) const {
  return model_->evaluate(tokenizer, items, options, ranks);
}
GenerationReport AnyModel::generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                                    const GenerateOptions& options, TextReceiver* receiver) const& {
  return model_->generate(tokenizer, prompts, options, receiver, false);
}
GenerationReport AnyModel::generate(const Tokenizer& tokenizer, const std::vector<std::string>& prompts,
                                    const GenerateOptions& options, TextReceiver* receiver) && {
  const auto model = std::move(model_);
  return model->generate(tokenizer, prompts, options, receiver, true);
}
AnyDecoderPointer AnyModel::decoder(const GenerateOptions& options) && {
  const auto model = std::move(model_);
  return model->decoder(options);
}
void AnyModel::save(const std::filesystem::path& folder, const SaveOptions& options) const {
  model_->save(folder, options);
}

double AnyModel::pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation,
                          RunLog* log, const LearnFrom& loss, const AnyParallel& parallel) {
  return model_->pretrain(corpus, options, validation, log, loss, parallel);
}
AnyTeacherPointer AnyModel::teacher(double sharpness) && {
  const auto model = std::move(model_);
  return model->teacher(sharpness);
}
void AnyModel::predict_top(const TokenStream& corpus, const TopPredictionOptions& options,
                           TopPredictionReceiver& receiver) const {
  model_->predict_top(corpus, options, receiver);
}
GeneratedTokens AnyModel::generate_tokens(const std::vector<std::vector<std::int32_t>>& prompts,
                                          const GenerateOptions& options) const {
  return model_->generate_tokens(prompts, options);
}
AnyModel AnyModel::quantise(std::string_view format, const FormatWords& words) const {
  return AnyModel(model_->quantise(format, words));
}
AnyModel AnyModel::binarize(const RecipeNames& recipe) const { return quantise(RecipeNames::format, recipe.words()); }
std::pair<double, double> AnyModel::search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                         RunLog* log, const AnyParallel& parallel) {
  return model_->search_channel_scale(corpus, options, log, parallel);
}
double AnyModel::train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                                     const TokenStream* validation, RunLog* log, const LearnFrom& loss,
                                     const AnyParallel& parallel) {
  return model_->train_progressively(corpus, options, validation, log, loss, parallel);
}
AnyModel AnyModel::quantise_blockwise(const AnyPostTrainingMethod& method, View<const std::int32_t> ids,
                                      const BlockwiseOptions& options, QuantiseLog* log) {
  return AnyModel(model_->quantise_blockwise(method, ids, options, log));
}
AnyModel AnyModel::pack(const std::string& activations) const { return AnyModel(model_->pack(activations)); }

}  // namespace binllm
