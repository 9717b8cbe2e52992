// SPDX-License-Identifier: MIT
#include "program/sweep.hpp"

#include "support/sanitizers.hpp"

#include "binllm/program.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace binllm::test {

using nlohmann::json;

namespace {

namespace fs = std::filesystem;

/// Largest number that a flag of things declares, else one whose products with itself wrap.
std::string largest(const json& flag) {
  return fmt::format("{:.0f}", flag.contains("most") ? flag["most"].get<double>() : 0x1p62);
}

bool is_number(const json& flag) { return flag.contains("range"); }
bool is_whole(const json& flag) { return is_number(flag) && flag["type"] != "FLOAT"; }

/// Whether the list says that a flag may be that.
bool may_be(const json& flag, const std::string& value) {
  if (!is_number(flag)) return !value.empty() || flag.value("may_be_empty", false);
  char* rest = nullptr;
  const double number = std::strtod(value.c_str(), &rest);
  if (value.empty() || *rest != '\0' || std::isnan(number)) return false;
  errno = 0;
  static_cast<void>(flag["type"] == "UINT" ? std::strtoull(value.c_str(), &rest, 10)
                                           : static_cast<unsigned long long>(std::strtoll(value.c_str(), &rest, 10)));
  if (is_whole(flag) && (errno != 0 || *rest != '\0')) return false;
  if (std::isinf(number) && !flag["infinity"].get<bool>()) return false;
  return number >= flag.value("least", number) && number <= flag.value("most", number);
}

std::string text_of(int file) {
  std::string text(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
  const auto read = ::pread(file, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(read, 0)));
  return text;
}

/// Where thousands of small files that are made durable cost no disk's time.
fs::path in_memory() {
  const char* const memory = "/dev/shm";
  return ::access(memory, W_OK) == 0 ? memory : fs::temp_directory_path();
}

std::string shown(const std::string& command, const Settings& settings) {
  std::string line = command;
  for (const auto& [flag, value] : settings) line += " " + flag + (value.empty() ? "" : " " + value);
  return line;
}

/// `settings` with one more, in place of what stands there of the same flag.
Settings with(Settings settings, const std::string& flag, const std::string& value) {
  std::erase_if(settings, [&](const auto& setting) { return setting.first == flag; });
  settings.emplace_back(flag, value);
  return settings;
}

bool has(const Settings& settings, const std::string& flag) {
  return std::any_of(settings.begin(), settings.end(), [&](const auto& s) { return s.first == flag; });
}

/// What is wrong with the way in which a run was refused, or with a run that was not; nothing where all is well.
std::string fault_of(const Observed& run, bool dry) {
  if (run.status == 128 + SIGALRM) return "does not end";
  if (run.status > 2) return fmt::format("ends by signal or status {}: {}", run.status, run.error);
  if ((run.status != 0 || dry) && !run.files.empty())
    return fmt::format("leaves {} behind, status {}: {}", run.files.begin()->first, run.status, run.error);
  if (run.status != 1) return {};
  const bool has_id = run.error.size() > 14 && run.error.starts_with("binllm: E") && run.error.substr(12, 2) == ": ";
  return has_id ? std::string() : "is refused without an id: " + run.error;
}

void without_clock(json& value) {
  if (value.is_object()) {
    for (auto item = value.begin(); item != value.end();) {
      const std::string& key = item.key();
      const bool of_clock = key.find("second") != key.npos || key.starts_with("peak") || key.starts_with("resident");
      item = of_clock ? value.erase(item) : std::next(item);
    }
  }
  if (value.is_structured()) {
    for (json& part : value) without_clock(part);
  }
}

/// Lines of JSON without times and memory; other text as it is.
std::string without_clock(const std::string& text) {
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    json object = json::parse(line, nullptr, false);
    if (object.is_object()) {
      without_clock(object);
      line = object.dump();
    }
    kept += line + '\n';
  }
  return kept;
}

/// The one after the default, or half of it; as the list says.
std::string other_value(const json& flag) {
  if (flag["type"] == "FLAG") return {};
  if (flag.contains("one_of")) return flag["one_of"].back();
  const double preset = std::strtod(flag.value("default", std::string("0")).c_str(), nullptr);
  if (flag["type"] == "FLOAT") return fmt::format("{}", preset == 0 ? 0.5 : std::isinf(preset) ? 2 : preset / 2);
  return fmt::format("{:.0f}", preset + 1 <= flag.value("most", 0x1p62) ? preset + 1 : 1);
}

}  // namespace

std::string Observed::essence() const {
  std::string text = fmt::format("{}\n{}{}", status, without_clock(out), without_clock(error));
  for (const auto& [path, content] : files) {
    const bool recorded = path.ends_with("run.json") || path.ends_with("README.md") ||
                          path.ends_with("commands.jsonl") || contains(path, "checkpoints/");
    text += path + '\n' + (recorded ? std::string() : without_clock(content));
  }
  return text;
}

SweptProgram::SweptProgram(void (*add)(CLI::App&, std::string&), double seconds)
    : folder_(in_memory()),
      app_(std::make_unique<CLI::App>()),
      seconds_(seconds),
      out_(::memfd_create("out", 0)),
      error_(::memfd_create("error", 0)) {
  REQUIRE(out_ >= 0);
  REQUIRE(error_ >= 0);
  app_->require_subcommand(1);
  add(*app_, list_);
  std::istringstream lines(list_);
  for (std::string line; std::getline(lines, line);) {
    const json& flag = flags_.emplace_back(json::parse(line));
    places_[flag["command"].get<std::string>() + " " + flag["flag"].get<std::string>()] = flags_.size() - 1;
  }
}

SweptProgram::~SweptProgram() {
  ::close(out_);
  ::close(error_);
}

const json* SweptProgram::find(const std::string& command, const std::string& flag) const {
  const auto place = places_.find(command + " " + flag);
  return place == places_.end() ? nullptr : &flags_[place->second];
}

std::set<std::string> SweptProgram::listing() const {
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
    found.insert(fs::relative(entry.path(), folder_.path()).string() + (entry.is_directory() ? "/" : ""));
  return found;
}

Observed SweptProgram::fork_and_run(const std::string& command, const Settings& settings) {
  Words words{"binllm", command};
  for (const auto& [flag, value] : settings) {
    const json* const known = find(command, flag);
    const bool alone = known != nullptr && (*known)["type"] == "FLAG" && value.empty();
    words.push_back(alone ? flag : flag + "=" + value);
  }
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  for (const int file : {out_, error_}) {
    REQUIRE(::ftruncate(file, 0) == 0);
    ::lseek(file, 0, SEEK_SET);
  }
  std::fflush(nullptr);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (int signal = 1; signal < SIGSYS; ++signal) std::signal(signal, SIG_DFL);
    const auto whole = static_cast<time_t>(seconds_);
    const itimerval limit{{}, {whole, static_cast<suseconds_t>((seconds_ - static_cast<double>(whole)) * 1e6)}};
    ::setitimer(ITIMER_REAL, &limit, nullptr);
    const rlimit none{0, 0}, memory{rlim_t{1} << 34, rlim_t{1} << 34};
    ::setrlimit(RLIMIT_CORE, &none);
    if (!sanitized) ::setrlimit(RLIMIT_AS, &memory);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(out_, STDOUT_FILENO);
    ::dup2(error_, STDERR_FILENO);
    if (::chdir(folder_.path().c_str()) != 0) ::_exit(127);
    const int status = program::run(*app_, static_cast<int>(arguments.size()), arguments.data());
    std::fflush(nullptr);
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), text_of(out_), text_of(error_)};
}

Observed SweptProgram::run(const std::string& command, const Settings& settings) {
  if (kept_.empty()) kept_ = listing();
  Observed observed = fork_and_run(command, settings);
  for (const std::string& path : listing()) {
    if (kept_.contains(path)) continue;
    observed.files[path] = path.ends_with('/') ? std::string() : read_text(folder_ / path);
  }
  for (const auto& [path, content] : observed.files) fs::remove_all(folder_ / path);
  return observed;
}

void SweptProgram::prepare(const std::string& command, const Settings& settings) {
  const Observed observed = fork_and_run(command, settings);
  INFO(shown(command, settings));
  INFO(observed.error);
  REQUIRE(observed.status == 0);
  kept_.clear();
}

Sweep sweep_values(SweptProgram& program, const std::map<std::string, Settings>& bases) {
  const Words values{"nan",
                     "inf",
                     "-inf",
                     "-1",
                     "0",
                     "1e400",
                     "2147483647",
                     "4611686018427387904",
                     "9223372036854775807",
                     "9223372036854775808",
                     "18446744073709551616",
                     "99999999999999999999999",
                     "",
                     "text"};
  Sweep sweep;
  const auto attempt = [&](const std::string& command, const Settings& settings) {
    const Observed run = program.run(command, settings);
    ++sweep.tried;
    const std::string fault = fault_of(run, has(settings, "--dry-run"));
    if (!fault.empty()) sweep.faults.push_back(shown(command, settings) + ": " + fault);
    return run.status;
  };
  for (const auto& [command, base] : bases) {
    std::vector<json> flags, whole;
    for (const json& flag : program.flags()) {
      if (flag["command"] != command) continue;
      flags.push_back(flag);
      // Nothing is multiplied with threads, and to start a thousand of them takes longer than all else: once is enough.
      if (flag["flag"] == "--threads") {
        attempt(command, with(base, "--threads", largest(flag)));
      } else if (is_whole(flag)) {
        whole.push_back(flag);
      }
    }
    for (const json& flag : flags) {
      const std::string name = flag["flag"];
      if (flag.value("range", "") == "a number") sweep.faults.push_back(command + " " + name + ": declares no range");
      for (const std::string& value : values) {
        if (flag["type"] == "FLAG" && value.empty()) continue;
        const Settings settings = with(base, name, value);
        if (attempt(command, settings) == 0 && (flag["type"] == "FLAG" || !may_be(flag, value)))
          sweep.faults.push_back(shown(command, settings) + ": is accepted");
      }
    }
    for (std::size_t a = 0; a < whole.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const Settings one = with(base, whole[a]["flag"], largest(whole[a]));
        attempt(command, with(one, whole[b]["flag"], largest(whole[b])));
      }
    }
    const auto is_of_training = [&](const char* name) {
      return std::any_of(whole.begin(), whole.end(), [&](const json& flag) { return flag["flag"] == name; });
    };
    if (!is_of_training("--batch") || !is_of_training("--context") || !is_of_training("--tokens")) continue;
    const Words sizes{"1", "65536", "2147483647"};
    for (const std::string& batch : sizes) {
      for (const std::string& context : sizes) {
        for (const std::string& tokens : {sizes[0], sizes[2], std::string("4611686018427387904")})
          attempt(command, with(with(with(base, "--batch", batch), "--context", context), "--tokens", tokens));
      }
    }
  }
  return sweep;
}

Sweep sweep_effects(SweptProgram& program, const std::vector<Mode>& modes,
                    const std::map<std::string, std::string>& values) {
  Sweep sweep;
  for (const Mode& mode : modes) {
    const Observed plain = program.run(mode.command, mode.base);
    if (plain.status != 0) {
      sweep.faults.push_back(shown(mode.command, mode.base) + ": " + plain.error);
      continue;
    }
    const std::string unchanged = plain.essence();
    for (const json& flag : program.flags()) {
      const std::string name = flag["flag"];
      if (flag["command"] != mode.command || has(mode.base, name) || mode.same.contains(name)) continue;
      auto value = values.find(mode.command + " " + name);
      if (value == values.end()) value = values.find(name);
      const Settings settings = with(mode.base, name, value == values.end() ? other_value(flag) : value->second);
      const Observed run = program.run(mode.command, settings);
      ++sweep.tried;
      const std::string fault = fault_of(run, has(settings, "--dry-run"));
      if (!fault.empty()) {
        sweep.faults.push_back(shown(mode.command, settings) + ": " + fault);
      } else if (run.status == 0 && run.essence() == unchanged) {
        sweep.faults.push_back(shown(mode.command, settings) + ": " + name + " changes nothing, and is not refused");
      }
    }
  }
  return sweep;
}

}  // namespace binllm::test
