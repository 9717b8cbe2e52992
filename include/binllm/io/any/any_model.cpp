// SPDX-License-Identifier: MIT
#include <binllm/io/any/model_of.hpp>

namespace binllm {

namespace {

detail::HostModel read_folder(const std::filesystem::path& folder, bool float_activations) {
  const auto any = [](auto model) { return detail::HostModel(std::move(model)); };
  if (float_activations) return with_model<float, FloatActivations>(folder, any);
  return with_model<float, Int8Activations>(folder, any);
}

AnyModel placed(detail::HostModel&& model, const AnyDevice& device) {
  return AnyModel(device.gpu ? detail::on_gpu(std::move(model), device.precision) : detail::on_cpu(std::move(model)));
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
  static_cast<void>(RuntimeScale<float>::named(all.scale, all.granularity));
  static_cast<void>(RuntimeSchedule::named(all.schedule));
  static_cast<void>(channel_sharing_named(all.channel_scale));
  return all;
}

AnyModel AnyModel::open(const std::filesystem::path& folder, const OpenOptions& options) {
  const bool on_gpu = options.device.gpu.has_value(),
             float_activations = detail::wants_float(options.activations, on_gpu);
  if (!options.format.empty()) detail::check_format(folder, read_config(folder), options.format, {});
  return placed(read_folder(folder, float_activations), options.device);
}

AnyModel AnyModel::random(const LlamaConfig& config, std::uint64_t seed, const AnyDevice& device) {
  Llama<float> model(config);
  initialise(model, seed);
  return placed(std::move(model), device);
}

AnyModel::AnyModel(std::unique_ptr<Interface> model) noexcept : model_(std::move(model)) {}
AnyModel::AnyModel(AnyModel&&) noexcept = default;
AnyModel& AnyModel::operator=(AnyModel&&) noexcept = default;
AnyModel::~AnyModel() = default;

const LlamaConfig& AnyModel::config() const { return model_->config(); }
std::string_view AnyModel::format() const { return model_->format(); }
Index AnyModel::parameter_count() const { return model_->parameters(); }

Perplexity AnyModel::evaluate(const TokenStream& stream, const PerplexityOptions& options) const {
  return model_->evaluate(stream, options);
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
void AnyModel::save(const std::filesystem::path& folder, const SaveOptions& options) const {
  model_->save(folder, options);
}

double AnyModel::pretrain(const TokenStream& corpus, const TrainingOptions& options, const TokenStream* validation,
                          RunLog* log) {
  return model_->pretrain(corpus, options, validation, log);
}
AnyModel AnyModel::binarize(const RecipeNames& recipe) const { return AnyModel(model_->binarize(recipe)); }
std::pair<double, double> AnyModel::search_channel_scale(const TokenStream& corpus, const ChannelScaleOptions& options,
                                                         RunLog* log) {
  return model_->search_channel_scale(corpus, options, log);
}
double AnyModel::train_progressively(const TokenStream& corpus, const ProgressiveOptions& options,
                                     const TokenStream* validation, RunLog* log) {
  return model_->train_progressively(corpus, options, validation, log);
}
AnyModel AnyModel::pack(const std::string& activations) const { return AnyModel(model_->pack(activations)); }

}  // namespace binllm
