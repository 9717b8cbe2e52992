// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/folders/run.hpp>
#include <binllm/io/folders/run_record.hpp>

#include <cmath>
#include <limits>
#include <string>

using namespace binllm::test;
using binllm::append;
using binllm::Error;
using binllm::ErrorId;
using binllm::Metric;
using binllm::read_run;
using binllm::ReportReader;
using binllm::RunFolder;
using binllm::RunLines;
using binllm::RunRecord;

namespace {

const double not_a_number = std::numeric_limits<double>::quiet_NaN(),
             infinity = std::numeric_limits<double>::infinity();

/// Reports a step with a validation loss, and adds its sample as a training would.
void step(RunFolder& folder, RunLines& samples, int number, double loss) {
  const std::vector<Metric> metrics{{"loss", loss}, {"validation_loss", loss}};
  folder.report("pretrain", number, 4, metrics);
  append(samples, {"pretrain", number, 0, "Once", " number " + std::to_string(number)});
}

}  // namespace

TEST_CASE("what a run wrote is read back; a line that is not whole yet is left out") {
  const TemporaryFolder folder;
  {
    RunFolder run(folder / "run", R"({"command":"pretrain"})");
    RunLines samples(folder / "run", "samples.jsonl"), histograms(folder / "run", "histograms.jsonl");
    step(run, samples, 1, 3.5);
    const std::vector<Metric> metrics{{"loss", not_a_number}, {"validation_loss_f", 2}, {"validation_loss_sign", 2.5}};
    run.report("progressive", 2, 4, metrics);
    append(samples, {"progressive", 2, infinity, "Once", "half a character: \xc3"});
    append(histograms, {"progressive", 2, 1, 0.5, "model.layers.0.mlp.down_proj", -1, 1, {3, 0, 4}});
    binllm::append_command(folder / "run", "binllm pretrain --out 'a b'");
  }
  const auto metrics = folder / "run" / "metrics.jsonl";
  write_text(metrics, read_text(metrics) + R"({"phase":"progressive","st)");

  const RunRecord run = read_run(folder / "run");
  CHECK(run.config.find("pretrain") != std::string::npos);
  CHECK(run.commands == std::vector<std::string>{"binllm pretrain --out 'a b'"});
  REQUIRE(run.reports.size() == 2);
  CHECK(run.reports[0].number("loss") == 3.5);
  CHECK(run.reports[0].judged_by() == 3.5);
  CHECK(std::isnan(*run.reports[1].number("loss")));
  CHECK(!run.reports[1].number("absent"));
  CHECK(run.reports[1].steps == 4);
  CHECK(run.best() == &run.reports[1]);
  REQUIRE(run.samples.size() == 2);
  CHECK(run.samples[0].text == " number 1");
  CHECK(std::isinf(run.samples[1].t));
  CHECK(run.samples[1].text == "half a character: \xef\xbf\xbd");
  REQUIRE(run.histograms.size() == 1);
  CHECK(run.histograms[0].counts == std::vector<binllm::Index>{3, 0, 4});
  CHECK(run.histograms[0].t == 0.5);
  CHECK(run.results.empty());
}

TEST_CASE("logs beside the metrics are cut with them: a resumed run has every line once") {
  const TemporaryFolder folder;
  double weight = 0;
  binllm::TrainingState state{{{"values", &weight, sizeof weight}}, {}};
  {
    RunFolder run(folder / "run", "{}", {.checkpoint_every = 2});
    RunLines samples(folder / "run", "samples.jsonl");
    step(run, samples, 1, 4);
    step(run, samples, 2, 3);
    run.save("pretrain", state);
    step(run, samples, 3, 2);  // and is killed before the next checkpoint
  }
  {
    RunFolder run(folder / "run", "{}", {.resume = true, .checkpoint_every = 2});
    RunLines samples(folder / "run", "samples.jsonl");
    CHECK(samples.holds("pretrain", 2));
    CHECK(!samples.holds("pretrain", 3));
    CHECK(!samples.holds("progressive", 2));
    REQUIRE(run.restore("pretrain", state));
    step(run, samples, 3, 2);
    step(run, samples, 4, 1);
  }
  const RunRecord run = read_run(folder / "run");
  REQUIRE(run.reports.size() == 4);
  REQUIRE(run.samples.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(run.samples[i].step == static_cast<binllm::Index>(i) + 1);
  CHECK(run.best()->step == 4);
  // Without a checkpoint all is begun again, and nothing of the first try is left.
  RunFolder other(folder / "other", "{}");
  { RunLines(folder / "other", "samples.jsonl").append(R"({"phase":"pretrain","step":1})"); }
  { RunLines again(folder / "other", "samples.jsonl"); }
  CHECK(read_text(folder / "other" / "samples.jsonl").empty());
}

TEST_CASE("metrics are read while they grow, and anew after they were cut") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  ReportReader reader(folder.path());
  CHECK(!reader.update());
  const std::string first = R"({"phase":"pretrain","step":1,"steps":2,"loss":2.0})"
                            "\n";
  write_text(path, first + R"({"phase":"pretrain")");
  CHECK(reader.update());
  CHECK(reader.reports().size() == 1);
  CHECK(!reader.update());
  write_text(path, first + R"({"phase":"pretrain","step":2,"steps":2,"loss":1.0})"
                           "\n");
  CHECK(reader.update());
  REQUIRE(reader.reports().size() == 2);
  CHECK(reader.reports()[1].number("loss") == 1.0);
  write_text(path, first);
  CHECK(reader.update());
  CHECK(reader.reports().size() == 1);
}

TEST_CASE("a folder that is no run, and lines that no run writes, are refused by name") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { static_cast<void>(read_run(folder / "absent")); }).id() == ErrorId::file_missing);
  write_text(folder / "run.json", "{}");
  CHECK(read_run(folder.path()).reports.empty());
  for (const char* line : {"{\"phase\":\"pretrain\"}\n", "{\"phase\":1,\"step\":1,\"steps\":1}\n", "no json\n",
                           "{\"phase\":\"p\",\"step\":1,\"steps\":1,\"loss\":\"low\"}\n"}) {
    write_text(folder / "metrics.jsonl", line);
    const Error error = error_of([&] { static_cast<void>(read_run(folder.path())); });
    CHECK(error.id() == ErrorId::config_invalid);
    CHECK(contains(error.what(), "metrics.jsonl"));
  }
}
