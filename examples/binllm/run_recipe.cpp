// SPDX-License-Identifier: MIT
// The recipe from a full-precision model to what is stored, with a row of the table for each of its states.
#include "commands.hpp"
#include "records.hpp"

#include <binllm/policy/runtime.hpp>

#include <fmt/core.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace program {

namespace {
[[nodiscard]] bool by_groups(const binllm::RecipeNames& recipe) {
  return recipe.scale_traits().granularity == binllm::Granularity::group;
}
}  // namespace

binllm::RecipeNames ChosenFormat::recipe() const {
  return {.estimator = words.at("estimator"),
          .scale = words.at("scale"),
          .schedule = words.at("schedule"),
          .granularity = words.at("granularity"),
          .channel_scale = words.at("channel_scale")};
}

std::vector<ResultRow> run_recipe(binllm::AnyModel model, const RecipeJob& job, const binllm::AnyDevice& device,
                                  Progress& progress) {
  const ChosenFormat& format = job.format;
  std::vector<ResultRow> rows;
  std::vector<fs::path> folders;  // of each row: where its model lies, or one that costs as much
  const auto add_row = [&](std::string name, const binllm::AnyModel& judged, double sharpness, const fs::path& folder) {
    if (!job.validation) return;
    rows.push_back(
        row_of(std::move(name), judge(judged, *job.validation, job.evaluation(sharpness), job.parallel.ranks)));
    folders.push_back(folder);
    progress.say(fmt::format("{:<26} nll {:.4f}", rows.back().name, rows.back().nll));
  };
  const fs::path trained = job.out / format.name;
  const std::string stored_name(
      binllm::format_named<float, binllm::Cpu>(format.name, format.words).chosen->stored_name());
  const bool stores = !stored_name.empty() && !(format.is_binary() && by_groups(format.recipe()));
  const fs::path runs = job.out / (stores ? stored_name : format.name);

  add_row("full precision", model, 0, job.source);
  model = model.quantise(format.name, format.words);
  add_row(format.is_binary() ? "naive sign" : "not trained", model, infinity, runs);
  if (job.has_stage_1()) {
    progress.interruptible(
        [&](auto* log) { return model.search_channel_scale(job.corpus, job.search, log, job.parallel); });
    add_row("after stage 1", model, infinity, runs);
  }
  std::map<std::string, std::string> more;
  double t = infinity;
  if (format.is_binary()) {
    t = binllm::RuntimeSchedule::named(format.recipe().schedule)(binllm::schedule_end);
    more["t"] = fmt::format("{}", t);
    if (!job.has_stage_1()) more["channel_scale"] = to_string(binllm::ChannelSharing::none);
  }
  const binllm::SaveOptions saved{.tokenizer = job.tokenizer, .recipe = more, .source = job.source};
  if (job.records != nullptr) job.records->follow(model, saved);
  progress.interruptible([&](auto* log) {
    const auto* const validation = job.validation ? &*job.validation : nullptr;
    return model.train_progressively(job.corpus, job.training, validation, log, job.loss, job.parallel);
  });
  add_row(format.row, model, t, trained);
  if (job.writes()) model.save(trained, saved);

  if (stores) {
    const auto stored = model.pack("float");
    if (job.writes()) stored.save(runs, {.tokenizer = job.tokenizer, .source = job.source});
    add_row(std::string(stored.format()), stored, infinity, runs);
    if (!device.gpu && stored.format() == binllm::OneBitFormat::name)
      add_row(fmt::format("{}, int8 activations", stored.format()), model.pack("int8"), infinity, runs);
  } else if (format.is_binary()) {
    add_row("sign, not packed", model, infinity, trained);
    progress.say("group scales cannot be packed: only the binary folder is written");
  } else {
    progress.say(fmt::format("{} has no stored form: only its trainable folder is written", format.name));
  }
  for (std::size_t row = 0; job.writes() && row < rows.size(); ++row) add_cost(rows[row], folders[row]);
  return rows;
}

}  // namespace program
