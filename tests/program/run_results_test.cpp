// SPDX-License-Identifier: MIT
/// What a run leaves to look at: samples, histograms, the best model, its README; pictures, the page, curves.
#include "program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <vector>

using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::vector<json> lines_of(const fs::path& path) {
  std::vector<json> lines;
  std::istringstream text(read_text(path));
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

bool has(const std::string& program) { return ::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0; }

/// A text of its own, long enough for a window of the end.
std::string story() {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "Once there was a cat & a <b>dog</b> number " + std::to_string(i % 7) + ".\n";
  return text;
}

}  // namespace

TEST_CASE("a run keeps samples, the best model, histograms and a README; killed and resumed it keeps the same") {
  const TemporaryFolder folder;
  const std::string text = (folder / "text.txt").string(), model = (folder / "model").string();
  write_text(text, story());
  const auto trained = run(
      folder, "pretrain --text " + text + " --tokens 4096 --evaluate-every 8 --sample-tokens 5 --out " + model + tiny);
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.error, "judged by the last "));
  const json config = json::parse(read_text(folder / "model" / "run.json"));
  const auto learnt = config.at("text").at("tokens").get<int>(),
             judged = config.at("validation").at("tokens").get<int>();
  CHECK(learnt + judged == static_cast<int>(story().size()));
  CHECK(judged == static_cast<int>(0.05 * static_cast<double>(story().size())));
  const auto samples = lines_of(folder / "model" / "samples.jsonl");
  REQUIRE(samples.size() == 4);  // 32 steps of 128 tokens
  for (const json& sample : samples) {
    CHECK(sample.at("prompt") == samples[0].at("prompt"));
    CHECK(sample.at("t") == 0);
  }
  const std::string readme = read_text(folder / "model" / "README.md");
  CHECK(contains(readme, "| trained "));
  CHECK(contains(readme, "| best, step "));
  CHECK(contains(readme, "binllm pretrain --text"));
  CHECK(run(folder, "evaluate --built-in --windows 2 --context 32 --threads 1 --model " + model + "/best").code == 0);

  const std::string flags =
      "binarize --model " + model + " --text " + text +
      " --tokens 20000 --batch 4 --context 32 --chunks 5 --channel-scale-steps 3 --valid-windows 4 "
      "--evaluate-every 20 --sample-prompt 'Once there' --sample-tokens 4 --checkpoint-every 30 "
      "--threads 1 --out ";
  REQUIRE(run(folder, flags + (folder / "whole").string()).code == 0);
  const std::string killed = (folder / "killed").string();
  for (const char* seconds : {"0.1", "0.2"})
    static_cast<void>(::system(("timeout -s KILL " + std::string(seconds) + " " + BINLLM_PROGRAM + " " + flags +
                                killed + resume_of(killed) + " >/dev/null 2>&1")
                                   .c_str()));
  REQUIRE(run(folder, flags + killed + resume_of(killed)).code == 0);
  for (const char* file : {"samples.jsonl", "histograms.jsonl", "best/model.safetensors", "binary/model.safetensors"})
    CHECK(read_text(folder / "whole" / file) == read_text(folder / "killed" / file));

  const auto made = lines_of(folder / "whole" / "samples.jsonl");
  CHECK(std::count_if(made.begin(), made.end(), [](const json& line) { return line.at("t").is_null(); }) ==
        static_cast<std::ptrdiff_t>(made.size() / 2));  // each evaluation with F, and with Sign
  const auto histograms = lines_of(folder / "whole" / "histograms.jsonl");
  if (histograms.empty()) {
    MESSAGE("the program was built without xtensor");
    return;
  }
  REQUIRE(histograms.size() == 5);
  const auto at_ends = [](const json& histogram) {  // share of the weights beyond half of the range
    double all = 0, outside = 0;
    const auto counts = histogram.at("counts").get<std::vector<double>>();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      all += counts[i];
      if (i < counts.size() / 4 || i >= counts.size() * 3 / 4) outside += counts[i];
    }
    return outside / all;
  };
  CHECK(histograms[0].at("layer") == "model.layers.0.mlp.down_proj");
  CHECK(at_ends(histograms[4]) > at_ends(histograms[0]));  // weights go to +-S
}

TEST_CASE("plot, report and watch show a run; nothing in a page is taken for HTML") {
  const TemporaryFolder folder;
  const std::string text = (folder / "text.txt").string(), model = (folder / "<i>model & 'co'").string();
  write_text(text, story());
  REQUIRE(run(folder, "pretrain --text " + text +
                          " --tokens 1024 --evaluate-every 4 --sample-prompt '<script>x' --out \"" + model + "\"" +
                          tiny)
              .code == 0);
  const std::string made = (folder / "run").string();
  REQUIRE(run(folder, "binarize --model \"" + model + "\" --text " + text +
                          " --tokens 2560 --batch 4 --context 32 --chunks 3 --channel-scale-steps 1 --evaluate-every 5 "
                          "--valid-windows 4 --threads 1 --out " +
                          made)
              .code == 0);

  const std::string page = (folder / "page.html").string();
  const auto written = run(folder, "report \"" + model + "\" " + made + " --out " + page);
  INFO(written.error);
  REQUIRE(written.code == 0);
  const std::string html = read_text(page);
  CHECK(contains(html, "&lt;i&gt;model &amp; &#39;co&#39;"));
  CHECK(contains(html, "<b>&lt;script&gt;x</b>"));
  for (const char* raw : {"<script", "<i>model", "http-equiv", "src=", "href=\"http"}) CHECK(!contains(html, raw));
  CHECK(count_of(html, "<section class=\"run\">") == 2);
  CHECK(count_of(html, "</section>") == 2);
  CHECK(contains(html, "binllm binarize --model"));
  CHECK(contains(html, "packed, int8 activations"));
  if (has("gnuplot")) {
    CHECK(count_of(html, "<svg") == count_of(html, "</svg>"));
    CHECK(count_of(html, "<svg") >= 4);
    const auto drawn = run(folder, "plot " + made);
    INFO(drawn.error);
    REQUIRE(drawn.code == 0);
    for (const char* name : {"losses", "schedule"}) {
      const std::string picture = (folder / "run" / "pictures").string() + "/" + name;
      CHECK(contains(read_text(picture + ".svg"), "<svg"));
      CHECK(read_text(picture + ".png").starts_with("\x89PNG"));
    }
    const std::string one = (folder / "both.svg").string();
    CHECK(run(folder, "plot \"" + model + "\" " + made + " --figure losses --out " + one).code == 0);
    CHECK(contains(read_text(one), "validation with Sign"));
    CHECK(run(folder, "plot \"" + model + "\" --figure schedule --out " + one).code == 1);  // no t in pre-training
  } else {
    CHECK(contains(html, "gnuplot-nox"));
    CHECK(contains(run(folder, "plot " + made).error, "gnuplot"));
  }

  const auto shown = run(folder, "watch " + made + " --tensorboard " + (folder / "events").string());
  REQUIRE(shown.code == 0);
  CHECK(contains(shown.out, "run: progressive 20/20"));
  CHECK(contains(shown.out, "validation loss with Sign"));
  CHECK(!contains(shown.out, "\x1b"));
  CHECK(fs::file_size(folder / "events" / "run" / "events.out.tfevents.binllm") > 1000);
  CHECK(json::parse(run(folder, "watch --json " + made).out).at("finished") == true);
}

TEST_CASE("runs that are no runs, or say too little, are refused or shown as they are") {
  const TemporaryFolder folder;
  const std::string made = (folder / "begun").string(), page = (folder / "page.html").string();
  for (const char* command : {"watch ", "report ", "plot "}) {
    const auto refused = run(folder, command + made);
    CHECK(refused.code == 1);
    CHECK(contains(refused.error, "E201"));
  }
  fs::create_directories(made);
  write_text(folder / "begun" / "run.json", "{\"command\":\"pretrain\"}");
  const auto begun = run(folder, "watch " + made);
  CHECK(begun.code == 0);
  CHECK(contains(begun.out, "no report yet"));
  CHECK(run(folder, "report " + made + " --out " + page).code == 0);
  CHECK(contains(read_text(page), "no report yet"));
  CHECK(run(folder, "plot " + made).code == 1);
  write_text(folder / "begun" / "metrics.jsonl", "{\"phase\":\"pretrain\",\"step\":\"one\",\"steps\":2}\n");
  CHECK(contains(run(folder, "report " + made + " --out " + page).error, "E301"));
  CHECK(run(folder, "plot --lines x --out y.svg " + made).code == 1);
  CHECK(run(folder, "plot").code == 1);
}

TEST_CASE("one batch is learnt by heart, or the program says that it was not") {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const auto learnt = run(folder,
                          "pretrain --built-in --overfit-batch --sample-tokens 0 --dim 32 --hidden 64 --layers 1 "
                          "--heads 2 --context 16 --batch 2 --learning-rate 0.01 --threads 1 --out " +
                              out);
  INFO(learnt.error);
  CHECK(learnt.code == 0);
  CHECK(contains(learnt.out, "by heart"));
  const auto not_learnt = run(folder,
                              "pretrain --built-in --overfit-batch --tokens 64 --dim 32 --hidden 64 --layers 1 "
                              "--heads 2 --context 16 --batch 2 --threads 1 --out " +
                                  out + "2");
  CHECK(not_learnt.code == 1);
  CHECK(contains(not_learnt.error, "E501"));
  for (const char* flag : {"--held-out 0.1", "--valid x"}) {
    const auto refused = run(folder, "pretrain --built-in --overfit-batch --out " + out + "3 " + flag);
    CHECK(refused.code == 1);
    CHECK(!fs::exists(out + "3"));
  }
}

TEST_CASE("what is held out, and samples, are refused before anything is written") {
  const TemporaryFolder folder;
  const std::string text = (folder / "text.txt").string(), out = (folder / "out").string();
  write_text(text, story());
  const auto refused = [&](const std::string& flags) {
    const auto outcome = run(folder, "pretrain --tokens 256 --out " + out + tiny + flags);
    INFO(outcome.error);
    CHECK(outcome.code == 1);
    CHECK(!fs::exists(out));
    return outcome.error;
  };
  CHECK(contains(refused("--text " + text + " --sample-prompt " + std::string(33, 'a')), "--sample-prompt"));
  CHECK(contains(refused("--text " + text + " --valid " + text + " --held-out 0.1"), "--held-out"));
  CHECK(contains(refused("--built-in --held-out 0.1"), "--held-out"));
  const auto none = run(folder, "pretrain --tokens 256 --held-out 0 --text " + text + " --out " + out + tiny);
  CHECK(none.code == 0);
  CHECK(contains(none.error, "judged by no text"));
  CHECK(contains(read_text(folder / "out" / "README.md"), "no result table"));
}
