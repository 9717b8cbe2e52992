// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/run_record.hpp>
#include <binllm/version.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <ctime>

namespace binllm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr int depth = 16;

json parse(std::string_view text, const fs::path& path) {
  return detail::parse_json_object(text, depth, {ErrorId::config_invalid, "read_run", path.string()});
}

/// Calls f(object, bytes up to its end) for each whole line from `from` on; returns where the last one ended.
template <class F>
std::uint64_t for_each_line(const fs::path& path, std::uint64_t from, const F& f) {
  if (!fs::exists(path) || fs::file_size(path) <= from) return from;
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  for (std::size_t end = 0; (end = text.find('\n', from)) != text.npos; from = end + 1)
    f(parse(text.substr(from, end - from), path), end + 1);
  return from;
}

/// Members of a line, with errors that name the file.
class Line {
 public:
  Line(const json& object, const fs::path& path) : object_(object), path_(path) {}
  template <class T>
  [[nodiscard]] T get(const char* key) const {
    const auto found = object_.find(key);
    try {
      if (found != object_.end()) return found->get<T>();
    } catch (const json::exception&) {
    }
    throw Error(ErrorId::config_invalid, "read_run", path_.string(), fmt::format("lines with a good \"{}\"", key),
                found == object_.end() ? "none" : found->dump().substr(0, 64));
  }
  /// A number; `null` stands for one that is not finite.
  [[nodiscard]] double number(const char* key, double if_null) const {
    return object_.contains(key) && object_[key].is_null() ? if_null : get<double>(key);
  }

 private:
  const json& object_;
  const fs::path& path_;
};

RunReport report_of(const json& object, const fs::path& path) {
  const Line line(object, path);
  RunReport report{line.get<std::string>("phase"), line.get<Index>("step"), line.get<Index>("steps"), {}};
  for (const auto& [key, value] : object.items()) {
    if (key != "phase" && key != "step" && key != "steps")
      report.numbers[key] = line.number(key.c_str(), std::numeric_limits<double>::quiet_NaN());
  }
  return report;
}

std::string text_of(const fs::path& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

double finite_or_infinity(const Line& line) { return line.number("t", std::numeric_limits<double>::infinity()); }

}  // namespace

const RunReport* RunRecord::best() const {
  const RunReport* lowest = nullptr;
  for (const RunReport& report : reports) {
    const auto loss = report.judged_by();
    if (loss && !std::isnan(*loss) && (lowest == nullptr || *loss < *lowest->judged_by())) lowest = &report;
  }
  return lowest;
}

RunRecord read_run(const fs::path& folder) {
  const fs::path config = folder / "run.json";
  if (!fs::exists(config))
    throw Error(ErrorId::file_missing, "read_run", folder.string(), "the folder of a run, with run.json", "none");
  RunRecord run;
  run.folder = folder;
  run.config = text_of(config);
  static_cast<void>(parse(run.config, config));
  if (const fs::path path = folder / "results.json"; fs::exists(path)) run.results = text_of(path);

  ReportReader reader(folder);
  static_cast<void>(reader.update());
  run.reports = reader.reports();
  const fs::path commands = folder / "commands.jsonl", samples = folder / "samples.jsonl",
                 histograms = folder / "histograms.jsonl";
  for_each_line(commands, 0, [&](const json& object, std::uint64_t) {
    run.commands.push_back(Line(object, commands).get<std::string>("command"));
  });
  for_each_line(samples, 0, [&](const json& object, std::uint64_t) {
    const Line line(object, samples);
    run.samples.push_back({line.get<std::string>("phase"), line.get<Index>("step"), finite_or_infinity(line),
                           line.get<std::string>("prompt"), line.get<std::string>("text")});
  });
  for_each_line(histograms, 0, [&](const json& object, std::uint64_t) {
    const Line line(object, histograms);
    run.histograms.push_back({line.get<std::string>("phase"), line.get<Index>("step"), line.get<Index>("chunk"),
                              finite_or_infinity(line), line.get<std::string>("layer"), line.get<double>("low"),
                              line.get<double>("high"), line.get<std::vector<Index>>("counts")});
  });
  return run;
}

bool ReportReader::update() {
  const bool cut = fs::exists(path_) ? fs::file_size(path_) < read_ : read_ > 0;
  if (cut) {
    reports_.clear();
    read_ = 0;
  }
  const std::size_t before = reports_.size();
  read_ = for_each_line(path_, read_,
                        [&](const json& object, std::uint64_t) { reports_.push_back(report_of(object, path_)); });
  return cut || reports_.size() != before;
}

RunLines::RunLines(const fs::path& folder, std::string_view name) : path_(folder / name) {
  ReportReader reader(folder);
  static_cast<void>(reader.update());
  std::set<Key> known;
  for (const RunReport& report : reader.reports()) known.emplace(report.phase, report.step);

  std::uint64_t keep = 0;
  bool good = true;
  for_each_line(path_, 0, [&](const json& object, std::uint64_t end) {
    const Line line(object, path_);
    const Key key{line.get<std::string>("phase"), line.get<Index>("step")};
    good = good && known.contains(key);
    if (!good) return;
    kept_.insert(key);
    keep = end;
  });
  if (fs::exists(path_)) lines_.emplace(path_, keep);
}

void RunLines::append(std::string_view json_object_line) {
  if (!lines_) lines_.emplace(path_);
  lines_->append(json_object_line);
  lines_->sync();
}

namespace {
/// Texts that a model makes need not be whole characters.
std::string line_of(const ordered_json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }
}  // namespace

void append(RunLines& lines, const RunSample& sample) {
  lines.append(line_of({{"phase", sample.phase},
                        {"step", sample.step},
                        {"t", sample.t},
                        {"prompt", sample.prompt},
                        {"text", sample.text}}));
}

void append(RunLines& lines, const WeightHistogram& histogram) {
  lines.append(line_of({{"phase", histogram.phase},
                        {"step", histogram.step},
                        {"chunk", histogram.chunk},
                        {"t", histogram.t},
                        {"layer", histogram.layer},
                        {"low", histogram.low},
                        {"high", histogram.high},
                        {"counts", histogram.counts}}));
}

void append_command(const fs::path& folder, std::string_view command) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::array<char, 32> date{};
  if (::gmtime_r(&now, &utc) != nullptr) std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  JsonLines lines(folder / "commands.jsonl");
  lines.append(line_of({{"command", command}, {"version", version}, {"started", date.data()}}));
}

}  // namespace binllm
