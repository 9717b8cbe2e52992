// SPDX-License-Identifier: MIT
/// What a run wrote into its folder, read back: for pictures, for pages, and for programs that watch. And the logs that
/// stand beside metrics.jsonl and are cut with it.
#pragma once
#include <binllm/io/containers/json_lines.hpp>

#include <binllm/core/shape.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// A line of metrics.jsonl. A number that was not finite is NaN.
struct RunReport {
  std::string phase;
  Index step = 0, steps = 0;
  std::map<std::string, double, std::less<>> numbers;

  [[nodiscard]] std::optional<double> number(std::string_view name) const {
    const auto found = numbers.find(name);
    return found == numbers.end() ? std::nullopt : std::optional(found->second);
  }
  /// The loss that a model is judged by at this step: of stage 2, with Sign. Empty where no evaluation was due.
  [[nodiscard]] std::optional<double> judged_by() const {
    const auto sign = number("validation_loss_sign");
    return sign ? sign : number("validation_loss");
  }
};

/// A line of samples.jsonl: what the model made of the run's prompt. `t` is infinite where it computed with Sign.
struct RunSample {
  std::string phase;
  Index step = 0;
  double t = 0;
  std::string prompt, text;  ///< `text` without the prompt
};

/// A line of histograms.jsonl: the weights W_b that a linear layer multiplied with, in equal bins of [low, high].
struct WeightHistogram {
  std::string phase;
  Index step = 0, chunk = 0;
  double t = 0;
  std::string layer;
  double low = 0, high = 0;
  std::vector<Index> counts;
};

/// A run's folder.
struct RunRecord {
  std::filesystem::path folder;
  std::string config;                 ///< run.json, a JSON object
  std::vector<std::string> commands;  ///< that began it and went on with it, as typed
  std::vector<RunReport> reports;
  std::vector<RunSample> samples;
  std::vector<WeightHistogram> histograms;
  std::string results;  ///< results.json, with the rows of its table; empty until the run has ended

  /// The report with the lowest loss that a model is judged by; null without evaluations.
  [[nodiscard]] const RunReport* best() const;
};

/// Reads a run, finished or not. A last line that is not whole yet is left out, and so are logs that are not there.
/// Errors: file_missing (no run.json in the folder), config_invalid (run.json, or a line that no run writes).
[[nodiscard]] RunRecord read_run(const std::filesystem::path& folder);

/// Reads metrics.jsonl while it grows.
class ReportReader {
 public:
  explicit ReportReader(const std::filesystem::path& folder) : path_(folder / "metrics.jsonl") {}
  /// Adds the lines since the last call; a log that was cut meanwhile, by a run that goes on, is read anew. Returns
  /// whether there is anything new. Errors: config_invalid.
  bool update();
  [[nodiscard]] const std::vector<RunReport>& reports() const noexcept { return reports_; }

 private:
  std::filesystem::path path_;
  std::uint64_t read_ = 0;
  std::vector<RunReport> reports_;
};

/// A log of a run beside metrics.jsonl, of lines that belong to a report each, such as samples.jsonl. Opened after the
/// run's folder, it keeps the lines whose reports the folder has kept, and drops the others: a run that was killed and
/// resumed ends with the same lines. Errors: write_failed; config_invalid (metrics.jsonl).
class RunLines {
 public:
  RunLines(const std::filesystem::path& folder, std::string_view name);
  /// Whether the step has its lines already: a phase that is repeated writes none.
  [[nodiscard]] bool holds(std::string_view phase, Index step) const {
    return kept_.contains({std::string(phase), step});
  }
  /// Appends a JSON object with members "phase" and "step", durably.
  void append(std::string_view json_object_line);

 private:
  using Key = std::pair<std::string, Index>;
  std::filesystem::path path_;
  std::set<Key> kept_;
  std::optional<JsonLines> lines_;  ///< opened by the first line, where there is no file yet
};

/// Appends a line of samples.jsonl or histograms.jsonl.
void append(RunLines& lines, const RunSample& sample);
void append(RunLines& lines, const WeightHistogram& histogram);
/// Appends the command line to commands.jsonl, with the version and the time.
void append_command(const std::filesystem::path& folder, std::string_view command);

}  // namespace binllm
