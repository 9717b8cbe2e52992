// SPDX-License-Identifier: MIT
#include "shared.hpp"

#include "report.hpp"
#include "streams.hpp"

#include <binllm/core/error.hpp>
#include <binllm/core/process_memory.hpp>
#include <binllm/device/thread_pool.hpp>
#include <binllm/io/folders/identity.hpp>
#include <binllm/io/folders/tokens.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <thread>

namespace program {

using binllm::Error;
using binllm::ErrorId;

void Common::apply() const {
  static_cast<void>(binllm::instruction_set());  // a wrong BINLLM_FORCE_ISA is to be known before a long run
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  binllm::set_thread_count(threads == 0 ? cores : threads);
}

namespace {

/// N of "cuda:N", 0 of "cuda", nothing of "cpu". Errors: unknown_name.
std::optional<int> gpu_index(const std::string& device) {
  constexpr std::string_view with_index = "cuda:";
  if (device == "cpu") return std::nullopt;
  if (device == "cuda") return 0;
  int index = -1;
  const char* const end = device.data() + device.size();
  if (device.starts_with(with_index)) {
    const auto [rest, error] = std::from_chars(device.data() + with_index.size(), end, index);
    if (error == std::errc{} && rest == end && index >= 0) return index;
  }
  throw Error(ErrorId::unknown_name, "binllm", "--device", "cpu, cuda or cuda:N", device);
}

binllm::Precision precision_named(const std::string& name) {
  for (const auto precision : {binllm::Precision::float32, binllm::Precision::tf32, binllm::Precision::bf16})
    if (to_string(precision) == name) return precision;
  throw Error(ErrorId::unknown_name, "binllm", "--precision", "float32, tf32 or bf16", name);
}

}  // namespace

void DeviceChoice::apply() {
  const std::optional<int> index = gpu_index(device);
  const binllm::Precision wanted = precision_named(precision);
  if (!index && wanted == binllm::Precision::tf32) {
    throw Error(ErrorId::config_inconsistent, "binllm", "--precision", "float32 or bf16 on the CPU, or --device cuda",
                precision);
  }
  if (!index) {
    chosen.precision = wanted;
    return;
  }
  try {
    chosen = binllm::AnyDevice::on_gpu(*index, wanted);
  } catch (const Error& error) {  // in the words of the command line
    throw Error(error.id(), "binllm", "--device", error.wanted(), error.found());
  }
}

std::string DeviceChoice::description() const {
  const bool half = chosen.precision == binllm::Precision::bf16;
  if (!chosen.gpu) return fmt::format("{} threads{}", binllm::thread_pool().size(), half ? ", bf16" : "");
  return fmt::format("{} ({:.1f} GB), {}", chosen.gpu->name, static_cast<double>(chosen.gpu->total_bytes) / 1e9,
                     precision);
}

void DeviceChoice::add_to(Json& object) const {
  object["device"] = {{"name", device}};
  if (chosen.gpu) {
    object["device"]["gpu"] = chosen.gpu->name;
    object["device"]["memory_bytes"] = chosen.gpu->total_bytes;
  }
  object["precision"] = precision;
}

void DeviceChoice::add_peaks_to(Json& object) const {
  object["peak_resident_bytes"] = binllm::peak_resident_bytes();
  if (chosen.gpu) object["peak_gpu_bytes"] = binllm::peak_gpu_bytes();
}

std::string DeviceChoice::peaks() const {
  const std::string host = in_megabytes(binllm::peak_resident_bytes());
  return chosen.gpu ? fmt::format("{}, and {} of the GPU's", host, in_megabytes(binllm::peak_gpu_bytes())) : host;
}

void TrainingFlags::choose_optimiser(const GivenFlags& given) {
  if (optimizer == "muon") {
    options.optimiser = binllm::OptimiserChoice::muon;
  } else {
    given.refuse({"muon_rate", "muon_momentum", "muon_steps"}, "--optimizer muon", optimizer);
  }
  if (decay_to == "signs") options.adamw.decay_to = binllm::DecayTarget::signs;
}

Json TrainingFlags::record() const {
  Json numbers = to_json(*this);
  numbers.update(Json(numbers["adamw"]));
  for (const char* key : {"adamw", "recompute", "evaluate_windows"}) numbers.erase(key);  // no matter for the result
  if (options.optimiser == binllm::OptimiserChoice::adamw) {  // absent, as in runs from before there was a choice
    for (const char* key : {"muon", "optimizer"}) numbers.erase(key);
  }
  if (options.adamw.decay_to == binllm::DecayTarget::zero) numbers.erase("decay_to");
  numbers["seed"] = options.seed;
  return numbers;
}

binllm::RunFolderOptions RunFlags::folder(const std::string& model) const {
  return {.resume = resume,
          .checkpoint_every = checkpoint_every,
          .may_differ = {"device", "precision"},
          .hashed = {{model, "identity"}, {"learning/model", "learning/hash"}},
          .message = [](std::string_view text) { complain(std::string(text)); }};
}

binllm::TokenStream load_text(const std::vector<std::string>& files, bool built_in, const binllm::Tokenizer& tokenizer,
                              binllm::Split split, std::uint64_t seed, std::size_t built_in_bytes) {
  if (built_in == !files.empty()) {
    throw Error(ErrorId::option_out_of_range, "text", "--text, --built-in", "exactly one of them",
                built_in ? "both" : "neither");
  }
  if (built_in) return binllm::TokenStream::from_string(binllm::stories_of(split, seed, built_in_bytes), tokenizer);
  std::vector<binllm::TokenStream> parts;
  for (const std::string& file : files) parts.push_back(binllm::load_tokens(file, tokenizer));
  return binllm::TokenStream::joined(parts);
}

binllm::TokenStream load_corpus(const std::vector<std::string>& files, bool built_in,
                                const binllm::Tokenizer& tokenizer, std::uint64_t seed, binllm::Index tokens) {
  constexpr binllm::Index least = 1 << 20;
  return load_text(files, built_in, tokenizer, binllm::Split::train, seed,
                   static_cast<std::size_t>(std::clamp(tokens, least, most_story_bytes)) + 4096);
}

std::optional<binllm::TokenStream> load_validation(const std::string& file, bool built_in,
                                                   const binllm::Tokenizer& tokenizer, std::uint64_t seed) {
  if (file.empty() && !built_in) return std::nullopt;
  return load_text(file.empty() ? std::vector<std::string>{} : std::vector{file}, file.empty(), tokenizer,
                   binllm::Split::held_out, seed, std::size_t{1} << 18);
}

Json identity(const fs::path& model, const binllm::Tokenizer& tokenizer) {
  const auto shown = [](std::uint64_t hash) { return fmt::format("{:016x}", hash); };
  Json object = Json::object();
  if (!model.empty()) {
    object["weights"] = shown(binllm::hash_of_weights(model));
    object["config"] = shown(binllm::hash_of_config(model));
  }
  object["tokenizer"] = shown(binllm::hash_of(tokenizer));
  return object;
}

Json record(const binllm::TokenStream& stream) {
  return {{"tokens", stream.size()}, {"hash", fmt::format("{:016x}", stream.hash())}};
}

Json record(const binllm::TokenStream& validation, binllm::Index windows) {
  Json object = record(validation);
  if (windows != all) object["windows"] = windows;  // absent for all, as in runs from before they were compared
  return object;
}

void RunFlags::refuse_idle(const GivenFlags& given, const fs::path& out) const {
  if (!resume || fs::exists(out / "run.json")) return;
  throw Error(ErrorId::file_missing, given.command, "--resume",
              fmt::format("a run in {} to go on with; without --resume one is begun", out.string()), "none");
}

bool DryRunFlag::ends_here(const Common& common) const {
  if (dry_run) fmt::print("{}", common.json ? "{\"dry_run\":true}\n" : "checked: nothing was written\n");
  return dry_run;
}

void ChosenModel::refuse_idle(const GivenFlags& given) const {
  binllm::check_model_path(model);
  const binllm::ModelDescription description = binllm::read_config(model);
  const auto found = fmt::format("{}, which is {}", model.string(), description.format);
  if (description.format != binllm::OneBitFormat::name && activations != binllm::FloatActivations::name)
    given.refuse({"activations"}, "float, or a packed model", found);
  const auto format = binllm::format_named<float, binllm::Cpu>(description.format, description.recipe);
  constexpr binllm::TrainingProgress end{.step = 1, .steps = 1, .chunk = 1, .chunks = 1};
  if (!format.chosen->trainable() || format.chosen->sharpness(end) == 0)
    given.refuse({"sharpness"}, "a model that is trained with a t", found);
}

namespace {

/// Whether a model's own tokenizer, if it has one that can be read, makes other ids of a text.
bool contradicts(const binllm::Tokenizer& chosen, const fs::path& model) {
  constexpr std::string_view text = "The quick brown fox jumps over 13 lazy dogs.\n\tIt was a sunny day; she said: Oh!";
  try {
    return binllm::load_tokenizer(model).encode(text) != chosen.encode(text);
  } catch (const Error&) {  // then another one is what is needed
    return false;
  }
}

}  // namespace

binllm::Tokenizer choose_tokenizer(const std::string& option, const fs::path& model) {
  if (!model.empty()) binllm::check_model_path(model);
  if (option.empty()) return binllm::load_tokenizer(model);
  auto tokenizer = binllm::load_tokenizer(fs::path(option));
  if (model.empty()) return tokenizer;
  binllm::check_vocabulary(tokenizer, binllm::read_config(model).config);
  if (contradicts(tokenizer, model)) {
    throw Error(ErrorId::config_inconsistent, "binllm", "--tokenizer",
                "one that makes the ids that the model's own makes",
                fmt::format("{}, which makes others than that of {}", option, model.string()));
  }
  return tokenizer;
}

namespace {
std::string& stored_command_line() {
  static std::string line;
  return line;
}
}  // namespace

const std::string& command_line() { return stored_command_line(); }

void remember_command_line(int count, char** arguments) {
  std::string line = "binllm";
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const bool plain = !word.empty() && word.find_first_of(" \t\n'\"\\$&|;<>()*?`") == word.npos;
    line += ' ';
    if (plain) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  stored_command_line() = line;
}

}  // namespace program
