// SPDX-License-Identifier: MIT
/// What holds for every method of the list, whatever it is: a method is tested here by standing there.
#include <binllm/io/folders/model.hpp>
#include <binllm/methods/table.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/train/progressive.hpp>

#include "../io/support.hpp"
#include "../support/any_model.hpp"
#include "../support/tensor_bytes.hpp"

#include <cmath>
#include <set>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

using Model = ErasedModel<LlamaArchitecture, float, Cpu>;

Model tiny() {
  Model model(tiny_config(256), format_named<float, Cpu>(FullPrecisionFormat::name, {}));
  initialise(model, 3, 0.3);
  return model;
}

/// Losses of a short training as the method's kind has it, from step to step.
std::vector<double> train_shortly(Model& model, Index steps, double learning_rate) {
  const TrainingOptions options{.tokens = steps * 4 * 16,
                                .batch = 4,
                                .context = 16,
                                .learning_rate = learning_rate,
                                .last_learning_rate = learning_rate,
                                .report_every = 1};
  std::vector<double> losses;
  OnReport log([&](auto, auto, auto, auto metrics) { losses.push_back(metrics[0].value); });
  train_progressively(model, byte_stories(), {.chunks = 0, .training = options}, nullptr, &log);
  return losses;
}

bool all_finite(const Tensor<float>& x) { return x.view().flat().isFinite().all(); }

}  // namespace

TEST_CASE("every method: has a name of its own, and says where it comes from") {
  std::set<std::string_view> names;
  for (const MethodEntry& method : method_table()) {
    CAPTURE(method.name);
    CHECK(names.insert(method.name).second);
    for (const std::string_view text :
         {method.summary, method.source, method.facts.weight, method.facts.granularity, method.facts.estimator,
          method.facts.learnable, method.facts.activations, method.facts.teacher, method.facts.bits})
      CHECK(!text.empty());
    CHECK(method.published.optimiser.learning_rate > 0);
    CHECK((method.facts.teacher == "-") == !method.published.loss.wants_teacher());
  }
}

TEST_CASE("every method: has its row in docs/methods/index.md, and a page that names it") {
  const std::string page = read_text(std::filesystem::path(BINLLM_SOURCE_DIR) / "docs" / "methods" / "index.md");
  REQUIRE(!page.empty());
  CHECK(page.find(method_columns) != std::string::npos);
  std::size_t rows = 0;
  for (const MethodEntry& method : method_table()) {
    CAPTURE(method.name);
    const std::string start = fmt::format("\n| [{}](", method.name);
    const std::size_t at = page.find(start);
    REQUIRE(at != std::string::npos);
    const std::size_t file = at + start.size(), end = page.find(')', file);
    const std::string name = page.substr(file, end - file);
    CHECK(page.find(method_row(method, fmt::format("[{}]({})", method.name, name))) != std::string::npos);
    const auto own = read_text(std::filesystem::path(BINLLM_SOURCE_DIR) / "docs" / "methods" / name);
    CHECK(own.find(method.name) != std::string::npos);
  }
  for (std::size_t at = 0; (at = page.find("\n| [", at)) != std::string::npos; ++at) ++rows;
  CHECK(rows == method_table().size());
}

TEST_CASE("every method: trains, is saved, loaded, stored, and runs") {
  const auto ids = random_ids({2, 9}, 256, 4);
  for (const MethodEntry& method : method_table()) {
    CAPTURE(method.name);
    const auto format = format_named<float, Cpu>(method.format, method.words);
    Model model = quantised(tiny(), format);
    const auto losses = train_shortly(model, 40, 1e-2);
    for (const double loss : losses) CHECK(std::isfinite(loss));
    CHECK(fall(losses) < 0.9);

    const TemporaryFolder folder;
    const auto logits = logits_of(model, ids.view());
    CHECK(all_finite(logits));
    save(model, folder / "trained");
    const ModelDescription description = read_config(folder / "trained");
    CHECK(description.format == method.format);
    const Model again =
        load_model<Model>(folder / "trained", format_named<float, Cpu>(description.format, description.recipe));
    CHECK(tensors_of(again) == tensors_of(model));
    CHECK(same_bits(logits_of(again, ids.view()).view(), logits.view()));

    if (format.chosen->stored_name().empty()) continue;
    const Model runs = stored(model, stored_format(format, true));
    save(runs, folder / "stored");
    const ModelDescription form = read_config(folder / "stored");
    CHECK(form.format == format.chosen->stored_name());
    const Model loaded = load_model<Model>(folder / "stored", format_named<float, Cpu>(form.format, form.recipe, true));
    CHECK(tensors_of(loaded) == tensors_of(runs));
    const auto stored_logits = logits_of(loaded, ids.view());
    CHECK(same_bits(stored_logits.view(), logits_of(runs, ids.view()).view()));
    const double largest = logits.view().flat().abs().maxCoeff();
    CHECK(largest_difference(stored_logits, logits) < 0.05 * largest);
    CHECK(largest_difference(decoded_logits(loaded, ids.view().middle_rows(0, 1)),
                             logits_of(loaded, ids.view().middle_rows(0, 1))) < 1e-4 * largest);
    try {
      const Model dense = restored(loaded, format_named<float, Cpu>(FullPrecisionFormat::name, {}));
      CHECK(largest_difference(logits_of(dense, ids.view()), stored_logits) < 1e-4 * largest);
    } catch (const Error& error) {  // a form whose layers do more than multiply with a weight
      CHECK(error.id() == ErrorId::config_inconsistent);
    }
  }
}
