// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "figures.hpp"
#include "text_plot.hpp"

#include <binllm/core/printable.hpp>
#include <binllm/io/containers/event_file.hpp>
#include <binllm/io/folders/run_record.hpp>

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

namespace program {

namespace {

using binllm::ReportReader;
using binllm::RunReport;

struct WatchOptions {
  fs::path run, tensorboard;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("run", self.run, "folder of a run, finished or not", positional());
    v("tensorboard", self.tensorboard, "write the numbers into a folder for TensorBoard, too, under the run's name",
      any);
    Common::visit(without("seed", v), self.common);
  }
};

/// What has been read of the metrics, as an event file. A log that was cut makes a new one.
class Events {
 public:
  Events(const fs::path& folder, const fs::path& run)
      : path_(folder / name_of_run(run) / "events.out.tfevents.binllm") {
    fs::create_directories(path_.parent_path());
  }
  void write(const std::vector<RunReport>& reports) {
    if (!file_ || reports.size() < written_) {
      file_.emplace(path_);
      written_ = 0;
    }
    const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    for (; written_ < reports.size(); ++written_) {
      const RunReport& report = reports[written_];
      for (const auto& [name, value] : report.numbers)
        file_->scalar(report.phase + "/" + name, report.step, value, now);
    }
  }

 private:
  fs::path path_;
  std::optional<binllm::EventFile> file_;
  std::size_t written_ = 0;
};

int terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? std::clamp<int>(size.ws_col, 40, 120) : 80;
}

/// The newest phase alone: its steps begin anew.
std::vector<std::pair<double, double>> curve(const std::vector<RunReport>& reports, std::string_view name) {
  std::vector<std::pair<double, double>> points;
  for (const RunReport& report : reports) {
    const auto value = report.number(name);
    if (value && report.phase == reports.back().phase) points.emplace_back(static_cast<double>(report.step), *value);
  }
  return points;
}

bool finished(const std::vector<RunReport>& reports) {
  return !reports.empty() && reports.back().step == reports.back().steps && reports.back().phase != "channel_scale";
}

std::string page_of(const fs::path& folder, const std::vector<RunReport>& reports, int width) {
  std::string page = fmt::format("{}: ", binllm::printable(name_of_run(folder)));
  if (reports.empty()) return page + "no report yet\n";
  const RunReport& last = reports.back();
  page += fmt::format("{} {}/{}", binllm::printable(last.phase), last.step, last.steps);
  if (const auto speed = last.number("tokens_per_second")) page += fmt::format(", {:.0f} tokens/s", *speed);
  page += '\n';
  struct Shown {
    std::string_view name, title;
    int height;
    bool logarithmic;
  };
  for (const Shown& shown : {Shown{"loss", "training loss", 8, false},
                             {"validation_loss", "validation loss", 8, false},
                             {"validation_loss_f", "validation loss with F", 5, false},
                             {"validation_loss_sign", "validation loss with Sign", 5, false},
                             {"t", "t", 4, true}}) {
    const auto points = curve(reports, shown.name);
    const std::string plot = text_plot(points, width, shown.height, shown.logarithmic);
    if (!plot.empty()) page += fmt::format("\n{} {:.4g}\n{}", shown.title, points.back().second, plot);
  }
  return page;
}

/// Lines of a text, a blank between them; what else a terminal would obey is spelt out.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return binllm::printable(text);
}

/// What the model said last.
std::string last_sample(const fs::path& folder, int width) {
  const binllm::RunRecord run = binllm::read_run(folder);
  if (run.samples.empty()) return {};
  const auto& sample = run.samples.back();
  std::string text = one_line(sample.prompt + sample.text);
  const auto room = static_cast<std::size_t>(2 * width);
  if (text.size() > room) {
    std::size_t end = room;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole characters
    text.resize(end);
  }
  return fmt::format("\nat step {}: {}\n", sample.step, text);
}

void print_json(const std::vector<RunReport>& reports) {
  Json result{{"finished", finished(reports)}, {"reports", reports.size()}};
  if (!reports.empty()) {
    const RunReport& last = reports.back();
    result["last"] = {{"phase", last.phase}, {"step", last.step}, {"steps", last.steps}};
    for (const auto& [name, value] : last.numbers) result["last"][name] = value;
  }
  fmt::print("{}\n", result.dump());
}

void watch(WatchOptions& o) {
  static_cast<void>(binllm::read_run(o.run));  // is it one?
  ReportReader reader(o.run);
  std::optional<Events> events;
  if (!o.tensorboard.empty()) events.emplace(o.tensorboard, o.run);
  const bool live = ::isatty(STDOUT_FILENO) == 1 && !o.common.json;
  for (bool first = true;; first = false) {
    const bool news = reader.update();
    const auto& reports = reader.reports();
    if (events && (news || first)) events->write(reports);
    if (o.common.json) return print_json(reports);
    if (news || first) {
      const int width = terminal_width();
      fmt::print("{}{}{}", live ? "\x1b[H\x1b[J" : "", page_of(o.run, reports, width), last_sample(o.run, width));
      std::fflush(stdout);
    }
    if (!live || finished(reports)) return;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

void add_watch(CLI::App& app, std::string& list) {
  add_command(app, list, "watch", "curves of a run in the terminal, while it is being written", watch);
}

}  // namespace program
