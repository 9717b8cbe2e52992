// SPDX-License-Identifier: MIT
#include "program.hpp"

#include "data_kit.hpp"
#include "support/sanitizers.hpp"

#include <binllm/simd/instruction_set.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

std::string file_bytes(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("pretrain, binarize, evaluate, generate and inspect on the built-in stories") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), made = (folder / "run").string();
  const auto trained = run(folder, "pretrain --built-in --tokens 4096 --valid-windows 20 --out " + model + tiny);
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  const auto binarized = run(folder, "binarize --model " + model +
                                         " --built-in --tokens 4096 --batch 4 --context 32 --chunks 4 "
                                         "--channel-scale-steps 3 --valid-windows 20 --threads 1 --json --out " +
                                         made);
  INFO(binarized.error);
  REQUIRE(binarized.code == 0);
  const auto results = nlohmann::json::parse(binarized.out).at("results");
  REQUIRE(results.size() == 6);
  CHECK(results[0].at("model") == "full precision");
  CHECK(results[4].at("model") == "packed");
  CHECK(results[5].at("model") == "packed, int8 activations");
  CHECK(results[0].at("bits_per_weight") == 32);
  for (const auto& row : results) CHECK(row.at("nll").get<double>() < 8);
  for (const char* file :
       {"run.json", "metrics.jsonl", "README.md", "binary/model.safetensors", "packed/model.safetensors"})
    CHECK(fs::exists(folder / "run" / file));
  CHECK(file_bytes(folder / "run" / "README.md").find("binllm binarize --model") != std::string::npos);

  std::array<double, 3> nll{};
  const std::array<std::string, 3> folders{model, made + "/binary", made + "/packed"};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto judged =
        run(folder, "evaluate --activations float --built-in --context 32 --windows 20 --json --threads 1 --model " +
                        folders[i]);
    INFO(judged.error);
    REQUIRE(judged.code == 0);
    const auto line = nlohmann::json::parse(judged.out);
    for (const char* key : {"tokens", "scored", "nll", "perplexity", "bits_per_byte", "protocol"})
      CHECK(line.contains(key));
    CHECK(line.at("scored") == 20 * 31);
    nll[i] = line.at("nll").get<double>();
  }
  CHECK(nll[1] == doctest::Approx(nll[2]).epsilon(1e-5));  // the binary folder with Sign, and its packed form
  const auto cached = run(folder, "evaluate --built-in --context 32 --windows 20 --cache int8 --json --model " + model);
  const auto told = nlohmann::json::parse(cached.out);
  CHECK(told.at("nll") == doctest::Approx(nll[0]));
  CHECK(told.at("cached").at("perplexity") == doctest::Approx(told.at("perplexity").get<double>()).epsilon(0.05));
  const auto rounded = run(folder, "evaluate --built-in --context 32 --windows 20 --json --model " + folders[2]);
  CHECK(nlohmann::json::parse(rounded.out).at("nll") == results[5].at("nll"));

  const auto text =
      run(folder, "generate --model " + made + "/packed --prompt 'One day' --max-tokens 5 --temperature 0 --threads 1");
  CHECK(text.code == 0);
  CHECK(text.out.size() == 7 + 5 + 1);
  CHECK(text.out.starts_with("One day"));
  const std::string exact = "generate --model " + made + "/packed --prompt 'One day' --head int8 --stats";
  for (const binllm::InstructionSet set : binllm::instruction_sets) {
    const auto forced = "BINLLM_FORCE_ISA=" + std::string(name_of(set));
    const auto chosen = run(folder, exact, forced);
    INFO(chosen.error);
    CHECK((chosen.code == 0) == is_supported(set));
    if (chosen.code != 0) continue;
    CHECK(chosen.out == run(folder, exact).out);
    CHECK(chosen.error.find("instructions        " + std::string(name_of(set))) != std::string::npos);
  }
  const auto unknown = run(folder, exact, "BINLLM_FORCE_ISA=sse9");
  CHECK(unknown.code == 1);
  CHECK(unknown.error.find("plain, simd128, neon, avx2, avx512, avx512-bf16 or amx") != std::string::npos);
  const auto shown = run(folder, "inspect --model " + made + "/packed --json");
  REQUIRE(shown.code == 0);
  CHECK(nlohmann::json::parse(shown.out).at("bits").at("signs_only") == 1);
  CHECK(run(folder, "inspect --model " + model).out.find("model.embed_tokens.weight") != std::string::npos);
}

TEST_CASE("without stage 1 the binary folder says so, and loads") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), made = (folder / "run").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 512 --valid-windows 4 --out " + model + tiny).code == 0);
  const auto binarized =
      run(folder, "binarize --estimator vanilla --channel-scale none --granularity tensor --model " + model +
                      " --built-in --tokens 1024 --batch 4 --context 32 --chunks 2 --valid-windows 4 "
                      "--threads 1 --out " +
                      made);
  INFO(binarized.error);
  REQUIRE(binarized.code == 0);
  const auto shown = run(folder, "inspect --json --model " + made + "/binary");
  REQUIRE(shown.code == 0);
  const auto recipe = nlohmann::json::parse(shown.out).at("recipe");
  CHECK(recipe.at("channel_scale") == "none");
  CHECK(recipe.at("estimator") == "vanilla");
  CHECK(run(folder, "evaluate --built-in --windows 4 --context 32 --model " + made + "/binary").code == 0);
}

TEST_CASE("a method is trained as published, or with what the command line says instead") {
  const TemporaryFolder folder;
  const auto list = run(folder, "binarize --method list");
  CHECK(list.code == 0);
  CHECK(list.out.find("| paretoq | a sgn(W) | row |") != std::string::npos);
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 512 --valid-windows 4 --out " + model + tiny).code == 0);
  const auto trained = [&](const std::string& name, const std::string& flags) {
    const std::string made = (folder / name).string();
    const auto outcome = run(folder, "binarize --json --model " + model +
                                         " --built-in --tokens 4096 --batch 4 --context 32 --valid-windows 4 "
                                         "--threads 1 --out " +
                                         made + " " + flags);
    INFO(outcome.error);
    REQUIRE(outcome.code == 0);
    std::vector<std::string> rows;
    const auto result = nlohmann::json::parse(outcome.out);
    for (const auto& row : result.at("results")) rows.push_back(row.at("model").get<std::string>());
    return rows;
  };
  using Rows = std::vector<std::string>;
  const auto record = [&](const std::string& name) {
    return nlohmann::json::parse(file_bytes(folder / name / "run.json"));
  };
  CHECK(trained("elastic", "--method paretoq --weight-decay 0.5") ==
        Rows{"full precision", "not trained", "paretoq, trained", "packed", "packed, int8 activations"});
  const auto elastic = record("elastic");
  CHECK(elastic.at("method").at("format") == "paretoq");
  CHECK(elastic.at("chunks") == 0);
  CHECK(elastic.at("training").at("learning_rate") == 2e-5);
  CHECK(elastic.at("training").at("weight_decay") == 0.5);
  CHECK(run(folder, "evaluate --built-in --windows 4 --context 32 --model " + (folder / "elastic/paretoq").string())
            .code == 0);
  CHECK(run(folder, "evaluate --built-in --windows 4 --context 32 --model " + (folder / "elastic/packed").string())
            .code == 0);

  CHECK(trained("ede", "--method ede --scale dual --chunks 4").at(2) == "ede, trained");
  const auto ede = record("ede");
  CHECK(ede.at("recipe").at("estimator") == "ede");
  CHECK(ede.at("recipe").at("scale") == "dual");
  CHECK(ede.at("recipe").at("schedule") == "geometric");
  CHECK(ede.at("chunks") == 4);
  CHECK(ede.at("channel_scale_steps") == 0);

  CHECK(trained("paper", "--method binaryllm --channel-scale-steps 2").at(2) == "after stage 1");
  CHECK(trained("strong", "--method strong") ==
        Rows{"full precision", "naive sign", "strong, trained", "packed", "packed, int8 activations"});
  CHECK(record("strong").at("learning").at("loss").at("distillation") == 0.5);
  CHECK(
      trained("levers",
              "--channel-scale none --channel-scale-steps 0 --schedule geometric:0.05:300 --sign-phase 0.25 --chunks 8 "
              "--optimizer muon --linear-rate 0.5 --decay-to signs")
          .at(2) == "progressive with F");
  const auto levers = record("levers");
  CHECK(levers.at("recipe").at("estimator") == "progressive-then-sign");
  CHECK(levers.at("recipe").at("schedule") == "geometric:0.05:300+sign:0.25");
  CHECK(levers.at("training").at("optimizer") == "muon");
  CHECK(levers.at("training").at("decay_to") == "signs");
  CHECK(levers.at("training").at("linear_rate") == 0.5);
  CHECK(record("paper").at("training").contains("optimizer") == false);
  const auto dry = run(folder,
                       "binarize --dry-run --json --method paretoq --built-in --tokens 512 --batch 4 "
                       "--context 32 --out never --model " +
                           model);
  REQUIRE(dry.code == 0);
  CHECK(nlohmann::json::parse(dry.out).at("parameters") > 0);
}

TEST_CASE("a killed run resumes to the same bits, its metrics without gap or repeat") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 2048 --valid-windows 4 --out " + model + tiny).code == 0);
  const std::string flags = "binarize --model " + model +
                            " --built-in --tokens 40000 --batch 4 --context 32 --chunks 5 --channel-scale-steps 5 "
                            "--valid-windows 4 --report-every 1 --checkpoint-every 20 --threads 1 --out ";
  REQUIRE(run(folder, flags + (folder / "whole").string()).code == 0);
  const std::string killed = (folder / "killed").string();
  int kills = 0;
  for (const char* seconds : {"0.05", "0.12", "0.2", "0.3"}) {
    kills += ::system(("timeout -s KILL " + std::string(seconds) + " " + BINLLM_PROGRAM + " " + flags + killed +
                       resume_of(killed) + " >/dev/null 2>&1")
                          .c_str()) != 0;
  }
  MESSAGE("runs killed: ", kills);
  REQUIRE(run(folder, flags + killed + resume_of(killed)).code == 0);
  for (const char* file : {"binary/model.safetensors", "packed/model.safetensors"}) {
    CHECK(file_bytes(folder / "whole" / file) == file_bytes(folder / "killed" / file));
  }
  const auto steps = [&](const char* name) {
    std::ifstream lines(folder / name / "metrics.jsonl");
    std::vector<std::string> found;
    for (std::string line; std::getline(lines, line);) {
      const auto report = nlohmann::json::parse(line);
      found.push_back(report.at("phase").get<std::string>() + std::to_string(report.at("step").get<int>()));
    }
    return found;
  };
  CHECK(steps("whole") == steps("killed"));
}

TEST_CASE("a dry run says how many steps there will be and how much memory they take, and writes nothing") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), never = (folder / "never").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 512 --valid-windows 4 --out " + model + tiny).code == 0);
  const auto judged = [&](const std::string& arguments) {
    const auto text = run(folder, arguments);
    INFO(text.error);
    REQUIRE(text.code == 0);
    for (const char* said : {"parameters: 1 layers of width 16", "steps        8 of 128 tokens", "weights", "gradients",
                             "moments", "activations", "total", "peak memory"})
      CHECK(text.out.find(said) != std::string::npos);
    const auto line = run(folder, arguments + " --json");
    REQUIRE(line.code == 0);
    return nlohmann::json::parse(line.out);
  };
  const auto pretraining = judged("pretrain --built-in --tokens 1024 --dry-run --out " + never + tiny);
  CHECK(pretraining.at("steps") == 8);
  CHECK(pretraining.at("tokens_per_step") == 128);
  CHECK_FALSE(pretraining.contains("channel_scale_forecast"));
  const std::string job =
      " --built-in --tokens 1024 --batch 4 --context 32 --chunks 4 --threads 1 --dry-run --out " + never;
  const auto recipe = judged("binarize --model " + model + job);
  CHECK(recipe.at("parameters").get<int>() > pretraining.at("parameters").get<int>());  // S_l
  CHECK(recipe.at("channel_scale_forecast").at("moments") < recipe.at("forecast").at("moments"));
  CHECK(judged("binarize --channel-scale per-linear --model " + model + job).contains("channel_scale_forecast"));
  CHECK_FALSE(judged("binarize --channel-scale none --model " + model + job).contains("channel_scale_forecast"));

  // what the run would refuse of its folder, and of flags beside others
  for (const char* dry : {"", " --dry-run"}) {
    const auto none = run(folder, "pretrain --built-in --tokens 1024 --resume --out " + never + tiny + dry);
    CHECK(none.code == 1);
    CHECK(contains(none.error, "E201"));
    CHECK_FALSE(fs::exists(never));
    const auto taken = run(folder, "pretrain --built-in --tokens 1024 --out " + model + tiny + dry);
    CHECK(taken.code == 1);
    CHECK(contains(taken.error, "E207"));
    const auto other =
        run(folder, "pretrain --built-in --tokens 512 --resume --valid-windows 3 --out " + model + tiny + dry);
    CHECK(other.code == 1);
    CHECK(contains(other.error, "E502"));
    CHECK(contains(other.error, "validation/windows: wanted 3, found 4"));
    const auto shape = run(folder, "pretrain --built-in --dim 16 --model " + model + " --out " + never + dry);
    CHECK(shape.code == 1);
    CHECK(contains(shape.error, "E302"));
    CHECK(contains(shape.error, "--dim: wanted no --model"));
  }
  const auto refused = run(folder, "binarize --chunks 9 --model " + model +
                                       " --built-in --tokens 1024 --batch 4 --context 32 --dry-run --out " + never);
  CHECK(refused.code == 1);
  CHECK(refused.error.find("chunks") != std::string::npos);
  CHECK_FALSE(fs::exists(never));
}

TEST_CASE("a tokenizer with more tokens than the model is refused before any work, in a dry run too") {
  const auto oracle = data_file("models/stories260K/oracle_greedy_n64.txt");
  if (!oracle) return;
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  const auto refused =
      run(folder, "pretrain --built-in --model " + model + " --tokenizer " + fs::path(*oracle).parent_path().string() +
                      " --batch 4 --context 32 --dry-run --out " + (folder / "never").string());
  CHECK(refused.code == 1);
  CHECK(refused.error.find("E302") != std::string::npos);
}

TEST_CASE("the memory that a dry run expects is what the run takes, to a tenth" *
          doctest::skip(binllm::test::sanitized)) {
  const TemporaryFolder folder;
  const fs::path text = folder / "text.txt";
  std::ofstream stream(text);
  for (int i = 0; i < 1000; ++i) stream << "Line " << i << " of a text to learn from.\n";
  stream.close();
  const std::string model = (folder / "model").string(), made = (folder / "run").string();
  const std::string data =
      " --text " + text.string() + " --batch 4 --context 128 --tokens 512 --threads 1 --json --out ";
  const auto compare = [&](const std::string& job) {
    const auto expected = run(folder, job + " --dry-run"), real = run(folder, job);
    INFO(real.error);
    REQUIRE(expected.code == 0);
    REQUIRE(real.code == 0);
    const auto forecast = nlohmann::json::parse(expected.out).at("predicted_peak_bytes").get<double>();
    const auto found = nlohmann::json::parse(real.out).at("peak_resident_bytes").get<double>();
    MESSAGE("expected ", forecast, ", found ", found);
    CHECK(std::abs(forecast - found) < 0.1 * found);
  };
  // Judged by nothing, or by a batch of windows and five more, which are held out.
  const std::string shape = "pretrain --dim 256 --hidden 704 --layers 4 --heads 4 --kv-heads 2 ";
  const std::string recipe = "binarize --channel-scale-steps 1 --chunks 1 --model " + model;
  compare(shape + "--held-out 0" + data + model);
  compare(shape + data + (folder / "judged").string());
  compare(recipe + data + made);
}

TEST_CASE("generate: limits, several prompts, stop strings, streams, statistics") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 4096 --valid-windows 4 --out " + model + tiny).code == 0);
  std::ofstream(folder / "prompt.txt") << "From a file\n";
  const std::string job = "generate --model " + model + " --threads 1 --max-tokens 12 --prompt 'One day'";
  const std::string several = job + " --prompt 'a, [b]' --prompt-file " + (folder / "prompt.txt").string();
  const std::string warm = " --temperature 1.5 --top-k 50 --top-p 0.95 --repetition-penalty 1.2 --seed 5";

  const auto shown = run(folder, several + warm);
  INFO(shown.error);
  REQUIRE(shown.code == 0);
  CHECK(shown.error.empty());
  for (const char* more :
       {" --no-stream", " --stream", " --sequences 1", " --sequences 2 --no-stream", " --context 30"})
    CHECK(run(folder, several + warm + more).out == shown.out);
  CHECK(run(folder, several + warm + "6").out != shown.out);  // seed 56

  const auto object = nlohmann::json::parse(run(folder, several + warm + " --json").out);
  CHECK_FALSE(object.contains("text"));
  std::string texts;
  const std::array<std::string, 3> prompts{"One day", "a, [b]", "From a file"};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& result = object.at("results").at(i);
    CHECK(result.at("prompt") == prompts[i]);
    CHECK(result.at("prompt_tokens") == prompts[i].size());
    CHECK(result.at("generated_tokens") == 12);
    CHECK(result.at("finish") == "max_tokens");
    CHECK(result.at("text") == prompts[i] + result.at("continuation").get<std::string>());
    texts += (i > 0 ? "\n" : "") + result.at("text").get<std::string>() + "\n";
  }
  CHECK(texts == shown.out);
  CHECK(object.at("statistics").at("prompt_tokens") == 24);
  CHECK(object.at("statistics").at("generated_tokens") == 36);
  CHECK(object.at("statistics").at("decode_tokens_per_second") > 0);

  const auto& memory = object.at("memory");
  CHECK(memory.at("total").get<std::size_t>() > memory.at("key_value_cache").get<std::size_t>());
  const auto key_value_cache = [&](const std::string& more) {
    return nlohmann::json::parse(run(folder, several + more + " --json").out).at("memory").at("key_value_cache");
  };
  CHECK(key_value_cache(" --context 32") == 2 * key_value_cache(" --context 16").get<std::size_t>());
  CHECK(key_value_cache(" --context 32") == 3 * key_value_cache(" --context 32 --sequences 1").get<std::size_t>());
  for (const std::string head : {"float", "bf16", "int8"}) {
    const auto told = nlohmann::json::parse(run(folder, several + " --json --head " + head).out);
    const auto& found = told.at("memory");
    CHECK(found.at("float_vocabulary") == (head == "float" ? 256 * 16 * 4 : 0));
    CHECK((found.at("vocabulary") > 0) == (head != "float"));
  }

  const auto in_float = key_value_cache("").get<std::size_t>();
  CHECK(key_value_cache(" --cache bf16") == in_float / 2);
  CHECK(key_value_cache(" --cache int8") < in_float / 2);

  const auto greedy = nlohmann::json::parse(run(folder, job + " --json").out);
  const auto ahead = nlohmann::json::parse(run(folder, job + " --json --speculate 3").out);
  CHECK(ahead.at("text") == greedy.at("text"));
  CHECK(ahead.at("statistics").contains("accepted_tokens"));
  const auto continuation = greedy.at("results").at(0).at("continuation").get<std::string>();
  CHECK(greedy.at("text") == "One day" + continuation);
  CHECK(run(folder, job + " --temperature 9 --top-k 1").out == "One day" + continuation + "\n");
  CHECK(run(folder, job + " --temperature 9 --top-p 0").out == "One day" + continuation + "\n");
  const std::string stop = continuation.substr(3, 2);
  const auto stopped =
      nlohmann::json::parse(run(folder, job + " --json --stop 'no such text' --stop '" + stop + "'").out);
  CHECK(stopped.at("results").at(0).at("continuation") == continuation.substr(0, continuation.find(stop)));
  CHECK(stopped.at("results").at(0).at("finish") == "stopped");

  const auto counted = run(folder, job + " --stats");
  CHECK(counted.out == "One day" + continuation + "\n");
  for (const char* said : {"prefill             7 tokens", "decode              11 tokens in 11 steps", "tokens/s",
                           "key-value cache", "memory in all"})
    CHECK(counted.error.find(said) != std::string::npos);
}

TEST_CASE("a validation loss is of the windows that the flag names, and evaluate gives the same number") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  const auto trained =
      run(folder, "pretrain --built-in --tokens 640 --evaluate-every 2 --valid-windows 2 --json --out " + model + tiny);
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  const auto result = nlohmann::json::parse(trained.out);
  CHECK(result.at("validation_windows") == 2);
  std::istringstream lines(read_text(folder / "model/metrics.jsonl"));
  int evaluations = 0;
  nlohmann::json last;
  for (std::string line; std::getline(lines, line);) {
    const auto report = nlohmann::json::parse(line);
    if (!report.contains("validation_loss")) continue;
    ++evaluations;
    CHECK(report.at("validation_windows") == 2);
    last = report;
  }
  CHECK(evaluations == 3);  // steps 2, 4, 5
  CHECK(last.at("validation_loss") == result.at("validation_nll"));
  const auto judged = run(folder, "evaluate --built-in --context 32 --windows 2 --json --threads 1 --model " + model);
  CHECK(nlohmann::json::parse(judged.out).at("nll") == result.at("validation_nll"));
}

TEST_CASE("bits per byte count the bytes of the text, of several files and of a token file too") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  const std::string text = "A text of some length, which is cut into two files.";
  write_text(folder / "whole.txt", text);
  write_text(folder / "first.txt", text.substr(0, 20));
  write_text(folder / "second.txt", text.substr(20));
  REQUIRE(run(folder, "tokenize --tokenizer byte --text " + (folder / "whole.txt").string() + " --out " +
                          (folder / "ids").string())
              .code == 0);
  const auto judged = [&](const std::string& files) {
    return nlohmann::json::parse(
        run(folder, "evaluate --json --context 17 --threads 1 --model " + model + " --text " + files).out);
  };
  const std::string base = folder.path().string() + "/";
  const auto whole = judged(base + "whole.txt"), parts = judged(base + "first.txt " + base + "second.txt"),
             ids = judged(base + "ids");
  CHECK(whole.at("bits_per_byte").is_number());
  for (const auto* other : {&parts, &ids}) {
    for (const char* key : {"text_bytes", "bytes", "bits_per_byte", "nll", "windows", "context"})
      CHECK(other->at(key) == whole.at(key));
  }
}

TEST_CASE("an interrupted generation ends with what was made, and says by which signal") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  constexpr int count = 4000;  // more than are made before the signal comes
  std::string job = "generate --threads 1 --model " + model;
  for (int i = 0; i < count; ++i) job += " --prompt x";
  const Started generation(folder, job);
  generation.wait_for_output();
  CHECK(generation.ended_by(SIGINT));
  const std::string made = generation.output();
  REQUIRE(!made.empty());
  CHECK(made.front() == 'x');
  CHECK(made.back() == '\n');
}

TEST_CASE("pack rounds a model to signs; inspect says what of a folder holds") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), packed = (folder / "packed").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  REQUIRE(run(folder, "pack --model " + model + " --out " + packed).code == 0);
  CHECK(run(folder, "generate --model " + packed + " --prompt x --max-tokens 3").code == 0);
  const auto verified = run(folder, "inspect --verify --model " + packed);
  CHECK(verified.code == 0);
  CHECK(contains(verified.out, "verified           config.json: checksum"));
  CHECK(contains(verified.out, "verified           model.safetensors: checksums of"));
  const auto twice = run(folder, "pack --model " + packed + " --out " + (folder / "never").string());
  CHECK(twice.code == 1);
  CHECK(contains(twice.error, "E302"));

  auto config = nlohmann::json::parse(read_text(folder / "model/config.json"));
  const auto inspect = [&] {
    write_text(folder / "model/config.json", config.dump());
    return run(folder, "inspect --model " + model);
  };
  CHECK(inspect().code == 0);
  config["num_hidden_layers"] = 3;
  CHECK(contains(inspect().error, "E204"));
  config["binllm"].erase("checksum");  // changed on purpose, but not to what the file holds
  const auto other = inspect();
  CHECK(other.code == 1);
  CHECK(other.out.empty());
  CHECK(contains(other.error, "E205"));
}

TEST_CASE("bad input: a clear error, a code that is not 0, nothing written") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  const auto refused = [&](const std::string& arguments, const char* said) {
    const auto outcome = run(folder, arguments);
    CAPTURE(arguments);
    CAPTURE(outcome.error);
    CHECK(outcome.code != 0);
    CHECK(outcome.out.empty());
    CHECK(outcome.error.find(said) != std::string::npos);
  };
  const std::string job =
      "binarize --model " + model + " --built-in --context 32 --batch 4 --out " + (folder / "never").string();
  refused(job + " --estimator magic", "progressive, vanilla, ede, progressive-forward");
  refused(job + " --schedule magic",
          "exponential, uniform, logarithmic, degree-uniform, equal-error, geometric, constant");
  refused(job + " --scale magic", "dual, dual-detached, analytic, analytic-detached, learned");
  refused(job + " --granularity magic", "row, column, tensor, group");
  refused(job + " --channel-scale magic", "shared");
  refused(job + " --learning-rate -1", "learning_rate");
  refused(job + " --chunks -1", "chunks");
  refused(job + " --granularity tensor", "--channel-scale-steps 0");
  refused(job + " --method magic", "vanilla, binaryconnect");
  refused(job + " --method paretoq --estimator ede", "--estimator");
  refused(job + " --method paretoq --channel-scale-steps 5", "--channel-scale-steps");
  refused(job + " --method vanilla --channel-scale-steps 5", "--channel-scale shared or per-linear");
  refused(job + " --method vanilla --setting estimator", "KEY=VALUE");
  refused(job + " --method vanilla --setting estimator=magic", "magic");
  refused(job + " --method vanilla --setting colour=red", "one of channel_scale, estimator");
  refused(job + " --method paretoq --setting colour=red", "the method has no settings");
  refused(job + " --setting estimator=ede", "--method");
  std::ofstream(folder / "tiny.txt") << "tiny";
  refused(job + " --valid " + (folder / "tiny.txt").string(), "E401");
  refused(job + " --batch x", "--batch");
  refused("pretrain --built-in --batch 4611686018427387904 --out " + (folder / "never").string(), "batch");
  refused("pretrain --built-in --batch 65536 --context 65536 --out " + (folder / "never").string(),
          "a product of 2147483647 at most");
  refused(job + " --tokens 9223372036854775807", "tokens");
  refused(job + " --channel-scale none --channel-scale-steps 5", "--channel-scale-steps");
  refused(job + " --temperature 2", "--distillation above 0");
  refused(job + " --resume", "E201");
  CHECK_FALSE(fs::exists(folder / "never"));
  refused("evaluate --built-in --windows 2 --context 32 --hardness 3 --model " + model, "trained with a t");
  refused("evaluate --built-in --windows 2 --context 32 --activations int8 --model " + model, "packed");
  refused("generate --prompt x --top-k 4 --model " + model, "--temperature above 0");
  refused("generate --prompt x --model ''", "found nothing");
  refused("pack --seed 2 --model " + model + " --out " + (folder / "never").string(), "--seed");
  refused("binarize --model " + model + " --built-in --context 32 --batch 4 --out /proc/never",
          "/proc/never");  // before any training
  refused("binarize --model " + (folder / "absent").string() + " --built-in --out " + (folder / "never").string(),
          "absent");
  refused("pretrain --built-in --out " + (folder / "never").string() + " --dim 30 --heads 4", "--heads");
  refused("pretrain --out " + (folder / "never").string(), "--text");
  refused("evaluate --model " + model + " --text " + (folder / "absent.txt").string(), "absent.txt");
  std::ofstream(folder / "short.txt") << "too short";
  refused("evaluate --model " + model + " --context 32 --text " + (folder / "short.txt").string(), "E401");
  refused("generate --model " + model, "--prompt");
  const std::string prompt = "generate --model " + model + " --prompt x ";
  refused(prompt + "--temperature -1", "temperature: wanted at least 0, found -1");
  refused(prompt + "--temperature nan", "temperature");
  refused(prompt + "--top-k -1", "top_k");
  refused(prompt + "--top-p 1.5", "top_p: wanted 0 to 1, found 1.5");
  refused(prompt + "--repetition-penalty 0", "repetition_penalty");
  refused(prompt + "--repetition-window -1", "repetition_window");
  refused(prompt + "--max-tokens -1", "--max-tokens: wanted at least 0, found -1");
  refused(prompt + "--sequences 0", "sequences");
  refused(prompt + "--context 33", "context: wanted the model's 32 positions at most, found 33");
  refused(prompt + "--stop ''", "stop");
  refused(prompt + "--head half", "float, bf16 or int8");
  refused(prompt + "--activations half", "--activations");
  refused(prompt + "--top-k many", "--top-k");
  refused(prompt + "--prompt ''", "prompts[1]: wanted a token or more, found none");
  refused(prompt + "--prompt 'more than the thirty-two bytes that fit'", "prompts[1]: wanted at most 32 tokens");
  refused(prompt + "--prompt-file " + (folder / "absent.txt").string(), "absent.txt");
  refused("generate --model " + model + " --prompt x --sharpness soft", "--sharpness");
  refused("", "wanted a command");
  refused("frobnicate", "no command frobnicate");
  CHECK(run(folder, "--help").code == 0);
  CHECK(run(folder, "--version").out == "0.1.0\n");
}

TEST_CASE("devices and precisions: what there is not is refused, never replaced") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), never = (folder / "never").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  const std::array<std::string, 4> commands{
      "pretrain --built-in --tokens 256 --out " + never + tiny,
      "binarize --model " + model + " --built-in --tokens 512 --batch 4 --context 32 --chunks 2 --out " + never,
      "evaluate --model " + model + " --built-in --windows 4 --context 32",
      "generate --max-tokens 2 --prompt x --model " + model};
  for (const std::string& command : commands) {
    const auto refused = [&](const std::string& arguments, const char* id, const char* said) {
      const auto outcome = run(folder, command + arguments);
      CAPTURE(command + arguments);
      CAPTURE(outcome.error);
      CHECK(outcome.code == 1);
      CHECK(outcome.out.empty());
      CHECK(outcome.error.find(id) != std::string::npos);
      CHECK(outcome.error.find(said) != std::string::npos);
    };
    refused(" --device gpu", "E303", "cpu, cuda or cuda:N");
    refused(" --device cuda:", "E303", "cpu, cuda or cuda:N");
    refused(" --device cuda:-1", "E303", "cpu, cuda or cuda:N");
    refused(" --precision half", "E303", "float32, tf32 or bf16");
    refused(" --precision tf32", "E302", "--device cuda");
    refused(" --device cuda:1000", "E601", "wanted a");
    CHECK_FALSE(fs::exists(never));
  }
  const auto line = nlohmann::json::parse(run(folder, commands[2] + " --json").out);
  CHECK(line.at("device").at("name") == "cpu");
  CHECK(line.at("precision") == "float32");
  CHECK_FALSE(line.contains("peak_gpu_bytes"));
}

namespace {
/// Whether the program computes on a GPU here. Where it does not, it must say why.
bool has_gpu(const TemporaryFolder& folder, const std::string& model) {
  const auto tried = run(folder, "evaluate --device cuda --built-in --context 32 --windows 1 --json --model " + model);
  CAPTURE(tried.error);
  if (tried.code == 0) {
    const auto line = nlohmann::json::parse(tried.out);
    CHECK(line.at("device").at("memory_bytes") > 0);
    CHECK(line.at("peak_gpu_bytes") > 0);
    return true;
  }
  CHECK(tried.code == 1);
  CHECK(tried.error.find("E601") != std::string::npos);
  MESSAGE("no GPU: ", tried.error);
  return false;
}
double nll_of(const TemporaryFolder& folder, const std::string& arguments) {
  const auto judged = run(folder, "evaluate --built-in --context 32 --windows 20 --json --model " + arguments);
  INFO(judged.error);
  REQUIRE(judged.code == 0);
  return nlohmann::json::parse(judged.out).at("nll").get<double>();
}
}  // namespace

TEST_CASE("in bf16 on the CPU every command gives what it gives in float32, to the roundings of 8 bits") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), made = (folder / "run").string();
  const auto pretrain = [&](const char* name, const std::string& more, char threads = '1') {
    std::string small = tiny;
    small.at(small.find("--threads 1") + 10) = threads;
    const auto trained = run(folder, "pretrain --built-in --tokens 4096 --valid-windows 4 --checkpoint-every 8 --out " +
                                         (folder / name).string() + small + more);
    INFO(trained.error);
    REQUIRE(trained.code == 0);
  };
  pretrain("model", "");
  pretrain("half", " --precision bf16");
  pretrain("again", " --precision bf16", '2');
  const std::string half = (folder / "half").string();
  const double wanted = nll_of(folder, model), own = nll_of(folder, half);
  CHECK(own == doctest::Approx(wanted).epsilon(3e-2));
  CHECK(nll_of(folder, (folder / "again").string()) == own);
  CHECK(nll_of(folder, model + " --precision bf16") == doctest::Approx(wanted).epsilon(1e-2));
  REQUIRE(fs::remove(folder / "again/checkpoints/pretrain-32.safetensors"));  // the last eight steps once more
  pretrain("again", " --resume --precision bf16");
  CHECK(nll_of(folder, (folder / "again").string()) == own);

  const auto binarized =
      run(folder, "binarize --model " + model + " --built-in --tokens 4096 --batch 4 --context 32 --chunks 4 " +
                      "--channel-scale-steps 3 --valid-windows 20 --precision bf16 --json --out " + made);
  INFO(binarized.error);
  REQUIRE(binarized.code == 0);
  const auto results = nlohmann::json::parse(binarized.out).at("results");
  const auto packed = results.at(results.size() - 2);  // the last one has activations of 8 bits
  CHECK(packed.at("model") == "packed");
  CHECK(packed.at("nll").get<double>() ==
        doctest::Approx(nll_of(folder, made + "/packed --activations float")).epsilon(1e-2));
  CHECK(run(folder, "generate --max-tokens 4 --prompt 'One day' --precision bf16 --model " + model)
            .out.starts_with("One day"));
  const auto forecast = [&](const std::string& precision) {
    return nlohmann::json::parse(run(folder, "pretrain --dry-run --json --built-in --tokens 4096 --out " +
                                                 (folder / "never").string() + tiny + " --precision " + precision)
                                     .out);
  };
  const auto in_half = forecast("bf16"), in_float = forecast("float32");
  CHECK(in_half.at("forecast_of") == "cpu, bf16");
  CHECK(in_half.at("forecast").at("activations") < in_float.at("forecast").at("activations"));
  CHECK(in_half.at("forecast").at("weights") == in_float.at("forecast").at("weights"));
}

TEST_CASE("on a GPU every command gives what it gives on the CPU") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), made = (folder / "run").string();
  const auto pretrain = [&](const char* name, const std::string& more) {
    const auto trained = run(folder, "pretrain --built-in --tokens 4096 --valid-windows 4 --checkpoint-every 8 --out " +
                                         (folder / name).string() + tiny + more);
    INFO(trained.error);
    REQUIRE(trained.code == 0);
  };
  pretrain("model", "");
  if (!has_gpu(folder, model)) return;
  pretrain("gpu", " --device cuda");
  pretrain("bf16", " --device cuda --precision bf16");
  const double wanted = nll_of(folder, model);
  CHECK(nll_of(folder, model + " --device cuda") == doctest::Approx(wanted).epsilon(1e-4));
  CHECK(nll_of(folder, model + " --device cuda --precision tf32") == doctest::Approx(wanted).epsilon(1e-3));
  CHECK(nll_of(folder, model + " --device cuda --precision bf16") == doctest::Approx(wanted).epsilon(1e-2));
  CHECK(nll_of(folder, (folder / "gpu").string()) == doctest::Approx(wanted).epsilon(1e-3));
  CHECK(nll_of(folder, (folder / "bf16").string()) == doctest::Approx(wanted).epsilon(3e-2));

  for (const std::string from : {"cpu", "cuda"}) {  // the last eight steps on the other device
    const std::string name = "from-" + from, to = from == "cpu" ? "cuda" : "cpu";
    pretrain(name.c_str(), " --device " + from);
    REQUIRE(fs::remove(folder / name / "checkpoints/pretrain-32.safetensors"));
    pretrain(name.c_str(), " --resume --device " + to);
    CHECK(nll_of(folder, (folder / name).string()) == doctest::Approx(wanted).epsilon(1e-3));
  }

  const auto binarized =
      run(folder, "binarize --model " + model + " --built-in --tokens 4096 --batch 4 --context 32 --chunks 4 " +
                      "--channel-scale-steps 3 --valid-windows 20 --device cuda --json --out " + made);
  INFO(binarized.error);
  REQUIRE(binarized.code == 0);
  const auto results = nlohmann::json::parse(binarized.out).at("results");
  REQUIRE(results.size() == 5);
  CHECK(results[4].at("model") == "packed");
  const double packed = nll_of(folder, made + "/packed --activations float");
  CHECK(results[4].at("nll").get<double>() == doctest::Approx(packed).epsilon(1e-4));
  for (const std::string of : {"/binary", "/packed"})
    CHECK(nll_of(folder, made + of + " --device cuda") == doctest::Approx(packed).epsilon(1e-4));
  CHECK(nll_of(folder, made + "/packed --device cuda --activations int8") ==
        doctest::Approx(nll_of(folder, made + "/packed --activations int8")).epsilon(1e-4));

  for (const std::string& of : {model, made + "/binary", made + "/packed --activations float --head float"}) {
    const std::string job = "generate --max-tokens 12 --prompt 'One day' --prompt Two --model " + of;
    CHECK(run(folder, job + " --device cuda").out == run(folder, job).out);
    CHECK(run(folder, job + " --device cuda --precision bf16").out.starts_with("One day"));
  }
  CHECK(run(folder, "generate --prompt x --head int8 --device cuda --model " + model).error.find("E304") !=
        std::string::npos);
}

TEST_CASE("the oracle of the pre-trained model of the data kit, through the program") {
  const auto oracle = data_file("models/stories260K/oracle_greedy_n64.txt");
  if (!oracle) return;
  const TemporaryFolder folder;
  const auto text = run(folder, "generate --model " + fs::path(*oracle).parent_path().string() +
                                    " --prompt 'Once upon a time' --max-tokens 60 --temperature 0 --threads 1");
  CHECK(text.code == 0);
  CHECK(text.out == file_bytes(*oracle));
}

TEST_CASE("evaluate answers tasks, and says which protocol read a text") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 512 --valid-windows 4 --out " + model + tiny).code == 0);
  write_text(folder / "piqa.jsonl", R"({"query":"Question: a\n","choices":["b","cd"],"gold":1})"
                                    "\n"
                                    R"({"goal":"a","sol1":"b","sol2":"c","label":0})");
  write_text(folder / "openbookqa.jsonl", R"({"query":"a","choices":["b","c","d","e"],"gold":3})");
  const std::string data = " --model " + model + " --threads 1 --tasks-data " + folder.path().string();
  const std::string out = (folder / "items.jsonl").string();
  const auto judged = run(folder, "evaluate --json --tasks piqa,openbookqa --out " + out + data);
  INFO(judged.error);
  REQUIRE(judged.code == 0);
  const auto line = nlohmann::json::parse(judged.out);
  CHECK(line.at("tasks").size() == 2);
  CHECK(line.at("tasks")[0].at("items") == 2);
  CHECK(line.at("tasks")[1].at("acc_stderr").is_null());  // of one item
  CHECK(line.at("average").is_number());
  const std::string items = file_bytes(out);
  CHECK(std::count(items.begin(), items.end(), '\n') == 3);
  CHECK(nlohmann::json::parse(items.substr(0, items.find('\n'))).at("log_probabilities").size() == 2);
  const auto table = run(folder, "evaluate --tasks piqa --items 1" + data);
  CHECK(table.out.find("| piqa           |      1 |") != std::string::npos);
  const auto divided = run(folder, "evaluate --tasks piqa" + data,
                           "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=0");
  CHECK(divided.code == 1);
  CHECK(contains(divided.error, "E302: evaluate: ranks: wanted one process"));
  const auto unknown = run(folder, "evaluate --tasks piqa,mmlu" + data);
  CHECK(unknown.code == 1);
  CHECK(unknown.error.find("arc_challenge") != std::string::npos);
  CHECK(run(folder, "evaluate --tasks boolq" + data).error.find("boolq.jsonl") != std::string::npos);
  CHECK(run(folder, "evaluate --tasks piqa --built-in" + data).code == 1);
  CHECK(run(folder, "evaluate --tasks piqa --model " + model).code == 1);

  std::string rows;
  for (int i = 0; i < 40; ++i) rows += " a b \n \n";
  write_text(folder / "rows.txt", rows);
  const std::string text = " --model " + model + " --threads 1 --json --text " + (folder / "rows.txt").string();
  const auto protocol = [&](const std::string& name) {
    return nlohmann::json::parse(run(folder, "evaluate --protocol " + name + text).out);
  };
  CHECK(protocol("wikitext2").at("text_bytes") == 40 * 6 + 79 * 2);
  CHECK(protocol("ptb").at("text_bytes") == 40 * 3 + 79);
  CHECK(protocol("plain").at("text_bytes") == 40 * 8);
  CHECK(protocol("ptb").at("context") == 32);
  CHECK(protocol("ptb").at("windows") == 6);
  CHECK(protocol("ptb").at("bos") == false);
  CHECK(run(folder, "evaluate --protocol pile" + text).code != 0);
}
