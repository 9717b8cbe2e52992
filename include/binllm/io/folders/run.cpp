// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/checkpoint.hpp>
#include <binllm/io/folders/run.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <map>
#include <set>

namespace binllm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int config_depth = 16;
constexpr std::size_t kept_per_phase = 2;  // the newest may turn out to be damaged
constexpr std::string_view checkpoint_extension = ".safetensors";

/// Files that a run killed while it was being set up leaves behind.
bool is_leftover(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == "run.json.tmp" || name.starts_with(".writable-");
}

bool holds_files(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator{},
                     [](const fs::directory_entry& entry) { return !is_leftover(entry.path()); });
}

json parse_config(std::string_view text, const std::string& argument) {
  return detail::parse_json_object(text, config_depth, {ErrorId::config_invalid, "RunFolder", argument});
}

/// A configuration by ways to its values, such as "model/dim".
std::map<std::string, std::string> flat(const json& config) {
  std::map<std::string, std::string> values;
  const json flattened = config.flatten();  // outlives its items
  for (const auto& [key, value] : flattened.items()) values[key.substr(key.starts_with('/') ? 1 : 0)] = value.dump();
  return values;
}
bool is_at(const std::string& way, const std::string& key) {
  return way == key || (way.starts_with(key) && way[key.size()] == '/');
}

void check_same_config(const json& wanted, const json& stored, const RunFolderOptions& options, const fs::path& path) {
  auto here = flat(wanted), there = flat(stored);
  const auto forget = [&](const std::string& key) {
    for (auto* const side : {&here, &there})
      std::erase_if(*side, [&](const auto& entry) { return is_at(entry.first, key); });
  };
  for (const std::string& key : options.may_differ) forget(key);
  for (const auto& [place, hash] : options.hashed) {
    const bool known =
        std::any_of(there.begin(), there.end(), [&key = hash](const auto& entry) { return is_at(entry.first, key); });
    forget(known ? place : hash);
  }
  std::set<std::string> keys;
  for (const auto* const side : {&here, &there}) {
    for (const auto& [key, value] : *side) keys.insert(key);
  }
  const auto shown = [](const auto& side, const std::string& key) {
    const auto entry = side.find(key);
    return entry == side.end() ? std::string("none") : entry->second;
  };
  std::string differences;
  for (const std::string& key : keys) {
    const std::string a = shown(here, key), b = shown(there, key);
    if (a != b) differences += fmt::format("{}{}: wanted {}, found {}", differences.empty() ? "" : "; ", key, a, b);
  }
  if (differences.empty()) return;
  throw Error(ErrorId::resume_mismatched, "RunFolder", path.string(), "the configuration of this run",
              "another: " + differences);
}

/// Whether the folder holds the run that is to go on; else it is fit to begin one in. Errors: write_failed, config_invalid,
/// resume_mismatched.
bool holds_run(const fs::path& folder, const json& config, const RunFolderOptions& options) {
  const fs::path path = folder / "run.json";
  const bool exists = fs::exists(path);
  if ((exists && !options.resume) || (!exists && fs::is_directory(folder) && holds_files(folder))) {
    throw Error(ErrorId::write_failed, "RunFolder", folder.string(),
                exists ? "a new or empty folder, or --resume to go on with the run in it" : "a new or empty folder",
                exists ? "a run" : "files that are not a run's");
  }
  if (!exists) return false;
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  check_same_config(config, parse_config(text, path.string()), options, path);
  return true;
}

FileDescriptor lock_folder(const fs::path& folder) {
  FileDescriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) detail::throw_write_failed("RunFolder", folder, errno);
  // Other failures mean a file system without locks, where two runs at a time are the user's to avoid.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw Error(ErrorId::write_failed, "RunFolder", folder.string(), "a folder that no other run is using",
                "one that another run has locked");
  }
  return file;
}

void check_phase(std::string_view phase) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  if (!phase.empty() && std::all_of(phase.begin(), phase.end(), good)) return;
  throw Error(ErrorId::option_out_of_range, "RunFolder", "phase", "lower-case letters, digits, _ and -",
              std::string(phase));
}

/// The step that a state stands at, for the name of its file; its rank where it does not count steps.
std::uint64_t step_of(const TrainingState& state, std::uint64_t sequence) {
  const auto step =
      std::find_if(state.counters.begin(), state.counters.end(), [](const auto& c) { return c.name == "step"; });
  return step == state.counters.end() ? sequence : *step->value;
}

}  // namespace

RunFolder::RunFolder(fs::path folder, std::string_view effective_config, RunFolderOptions options)
    : folder_(std::move(folder)), options_(std::move(options)) {
  if (options_.checkpoint_every < 0) {
    throw Error(ErrorId::option_out_of_range, "RunFolder", "checkpoint_every", "at least 0",
                fmt::format("{}", options_.checkpoint_every));
  }
  bool is_run = false;
  try {
    is_run = begin(effective_config);
    find_checkpoints();
  } catch (const fs::filesystem_error& error) {
    detail::throw_write_failed("RunFolder", error.path1(), error.code().value());
  }
  resumed_ = repeating_ = !kept_.empty();
  if (resumed_) {
    say(fmt::format("goes on from {}", kept_.back().path.string()));
  } else if (is_run) {
    say("begins again: the run in the folder has no checkpoint that can be read");
  }
  metrics_.emplace(folder_ / "metrics.jsonl", resumed_ ? kept_.back().metrics_bytes : 0);
  // A file system that has nothing to sync for a folder says EINVAL.
  if (::fsync(lock_.get()) != 0 && errno != EINVAL) detail::throw_write_failed("RunFolder", folder_, errno);
}

void RunFolder::check(const fs::path& folder, std::string_view effective_config, const RunFolderOptions& options) {
  const json config = parse_config(effective_config, "effective_config");
  try {
    check_may_write(folder);
    static_cast<void>(holds_run(folder, config, options));
  } catch (const fs::filesystem_error& error) {
    detail::throw_write_failed("RunFolder", error.path1(), error.code().value());
  }
}

bool RunFolder::begin(std::string_view effective_config) {
  const json config = parse_config(effective_config, "effective_config");
  check_writable(folder_);
  lock_ = lock_folder(folder_);
  const bool exists = holds_run(folder_, config, options_);
  if (!exists) {
    const std::string text = config.dump(2) + '\n';
    AtomicFile file(folder_ / "run.json");
    file.write(std::as_bytes(std::span(text)));
    file.commit();
  }
  fs::create_directories(folder_ / "checkpoints");
  return exists;
}

/// Damaged files get another name, so that they neither count as kept nor disappear.
void RunFolder::find_checkpoints() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder_ / "checkpoints")) paths.push_back(entry.path());
  for (const fs::path& path : paths) {
    if (path.extension() == ".tmp") fs::remove(path);  // of a run that was killed while it saved
    if (path.extension() != checkpoint_extension) continue;
    try {
      const CheckpointLabel label = verify_checkpoint(path);
      kept_.push_back({path, label.phase, label.sequence, label.metrics_bytes});
    } catch (const Error& error) {
      fs::path damaged = path;
      damaged += ".damaged";
      fs::rename(path, damaged);
      say(fmt::format("set aside a damaged checkpoint, {}: {}", damaged.string(), error.what()));
    }
  }
  std::sort(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
}

void RunFolder::report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) {
  if (repeating_) return;
  nlohmann::ordered_json line{{"phase", phase}, {"step", step}, {"steps", steps}};
  for (const Metric& metric : metrics)
    line[std::string(metric.name)] = metric.value;  // NaN and inf are written as null
  metrics_->append(line.dump());
}

bool RunFolder::wants_checkpoint(Index step, Index steps) {
  const Index every = options_.checkpoint_every;
  return every > 0 && !repeating_ && (step % every == 0 || step == steps);
}

void RunFolder::save(std::string_view phase, const TrainingState& state) {
  check_phase(phase);
  if (repeating_) return;
  metrics_->sync();  // a checkpoint never knows of lines that a power cut could take back
  const std::uint64_t sequence = kept_.empty() ? 1 : kept_.back().sequence + 1;
  Checkpoint checkpoint{
      folder_ / "checkpoints" / fmt::format("{}-{}{}", phase, step_of(state, sequence), checkpoint_extension),
      std::string(phase), sequence, metrics_->bytes()};
  write_checkpoint(checkpoint.path, {checkpoint.phase, sequence, checkpoint.metrics_bytes}, state);
  std::erase_if(kept_, [&](const Checkpoint& other) { return other.path == checkpoint.path; });
  kept_.push_back(std::move(checkpoint));
  prune(phase);
}

void RunFolder::prune(std::string_view phase) {
  const auto of_phase = [&](const Checkpoint& c) { return c.phase == phase; };
  while (std::count_if(kept_.begin(), kept_.end(), of_phase) > static_cast<std::ptrdiff_t>(kept_per_phase)) {
    const auto oldest = std::find_if(kept_.begin(), kept_.end(), of_phase);
    std::error_code ignored;  // an old file that stays is no harm
    fs::remove(oldest->path, ignored);
    kept_.erase(oldest);
  }
}

bool RunFolder::restore(std::string_view phase, TrainingState& state) {
  const auto newest = std::find_if(kept_.rbegin(), kept_.rend(), [&](const Checkpoint& c) { return c.phase == phase; });
  if (newest == kept_.rend()) return false;
  read_checkpoint(newest->path, state);
  if (newest == kept_.rbegin()) {
    if (metrics_->bytes() != newest->metrics_bytes) metrics_.emplace(folder_ / "metrics.jsonl", newest->metrics_bytes);
    repeating_ = false;
  }
  return true;
}

void RunFolder::say(const std::string& text) const {
  if (options_.message) options_.message(text);
}

}  // namespace binllm
