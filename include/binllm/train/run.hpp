// SPDX-License-Identifier: MIT
/// What a training run tells the world and where it can stop and go on: the seam between trainers and files.
#pragma once
#include <binllm/core/shape.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// One number of a report, such as {"loss", 1.25}.
struct Metric {
  std::string_view name;
  double value;
};

/// Everything that a run needs to go on as if it had never stopped: named blocks of host memory and counters.
/// Data order and random numbers are functions of the step, so the step stands for them.
struct TrainingState {
  struct Block {
    std::string name;
    void* data;
    std::size_t bytes;
  };
  struct Counter {
    std::string name;
    std::uint64_t* value;
  };
  /// A block that an older version wrote in place of several of these. Each of them lies `offset` bytes into it.
  struct Former {
    struct Piece {
      std::size_t block, offset;
    };
    std::string name;
    std::size_t bytes;
    std::vector<Piece> pieces;
  };
  std::vector<Block> blocks;
  std::vector<Counter> counters;
  std::vector<Former> former{};  ///< read where they are found, never written
};

/// Receives reports and keeps states. The default listens to nothing and keeps nothing.
class RunLog {
 public:
  virtual ~RunLog() = default;
  /// `phase` is "pretrain", "channel_scale" or "progressive"; `step` of `steps` is done.
  virtual void report(std::string_view /*phase*/, Index /*step*/, Index /*steps*/,
                      std::span<const Metric> /*metrics*/) {}
  /// Whether the state after this step is to be saved.
  [[nodiscard]] virtual bool wants_checkpoint(Index /*step*/, Index /*steps*/) { return false; }
  /// Keeps a state durably before it returns.
  virtual void save(std::string_view /*phase*/, const TrainingState& /*state*/) {}
  /// Of which parameters and buffers the log wants to see the values after this step, without keeping them: those whose
  /// names begin with the text; empty: none.
  [[nodiscard]] virtual std::string wants_look(Index /*step*/, Index /*steps*/) { return {}; }
  /// Shows the blocks "values/NAME" and "buffers/NAME" that were asked for.
  virtual void look(std::string_view /*phase*/, const TrainingState& /*state*/) {}
  /// Overwrites the blocks and counters with the newest kept state of the phase; false if there is none.
  [[nodiscard]] virtual bool restore(std::string_view /*phase*/, TrainingState& /*state*/) { return false; }
};

}  // namespace binllm
