// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/core/random.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/checkpoint.hpp>
#include <binllm/io/folders/run.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

using namespace binllm::test;
using binllm::Error;
using binllm::ErrorId;
using binllm::Index;
using binllm::Metric;
using binllm::Purpose;
using binllm::Random;
using binllm::RunFolder;
using binllm::RunFolderOptions;
using binllm::TrainingState;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view config = R"({"seed": 7, "schedule": {"name": "exponential", "chunks": 20}})";

/// Something that trains: every step mixes all of its state, so that one lost or repeated step shows at the end.
struct Toy {
  std::array<double, 100> values{};
  std::array<float, 33> moments{};
  std::uint64_t step = 0, flips = 1;

  [[nodiscard]] TrainingState state() {
    return {{{"values", values.data(), sizeof values},
             {"moments", moments.data(), sizeof moments},
             {"nothing", nullptr, 0}},
            {{"step", &step}, {"flips", &flips}}};
  }
  void advance(std::uint64_t seed) {
    const Random random(seed, Purpose::test, step);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(3 * values[i] + random.normal(i));
    for (std::size_t i = 0; i < moments.size(); ++i) moments[i] = 0.9f * moments[i] + static_cast<float>(values[i]);
    flips = flips * 6364136223846793005ull + std::bit_cast<std::uint64_t>(values[0]);
    ++step;
  }
};

/// One phase as the trainers of the library do it, left early after `last` steps.
void train(Toy& toy, std::string_view phase, std::uint64_t steps, RunFolder& log, std::uint64_t last = 1000) {
  toy.step = 0;
  TrainingState state = toy.state();
  const auto end = static_cast<Index>(steps);
  if (!log.restore(phase, state) && log.wants_checkpoint(0, end)) log.save(phase, state);
  while (toy.step < std::min(steps, last)) {
    toy.advance(phase.size());
    const auto now = static_cast<Index>(toy.step);
    const std::array metrics{Metric{"loss", toy.values[1]}, Metric{"flips", static_cast<double>(toy.flips >> 20)}};
    if (now % 2 == 0) log.report(phase, now, end, metrics);
    if (log.wants_checkpoint(now, end)) log.save(phase, state);
  }
}

/// A program of two phases with a report of its own between them. Writes the end state in place of a model.
void run_program(const fs::path& folder, bool resume) {
  RunFolder log(folder, config, {.resume = resume, .checkpoint_every = 3, .message = {}});
  Toy toy;
  log.report("start", 0, 0, {});
  train(toy, "first", 8, log);
  log.report("between", 0, 0, std::array{Metric{"value", toy.values[2]}});
  train(toy, "second", 16, log);
  TrainingState end = toy.state();
  write_checkpoint(folder / "result", {"end", 0, 0}, end);
}

/// Forks; the child runs the program. Returns its process id.
template <class Prepare>
pid_t start_program(const fs::path& folder, const Prepare& prepare) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int code = 0;
    try {
      prepare();
      run_program(folder, true);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      code = 1;
    }
    ::_exit(code);
  }
  return child;
}

/// True if the program came to its end, false if it was killed; any other end fails the test.
bool came_to_its_end(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) REQUIRE(WEXITSTATUS(status) == 0);
  return WIFEXITED(status);
}

void check_equal_runs(const fs::path& found, const fs::path& wanted) {
  CHECK(read_text(found / "result") == read_text(wanted / "result"));
  CHECK(read_text(found / "metrics.jsonl") == read_text(wanted / "metrics.jsonl"));
  CHECK(read_text(found / "run.json") == read_text(wanted / "run.json"));
}

std::vector<std::string> checkpoints(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints"))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void flip_bit(const fs::path& path, std::size_t byte) {
  std::string text = read_text(path);
  REQUIRE(byte < text.size());
  text[byte] = static_cast<char>(text[byte] ^ 4);
  write_text(path, text);
}

RunFolderOptions resuming(std::vector<std::string>* messages = nullptr) {
  return {.resume = true, .checkpoint_every = 3, .message = [messages](std::string_view text) {
            if (messages != nullptr) messages->emplace_back(text);
          }};
}

}  // namespace

TEST_CASE("a run folder holds its configuration and one object a report; no number that JSON lacks") {
  const TemporaryFolder folder;
  {
    RunFolder log(folder / "run", config);
    CHECK(!log.resumed());
    CHECK(log.path() == folder / "run");
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    log.report("pretrain", 3, 10,
               std::array{Metric{"loss", 1.25}, Metric{"t", inf}, Metric{"norm", nan}, Metric{"x", 0.1}});
    log.report("pretrain", 4, 10, {});
  }
  CHECK(read_text(folder / "run/metrics.jsonl") ==
        "{\"phase\":\"pretrain\",\"step\":3,\"steps\":10,\"loss\":1.25,\"t\":null,\"norm\":null,\"x\":0.1}\n"
        "{\"phase\":\"pretrain\",\"step\":4,\"steps\":10}\n");
  CHECK(contains(read_text(folder / "run/run.json"), "\"chunks\": 20"));
}

TEST_CASE("checkpoints are due every so many steps and at the end of a phase") {
  const TemporaryFolder folder;
  RunFolder log(folder / "a", config, {.resume = false, .checkpoint_every = 4, .message = {}});
  std::vector<Index> due;
  for (Index step = 0; step <= 10; ++step) {
    if (log.wants_checkpoint(step, 10)) due.push_back(step);
  }
  CHECK(due == std::vector<Index>{0, 4, 8, 10});
  RunFolder none(folder / "b", config);
  CHECK(!none.wants_checkpoint(10, 10));
  CHECK(error_of([&] { RunFolder(folder / "c", config, {false, -1, {}}); }).id() == ErrorId::option_out_of_range);
}

TEST_CASE("two checkpoints are kept of each phase, named by phase and step") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  CHECK(checkpoints(folder / "run") == std::vector<std::string>{"first-6.safetensors", "first-8.safetensors",
                                                                "second-15.safetensors", "second-16.safetensors"});
}

TEST_CASE("a finished run that is resumed does nothing again") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  fs::copy(folder / "run", folder / "wanted", fs::copy_options::recursive);
  fs::remove(folder / "run/result");
  run_program(folder / "run", true);
  check_equal_runs(folder / "run", folder / "wanted");
}

TEST_CASE("until the newest state is restored a resumed run repeats itself: nothing is written twice") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  const std::string lines = read_text(folder / "run/metrics.jsonl");
  const auto before = checkpoints(folder / "run");
  RunFolder log(folder / "run", config, resuming());
  Toy toy;
  TrainingState state = toy.state();
  CHECK(log.restore("first", state));
  CHECK(toy.step == 8);
  CHECK(!log.wants_checkpoint(8, 8));
  log.report("between", 0, 0, {});
  toy.step = 7;
  log.save("first", state);
  CHECK(read_text(folder / "run/metrics.jsonl") == lines);
  CHECK(checkpoints(folder / "run") == before);
  CHECK(log.restore("second", state));
  CHECK(log.wants_checkpoint(16, 16));
  log.report("after", 0, 0, {});
  toy.step = 17;
  log.save("second", state);
  CHECK(read_text(folder / "run/metrics.jsonl") == lines + "{\"phase\":\"after\",\"step\":0,\"steps\":0}\n");
  CHECK(checkpoints(folder / "run").back() == "second-17.safetensors");
}

TEST_CASE("resuming where nothing is starts a run; a set-up cut short is no obstacle") {
  const TemporaryFolder folder;
  run_program(folder / "wanted", false);
  fs::create_directory(folder / "run");
  write_text(folder / "run/run.json.tmp", "{\"se");
  run_program(folder / "run", true);
  check_equal_runs(folder / "run", folder / "wanted");
}

TEST_CASE("a run killed at random moments and resumed ends bit for bit as one that was not") {
  constexpr std::uint64_t seed = 20260101;
  CAPTURE(seed);
  const TemporaryFolder folder;
  const auto begin = std::chrono::steady_clock::now();
  run_program(folder / "wanted", false);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);

  const Random random(seed, Purpose::test);
  std::uint64_t kills = 0, draws = 0, runs = 0;
  while (kills < 60 && draws < 1000) {
    const fs::path run = folder / ("run" + std::to_string(runs++));
    while (true) {
      const pid_t child = start_program(run, [] {});
      const auto limit = static_cast<std::uint64_t>(whole.count()) * 2 / 5 + 1;
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(draws++, limit)));
      ::kill(child, SIGKILL);
      if (came_to_its_end(child)) break;
      ++kills;
      if (kills % 20 == 0) break;  // some runs are finished below, without another kill
    }
    REQUIRE(came_to_its_end(start_program(run, [] {})));
    check_equal_runs(run, folder / "wanted");
  }
  MESSAGE("seed ", seed, ": ", kills, " kills over ", runs, " runs");
  CHECK(kills >= 60);
}

TEST_CASE("a run killed in the middle of writing a file, at any byte, ends bit for bit as one that was not") {
  const TemporaryFolder folder;
  run_program(folder / "wanted", false);
  const auto largest = fs::file_size(folder / "wanted/checkpoints/second-16.safetensors");
  const auto log_bytes = fs::file_size(folder / "wanted/metrics.jsonl");
  REQUIRE(log_bytes < largest);
  int kills = 0;
  for (const std::uintmax_t bytes :
       {std::uintmax_t{10}, log_bytes / 3, log_bytes - 1, log_bytes, largest / 2, largest - 1}) {
    CAPTURE(bytes);
    const fs::path run = folder / ("run" + std::to_string(bytes));
    const auto limit_files = [&] {  // the kernel kills the process at the first write past the limit
      const rlimit none{0, 0}, limit{bytes, bytes};
      ::setrlimit(RLIMIT_CORE, &none);
      ::setrlimit(RLIMIT_FSIZE, &limit);
      std::signal(SIGXFSZ, SIG_DFL);
    };
    for (int again = 0; again < 2; ++again) kills += came_to_its_end(start_program(run, limit_files)) ? 0 : 1;
    REQUIRE(came_to_its_end(start_program(run, [] {})));
    check_equal_runs(run, folder / "wanted");
  }
  CHECK(kills == 12);
}

TEST_CASE("a full disk while saving is an error that leaves the older checkpoints and the log intact") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  run_program(folder / "wanted", false);
  {
    RunFolder log(run, config, {.resume = false, .checkpoint_every = 3, .message = {}});
    Toy toy;
    log.report("start", 0, 0, {});
    train(toy, "first", 8, log, 6);
    const auto before = checkpoints(run);
    const std::string newest = read_text(run / "checkpoints/first-6.safetensors");
    toy.advance(5);
    {
      const FullDisk full(1000);
      const Error error = error_of([&] { log.save("first", toy.state()); });
      CHECK(error.id() == ErrorId::write_failed);
      CHECK(contains(error.argument(), "first-7.safetensors"));
    }
    CHECK(checkpoints(run) == before);
    CHECK(read_text(run / "checkpoints/first-6.safetensors") == newest);
  }
  run_program(run, true);
  check_equal_runs(run, folder / "wanted");
}

TEST_CASE("a damaged newest checkpoint falls back to the one before, and says so") {
  const TemporaryFolder folder;
  run_program(folder / "wanted", false);
  const fs::path newest = "checkpoints/second-16.safetensors";
  const std::string good = read_text(folder / "wanted" / newest);
  const std::array damages{std::string(),
                           good.substr(0, good.size() / 2),
                           good.substr(0, good.size() - 1),
                           std::string("not a checkpoint"),
                           [&] {
                             std::string bad = good;
                             bad[good.find("\"counter.step\":\"16\"") + 16] = '0';
                             return bad;
                           }(),
                           [&] {
                             std::string bad = good;
                             bad.back() = static_cast<char>(bad.back() ^ 1);
                             return bad;
                           }(),
                           [&] {
                             std::string bad = good;
                             bad[good.size() - 500] = static_cast<char>(bad[good.size() - 500] ^ 64);
                             return bad;
                           }()};
  for (std::size_t i = 0; i < damages.size(); ++i) {
    CAPTURE(i);
    const fs::path run = folder / ("run" + std::to_string(i));
    fs::copy(folder / "wanted", run, fs::copy_options::recursive);
    write_text(run / newest, damages[i]);
    std::vector<std::string> messages;
    {
      RunFolder log(run, config, resuming(&messages));
      CHECK(log.resumed());
      Toy toy;
      TrainingState state = toy.state();
      CHECK(log.restore("second", state));
      CHECK(toy.step == 15);
    }
    REQUIRE(messages.size() == 2);
    CHECK(contains(messages[0], "second-16.safetensors"));
    CHECK(contains(messages[1], "goes on from"));
    CHECK(contains(messages[1], "second-15.safetensors"));
    CHECK(fs::exists(run / (newest.string() + ".damaged")));
    run_program(run, true);
    check_equal_runs(run, folder / "wanted");
  }
}

TEST_CASE("where every checkpoint of a phase is damaged the phase starts again, and all of them: the run") {
  const TemporaryFolder folder;
  run_program(folder / "wanted", false);
  for (const std::string_view phase : {"second-", ""}) {
    const fs::path run = folder / ("run" + std::string(phase));
    fs::copy(folder / "wanted", run, fs::copy_options::recursive);
    for (const std::string& name : checkpoints(run)) {
      if (name.starts_with(phase)) flip_bit(run / "checkpoints" / name, 300);
    }
    run_program(run, true);
    check_equal_runs(run, folder / "wanted");
  }
}

TEST_CASE("a state of other blocks or counters is refused with the differences, and stays as it was") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  RunFolder log(folder / "run", config, resuming());
  Toy toy;
  toy.values.fill(1.5);
  TrainingState state = toy.state();
  state.blocks[0].bytes -= 8;
  state.blocks[1].name = "second_moment";
  state.counters[1].name = "drift";
  const Error error = error_of([&] { (void)log.restore("second", state); });
  CHECK(error.id() == ErrorId::resume_mismatched);
  CHECK(contains(error.argument(), "second-16.safetensors"));
  CHECK(contains(error.found(), "block values: wanted 792 bytes, found 800 bytes"));
  CHECK(contains(error.found(), "block moments: wanted none, found 132 bytes"));
  CHECK(contains(error.found(), "block second_moment: wanted 132 bytes, found none"));
  CHECK(contains(error.found(), "counter drift: wanted present, found none"));
  CHECK(contains(error.found(), "counter flips: wanted none, found present"));
  CHECK(!contains(error.found(), "counter step"));
  CHECK(toy.values[0] == 1.5);
  CHECK(toy.step == 0);

  state = toy.state();
  state.counters.push_back(state.counters[0]);
  CHECK(error_of([&] { binllm::write_checkpoint(folder / "x", {}, state); }).id() == ErrorId::option_out_of_range);
}

TEST_CASE("keys that may differ are recorded, and not asked for when a run is resumed") {
  const TemporaryFolder folder;
  const auto options = [](bool resume) {
    return RunFolderOptions{.resume = resume, .may_differ = {"device", "precision"}};
  };
  const auto opened = [&](const std::string& effective_config) {
    RunFolder(folder / "run", effective_config, options(true));
  };
  const std::string begun = R"({"seed": 7, "device": {"name": "cpu", "threads": 2}, "precision": "float32"})";
  { const RunFolder first(folder / "run", begun, options(false)); }
  const std::string stored = read_text(folder / "run/run.json");
  CHECK(contains(stored, "threads"));
  opened(R"({"seed": 7, "device": {"name": "cuda"}, "precision": "bf16"})");
  opened(R"({"seed": 7})");
  CHECK(read_text(folder / "run/run.json") == stored);
  const Error error = error_of([&] { opened(R"({"seed": 8, "device": {"name": "cuda"}})"); });
  CHECK(error.id() == ErrorId::resume_mismatched);
  CHECK(contains(error.found(), "seed: wanted 8, found 7"));
  CHECK(!contains(error.found(), "device"));
}

TEST_CASE("what has a hash may lie elsewhere; where the run has no hash yet, the place counts") {
  const TemporaryFolder folder;
  const auto opened = [&](const std::string& effective_config) {
    RunFolder(folder / "run", effective_config, {.resume = true, .hashed = {{"model/start", "identity"}}});
  };
  opened(R"({"model": {"start": "a", "dim": 8}, "identity": {"weights": "1", "config": "2"}})");
  opened(R"({"model": {"start": "b", "dim": 8}, "identity": {"weights": "1", "config": "2"}})");
  const auto refused = [&](const std::string& effective_config) {
    return error_of([&] { opened(effective_config); }).found();
  };
  const std::string other = R"({"model": {"start": "a", "dim": 8}, "identity": {"weights": "3", "config": "2"}})";
  CHECK(refused(other) == R"(another: identity/weights: wanted "3", found "1")");
  CHECK(contains(refused(R"({"model": {"start": "a", "dim": 9}, "identity": {"weights": "1", "config": "2"}})"),
                 "model/dim: wanted 9, found 8"));
  write_text(folder / "run/run.json", R"({"model": {"start": "a", "dim": 8}})");
  opened(other);
  CHECK(refused(R"({"model": {"start": "b", "dim": 8}, "identity": {"weights": "3"}})") ==
        R"(another: model/start: wanted "b", found "a")");
}

TEST_CASE("a resumed run says from where it goes on") {
  const TemporaryFolder folder;
  std::vector<std::string> said;
  const RunFolderOptions options{.resume = true, .message = [&](std::string_view text) { said.emplace_back(text); }};
  { const RunFolder first(folder / "run", config, options); }
  CHECK(said.empty());
  { const RunFolder again(folder / "run", config, options); }
  REQUIRE(said.size() == 1);
  CHECK(contains(said[0], "begins again"));
}

TEST_CASE("resuming under another configuration names the keys that differ") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  const std::string other = R"({"seed": 8, "schedule": {"name": "exponential", "chunks": 10}, "batch": 4})";
  const std::string log = read_text(folder / "run/metrics.jsonl");
  const Error error = error_of([&] { RunFolder(folder / "run", other, resuming()); });
  CHECK(error.id() == ErrorId::resume_mismatched);
  CHECK(contains(error.argument(), (folder / "run/run.json").string()));
  CHECK(contains(error.found(), "batch: wanted 4, found none"));
  CHECK(contains(error.found(), "schedule/chunks: wanted 10, found 20"));
  CHECK(contains(error.found(), "seed: wanted 8, found 7"));
  CHECK(!contains(error.found(), "schedule/name"));
  CHECK(read_text(folder / "run/metrics.jsonl") == log);
  // The order of keys and blanks are no difference.
  CHECK(RunFolder(folder / "run", R"({"schedule":{"chunks":20,"name":"exponential"},"seed":7})", resuming()).resumed());
  CHECK(error_of([&] { RunFolder(folder / "run", "[1]", resuming()); }).id() == ErrorId::config_invalid);
  write_text(folder / "run/run.json", "{");
  CHECK(error_of([&] { RunFolder(folder / "run", config, resuming()); }).id() == ErrorId::config_invalid);
}

TEST_CASE("a folder that cannot become a run is refused before any work, and left alone") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  const std::string log = read_text(folder / "run/metrics.jsonl");
  const Error again = error_of([&] { RunFolder(folder / "run", config); });
  CHECK(again.id() == ErrorId::write_failed);
  CHECK(contains(again.wanted(), "--resume"));
  CHECK(read_text(folder / "run/metrics.jsonl") == log);

  fs::create_directory(folder / "photos");
  write_text(folder / "photos/cat", "meow");
  for (const bool resume : {false, true}) {
    const Error foreign = error_of([&] { RunFolder(folder / "photos", config, {resume, 1, {}}); });
    CHECK(foreign.id() == ErrorId::write_failed);
    CHECK(contains(foreign.argument(), "photos"));
  }
  CHECK(fs::directory_iterator(folder / "photos")->path().filename() == "cat");

  fs::create_directory(folder / "odd");
  write_text(folder / "odd/run.json", config);
  write_text(folder / "odd/checkpoints", "");
  CHECK(error_of([&] { RunFolder(folder / "odd", config, resuming()); }).id() == ErrorId::write_failed);

  write_text(folder / "file", "");
  CHECK(error_of([&] { RunFolder(folder / "file", config); }).id() == ErrorId::write_failed);
  CHECK(error_of([&] { RunFolder(folder / "file/inside", config); }).id() == ErrorId::write_failed);
  const FullDisk full(0);
  CHECK(error_of([&] { RunFolder(folder / "new", config); }).id() == ErrorId::write_failed);
}

TEST_CASE("a folder serves one run at a time") {
  const TemporaryFolder folder;
  const RunFolder first(folder / "run", config);
  const Error error = error_of([&] { RunFolder(folder / "run", config, resuming()); });
  CHECK(error.id() == ErrorId::write_failed);
  CHECK(contains(error.found(), "another run"));
}

TEST_CASE("a log shorter than the checkpoint says was changed by someone else") {
  const TemporaryFolder folder;
  run_program(folder / "run", false);
  write_text(folder / "run/metrics.jsonl", "{}\n");
  CHECK(error_of([&] { RunFolder(folder / "run", config, resuming()); }).id() == ErrorId::resume_mismatched);
}

TEST_CASE("a phase that would not make a file name is refused") {
  const TemporaryFolder folder;
  RunFolder log(folder / "run", config);
  for (const std::string_view phase : {"", "../up", "a b", "Stage"}) {
    CHECK(error_of([&] { log.save(phase, {}); }).id() == ErrorId::option_out_of_range);
  }
}
