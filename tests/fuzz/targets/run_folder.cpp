// SPDX-License-Identifier: MIT
#include "../small_run.hpp"
#include "../target.hpp"

#include <binllm/io/folders/run.hpp>

namespace binllm::fuzz {
namespace {

/// Goes on with the run in a folder, whatever is there: one step, one line of the log, one checkpoint.
void go_on(const std::filesystem::path& folder, std::string& messages) {
  RunFolder log(folder, small_run_config,
                {.resume = true, .checkpoint_every = 1, .message = [&](std::string_view text) { messages += text; }});
  SmallRun run;
  TrainingState parts = run.parts();
  const bool restored = log.restore("first", parts);
  require(!restored || log.resumed(), "a state comes from a run that goes on");
  ++run.step;
  log.report("first", 1, 4, std::array{Metric{"loss", 1.5}});
  if (log.wants_checkpoint(1, 4)) log.save("first", parts);
}

bool run(std::string_view input) {
  static InputFolder folder({"run.json", "run.json.tmp", "metrics.jsonl", "README.md",
                             "checkpoints/first-1.safetensors", "checkpoints/first-2.safetensors",
                             "checkpoints/second-1.safetensors", "checkpoints/first-3.safetensors.tmp"});
  return read_mended(input, [](const std::string& bytes) {
    std::string messages;
    go_on(folder.with(bytes), messages);
    std::string mended = bytes;  // checkpoints that were set aside because of their checksum
    if (mend_checksum(mended, messages)) go_on(folder.with(mended), messages);
  });
}

const Registered here("run_folder", run);

}  // namespace
}  // namespace binllm::fuzz
