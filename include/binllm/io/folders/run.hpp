// SPDX-License-Identifier: MIT
/// A training run as a folder: run.json (the effective configuration), metrics.jsonl, checkpoints/.
#pragma once
#include <binllm/io/containers/json_lines.hpp>
#include <binllm/train/run.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

struct RunFolderOptions {
  bool resume = false;         ///< go on with the run in the folder; start one where there is none
  Index checkpoint_every = 0;  ///< steps between checkpoints; there is one at the end of each phase too. 0: none at all
  std::vector<std::string> may_differ{};  ///< keys of the configuration that a resumed run may have otherwise, such as
                                          ///< "device" or "model/start"
  /// Where something lies, and the key of the hash of its content. The place may differ where the run in the folder has
  /// the hash; runs of older versions have none, and there the place must be the same.
  struct Hashed {
    std::string place, hash;
  };
  std::vector<Hashed> hashed{};
  std::function<void(std::string_view)> message{};  ///< hears of damaged checkpoints, and from where a run goes on; may
                                                    ///< be empty
};

/// Keeps a run so that, killed at any moment and resumed, it ends as one that was never stopped: same states, and
/// metrics.jsonl without gap or repeat.
///
/// A checkpoint holds all blocks and counters and the length of metrics.jsonl, under a checksum; the log is made
/// durable before the checkpoint, the checkpoint before an older one goes (two are kept of each phase). Opening the
/// folder again cuts the log to the length in the newest good checkpoint of all phases. Until that one has been
/// restored, the program repeats what was done (earlier phases): its reports are in the log already and are dropped,
/// its states are not saved.
class RunFolder final : public RunLog {
 public:
  /// `effective_config` is a JSON object with everything that decides the result of the run. run.json keeps the one
  /// that the run was begun with.
  /// Errors: write_failed (a folder that cannot be written, is in use by another run, or holds files while
  /// options.resume is off), config_invalid (no JSON object), resume_mismatched (the folder's run had another
  /// configuration, listing the differing keys; a log shorter than the checkpoint says), option_out_of_range.
  RunFolder(std::filesystem::path folder, std::string_view effective_config, RunFolderOptions options = {});

  /// What opening it would refuse, as far as that can be seen without writing anything. Errors: those of the
  /// constructor.
  static void check(const std::filesystem::path& folder, std::string_view effective_config,
                    const RunFolderOptions& options = {});

  void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override;
  [[nodiscard]] bool wants_checkpoint(Index step, Index steps) override;
  /// Errors: write_failed; all older checkpoints are intact then.
  void save(std::string_view phase, const TrainingState& state) override;
  /// Errors: resume_mismatched, listing blocks and counters that differ; the state is untouched then.
  [[nodiscard]] bool restore(std::string_view phase, TrainingState& state) override;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return folder_; }
  /// Whether this run goes on from a checkpoint.
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }

 private:
  struct Checkpoint {
    std::filesystem::path path;
    std::string phase;
    std::uint64_t sequence, metrics_bytes;
  };
  /// Whether there was a run in the folder.
  [[nodiscard]] bool begin(std::string_view effective_config);
  void find_checkpoints();
  void prune(std::string_view phase);
  void say(const std::string& text) const;

  std::filesystem::path folder_;
  RunFolderOptions options_;
  FileDescriptor lock_;
  std::optional<JsonLines> metrics_;
  std::vector<Checkpoint> kept_;  ///< ascending sequence
  bool resumed_ = false, repeating_ = false;
};

}  // namespace binllm
