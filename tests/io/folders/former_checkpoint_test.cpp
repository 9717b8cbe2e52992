// SPDX-License-Identifier: MIT
// Checkpoints of version 0.1: three blocks for all parameters, decaying ones first, each on a line of 64 bytes.
#include "../support.hpp"
#include "support/small_llama.hpp"

#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/checkpoint.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/train/progressive.hpp>

#include <cstring>

using namespace binllm;
using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

/// Ends the run once the state after a step has been saved.
struct Killed {};
struct StopAfter : RunLog {
  RunLog& next;
  std::uint64_t step;
  StopAfter(RunLog& log, std::uint64_t last) : next(log), step(last) {}
  bool wants_checkpoint(Index now, Index steps) override { return next.wants_checkpoint(now, steps); }
  void save(std::string_view phase, const TrainingState& state) override {
    next.save(phase, state);
    if (*state.counters[0].value == step) throw Killed{};
  }
};

auto start() { return binarize<PaperRecipe<float>>(small_llama<float>()); }
using Model = decltype(start());

void train_on(Model& model, RunLog& log) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 2000; ++i) ids.push_back(i * i % 37);
  const ProgressiveOptions options{.chunks = 4, .training = {.tokens = 8 * 48, .batch = 4, .context = 12}};
  train_progressively(model, TokenStream::from_tokens(std::move(ids)), options, nullptr, &log);
}

/// The state of a file in the form of version 0.1, written over it.
void write_in_former_form(const fs::path& path, const Model& model) {
  std::vector<std::vector<std::byte>> kept;
  TrainingState state;
  std::vector<std::uint64_t> counters;
  {
    const SafetensorsFile file(path);
    for (const std::string block : {"values", "first_moment", "second_moment"}) {
      auto& bytes = kept.emplace_back();
      for (const bool decays : {true, false}) {
        for_each_parameter(model, [&](const std::string& name, const Parameter<float>& parameter) {
          if (parameter.rule.decays != decays) return;
          const TensorInfo* tensor = file.find(block + "/" + name);
          REQUIRE(tensor != nullptr);
          const auto values = file.bytes(*tensor);
          bytes.insert(bytes.end(), values.begin(), values.end());
          bytes.resize((bytes.size() + 63) / 64 * 64);
        });
      }
    }
    const auto signs = file.bytes(*file.find("signs"));
    kept.emplace_back(signs.begin(), signs.end());
    for (const char* const name : {"step", "last_loss"})
      counters.push_back(std::stoull(file.metadata().at(std::string("counter.") + name)));
  }
  const std::array names{"values", "first_moment", "second_moment", "signs"};
  for (std::size_t i = 0; i < names.size(); ++i) state.blocks.push_back({names.at(i), kept[i].data(), kept[i].size()});
  state.counters = {{"step", &counters[0]}, {"last_loss", &counters[1]}};
  write_checkpoint(path, verify_checkpoint(path), state);
}

}  // namespace

TEST_CASE("a run goes on from a checkpoint of version 0.1, to the same bits") {
  const TemporaryFolder folder;
  auto whole = start(), killed = start(), resumed = start();
  RunLog silent;
  train_on(whole, silent);
  const fs::path newest = folder / "run/checkpoints/progressive-4.safetensors";
  {
    RunFolder log(folder / "run", "{}", {.checkpoint_every = 2});
    StopAfter stopping(log, 4);
    CHECK_THROWS_AS(train_on(killed, stopping), Killed);
  }
  write_in_former_form(newest, killed);
  CHECK(SafetensorsFile(newest).find("values") != nullptr);
  {
    RunFolder log(folder / "run", "{}", {.resume = true, .checkpoint_every = 2});
    CHECK(log.resumed());
    train_on(resumed, log);
  }
  CHECK(same_bits(resumed.block.values.view(), whole.block.values.view()));
  // What is written now names every parameter.
  const SafetensorsFile written(folder / "run/checkpoints/progressive-8.safetensors");
  CHECK(written.find("values") == nullptr);
  CHECK(written.find("first_moment/model.layers.1.mlp.up_proj.weight") != nullptr);
}

TEST_CASE("a checkpoint of version 0.1 of another model is refused with the sizes of its blocks") {
  const TemporaryFolder folder;
  auto model = start();
  {
    RunFolder log(folder / "run", "{}", {.checkpoint_every = 2});
    StopAfter stopping(log, 2);
    CHECK_THROWS_AS(train_on(model, stopping), Killed);
  }
  write_in_former_form(folder / "run/checkpoints/progressive-2.safetensors", model);
  auto config = small_config();
  config.vocab_size = 38;
  auto other = binarize<PaperRecipe<float>>(small_llama<float>(config));
  RunFolder log(folder / "run", "{}", {.resume = true, .checkpoint_every = 2});
  const Error error = error_of([&] { train_on(other, log); });
  CHECK(error.id() == ErrorId::resume_mismatched);
  CHECK(error.found().find("block values: wanted") != std::string::npos);
  CHECK(error.found().find("signs") == std::string::npos);
}
