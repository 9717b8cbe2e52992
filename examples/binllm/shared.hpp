// SPDX-License-Identifier: MIT
/// What several subcommands take: threads and seeds, a device, texts, a training and its checkpoints.
#pragma once
#include "options.hpp"

#include <binllm/data/story_corpus.hpp>
#include <binllm/data/token_stream.hpp>
#include <binllm/io/any/any_model.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/train/options.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace program {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

inline constexpr auto all = std::numeric_limits<binllm::Index>::max();
inline constexpr auto infinity = std::numeric_limits<double>::infinity();
inline constexpr std::string_view other_tokenizer =
    "'byte', a tokenizer file or a folder with one, instead of the model's";

/// Options of every subcommand. One that draws nothing leaves `seed` out.
struct Common {
  int threads = 0;
  std::uint64_t seed = 1;
  bool json = false;
  GivenFlags given{};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("threads", self.threads, "threads to work with; 0: all cores", between(0, 1024));
    v("seed", self.seed, "seed of initial weights, data order and sampling", at_least(0));
    v("json", self.json, "print one JSON object instead of text", any);
  }
  /// Puts `threads` into force. Called first by each subcommand.
  void apply() const;
};

/// Of a command that may work long before it has written what it makes.
struct DryRunFlag {
  bool dry_run = false;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("dry_run", self.dry_run, "check the input as the run would, and write nothing", any);
  }
  /// Stands where a command has checked all that it refuses, and written nothing yet: a dry run says so and ends.
  [[nodiscard]] bool ends_here(const Common& common) const;
};

/// Where a command computes, and in which numbers.
struct DeviceChoice {
  std::string device = "cpu", precision = "float32";
  binllm::AnyDevice chosen{};  ///< once `apply` has put the choice into force

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("device", self.device, "where to compute: cpu, cuda or cuda:N", with_known({"cpu", "cuda"}));
    v("precision", self.precision,
      "float32, or bf16 (parameters stay float); on a GPU also tf32 (products on tensor cores)",
      with_known({"float32", "bf16", "tf32"}));
  }
  /// Before any work. Errors: unknown_name; config_inconsistent for a precision that the device does not have;
  /// device_missing.
  void apply();
  /// Of the CPU's forecast, which stands for a GPU too.
  [[nodiscard]] binllm::Precision forecast_precision() const {
    return chosen.gpu ? binllm::Precision::float32 : chosen.precision;
  }
  /// "2 threads", "2 threads, bf16" or "NVIDIA H200 (150.1 GB), bf16".
  [[nodiscard]] std::string description() const;
  /// Adds "device" and "precision".
  void add_to(Json& object) const;
  /// Adds "peak_resident_bytes" and, of a GPU, "peak_gpu_bytes".
  void add_peaks_to(Json& object) const;
  /// "12.3 MB", and what was taken of the GPU's memory.
  [[nodiscard]] std::string peaks() const;
};

/// The precisions that a key-value cache may have.
[[nodiscard]] inline Flag cache_precisions() {
  Flag names;
  for (const auto precision : binllm::vocabulary_precisions) names.one_of.emplace_back(name_of(precision));
  return names;
}

/// The model that a subcommand runs: a folder of any format.
struct ChosenModel {
  fs::path model;
  std::string activations{};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "model folder: full precision, binary or packed", required());
    Flag words = shown_as("int8, on a GPU float");
    words.one_of = {"int8", "float"};
    v("activations", self.activations, "of a packed model: int8 or float", words);
  }
  /// Refuses flags that do nothing for a model of this format: --activations, --sharpness. Errors: those of read_config,
  /// config_inconsistent.
  void refuse_idle(const GivenFlags& given) const;
  [[nodiscard]] binllm::AnyModel open(const DeviceChoice& device) const {
    return binllm::AnyModel::open(model, {.device = device.chosen, .activations = activations});
  }
};

/// Numbers of a training; its seed is that of the command.
struct TrainingFlags {
  binllm::TrainingOptions options = binllm::TrainingOptions::small_model();

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    const auto others = without("evaluate_windows", v);
    binllm::TrainingOptions::visit(without("seed", others), self.options);
    v("evaluate_windows", self.evaluate_windows, "windows of each of them; 0: those of --valid-windows", at_least(0));
    v("optimizer", self.optimizer, "of the weights of linear layers: adamw or muon; AdamW trains all others",
      words({"adamw", "muon"}));
    v("decay_to", self.decay_to, "where decay pulls weights of linear layers: zero, or signs (times the row's mean)",
      words({"zero", "signs"}));
  }
  binllm::Index evaluate_windows = 0;
  std::string optimizer{"adamw"}, decay_to{"zero"};

  void check() const { options.check(); }
  /// Evaluations on the way look at the windows that the last one looks at, unless a flag says otherwise.
  void complete(std::uint64_t seed, binllm::Index valid_windows) {
    options.seed = seed;
    options.evaluate_windows = evaluate_windows == 0 ? valid_windows : evaluate_windows;
  }
  /// Puts the words into force, once a method has said its own. Errors: config_inconsistent for numbers of an optimiser
  /// that is not chosen.
  void choose_optimiser(const GivenFlags& given);
  /// What decides the result, for run.json.
  [[nodiscard]] Json record() const;

 private:
  [[nodiscard]] static Flag words(std::vector<std::string> choice) {
    Flag flag;
    flag.one_of = std::move(choice);
    return flag;
  }
};

/// How often a run saves its state, and whether there is one at all.
struct RunFlags {
  binllm::Index checkpoint_every = 500;
  bool resume = false;
  DryRunFlag dry;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("checkpoint_every", self.checkpoint_every, "steps between checkpoints; 0: none", count_from(0));
    v("resume", self.resume, "go on with the run in the folder", any);
    v("dry", self.dry, "", any);
  }
  /// Errors: file_missing for --resume where there is no run to go on with.
  void refuse_idle(const GivenFlags& given, const fs::path& out) const;
  /// A run may go on on another device, and from a model or a teacher that has moved. `model`: the key of the model's
  /// place.
  [[nodiscard]] binllm::RunFolderOptions folder(const std::string& model) const;
};

/// Of the built-in stories at most; a longer training sees them again.
inline constexpr binllm::Index most_story_bytes = 1 << 24;

/// A text to learn from or to judge by: files (texts, compressed texts, token files), one after the other, or at least `built_in_bytes` of the built-in
/// stories of a split. Errors: option_out_of_range with neither or both.
[[nodiscard]] binllm::TokenStream load_text(const std::vector<std::string>& files, bool built_in,
                                            const binllm::Tokenizer& tokenizer, binllm::Split split, std::uint64_t seed,
                                            std::size_t built_in_bytes);
/// What a training of so many tokens learns from.
[[nodiscard]] binllm::TokenStream load_corpus(const std::vector<std::string>& files, bool built_in,
                                              const binllm::Tokenizer& tokenizer, std::uint64_t seed,
                                              binllm::Index tokens);
/// What it is judged by: a file, else held-out stories where it learns from stories, else nothing.
[[nodiscard]] std::optional<binllm::TokenStream> load_validation(const std::string& file, bool built_in,
                                                                 const binllm::Tokenizer& tokenizer,
                                                                 std::uint64_t seed);
/// Who the model is that a training starts from (empty: random weights), and its tokenizer, by content: for run.json.
[[nodiscard]] Json identity(const fs::path& model, const binllm::Tokenizer& tokenizer);
/// What decides which tokens are seen, for run.json.
[[nodiscard]] Json record(const binllm::TokenStream& stream);
/// The same of a text that is judged by: of all its windows, or of so many.
[[nodiscard]] Json record(const binllm::TokenStream& validation, binllm::Index windows);

/// "byte", a file or folder of a tokenizer, or what the model folder has. Errors: those of load_tokenizer;
/// config_inconsistent where the model, if there is one, has fewer tokens, or a tokenizer that makes other ids of a text.
[[nodiscard]] binllm::Tokenizer choose_tokenizer(const std::string& option, const fs::path& model);

/// The command line as a user would type it again.
[[nodiscard]] const std::string& command_line();
void remember_command_line(int count, char** arguments);

}  // namespace program
