// SPDX-License-Identifier: MIT
#include "figures.hpp"

#include <binllm/core/error.hpp>
#include <binllm/policy/runtime.hpp>
#include <binllm/policy/schedule.hpp>
#include <binllm/train/progressive.hpp>

#include <fmt/core.h>

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

namespace program {

namespace {

using binllm::Error;
using binllm::ErrorId;
using binllm::Index;
using binllm::RunRecord;
using binllm::RunReport;

/// Colours that those can tell apart, too, who do not see all of them (Okabe and Ito, 2008).
constexpr std::array<const char*, 6> colours{"#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7"};
constexpr const char* grey = "#a0a0a0";

const char* colour(std::size_t index) { return colours[index % colours.size()]; }

/// Lines of data under a name, and what plots them.
class Curves {
 public:
  explicit Curves(std::string name) : name_(std::move(name)) {}

  /// Points (x, y); `style` as in "with lines lc 'red'". Without points there is no curve.
  void add(const std::vector<std::pair<double, double>>& points, const std::string& style, const std::string& title) {
    if (points.empty()) return;
    const std::string block = fmt::format("${}{}", name_, count_++);
    data_ += block + " << end\n";
    for (const auto& [x, y] : points) data_ += fmt::format("{} {}\n", x, y);
    data_ += "end\n";
    plots_ += fmt::format("{}{} using 1:2 {} {}", plots_.empty() ? "" : ", ", block, style,
                          title.empty() ? "notitle" : "title " + gnuplot_word(title));
  }
  [[nodiscard]] const std::string& data() const { return data_; }
  /// "plot ..." with a line end; empty without a curve.
  [[nodiscard]] std::string plot() const { return plots_.empty() ? "" : "plot " + plots_ + "\n"; }

 private:
  std::string name_, data_, plots_;
  int count_ = 0;
};

std::string line_style(const char* colour, double width, int dash = 1) {
  return fmt::format("with lines lc rgb '{}' lw {} dt {}", colour, width, dash);
}

/// A number over steps of the phase that a run is about, at most so many points.
std::vector<std::pair<double, double>> series(const RunRecord& run, std::string_view number, std::size_t most = 1500) {
  std::vector<std::pair<double, double>> points;
  for (const RunReport& report : run.reports) {
    if (report.phase == "channel_scale") continue;
    const auto value = report.number(number);
    if (value && std::isfinite(*value)) points.emplace_back(static_cast<double>(report.step), *value);
  }
  if (points.size() <= most) return points;
  std::vector<std::pair<double, double>> fewer;
  for (std::size_t i = 0; i < most; ++i) fewer.push_back(points[i * (points.size() - 1) / (most - 1)]);
  return fewer;
}

/// The words of a binary recipe; empty for what has none.
Json recipe_of(const RunRecord& run) {
  const Json config = Json::parse(run.config, nullptr, false);
  return config.is_object() && config.contains("recipe") ? config["recipe"] : Json::object();
}
std::string word(const Json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string();
}

/// t of each chunk that has ended.
std::map<Index, double> sharpness_of_chunks(const RunRecord& run) {
  std::map<Index, double> chunks;
  for (const RunReport& report : run.reports) {
    const auto chunk = report.number("chunk"), t = report.number("t");
    if (chunk && t && report.number("sign_flips")) chunks[static_cast<Index>(*chunk)] = *t;
  }
  return chunks;
}

/// So many of a list, evenly, with the first and the last.
template <class T>
std::vector<T> some_of(const std::vector<T>& all, std::size_t most) {
  if (all.size() <= most) return all;
  std::vector<T> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(all[i * (all.size() - 1) / (most - 1)]);
  return some;
}

}  // namespace

std::string gnuplot_word(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "''" : c == '\n' ? " " : std::string(1, c);
  return word + "'";
}

std::string name_of_run(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

Figure losses_figure(const std::vector<RunRecord>& runs) {
  Curves losses("loss"), below("below");
  const bool alone = runs.size() == 1;
  bool any_t = false;
  double least = infinity, most = 0;
  for (const RunRecord& run : runs) {
    const auto t = series(run, "t", 4000);
    any_t = any_t || std::any_of(t.begin(), t.end(), [](const auto& point) { return point.second > 0; });
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    const std::string name = alone ? "" : name_of_run(run.folder) + ", ";
    const auto f = series(run, "validation_loss_f"), sign = series(run, "validation_loss_sign"),
               plain = series(run, "validation_loss");
    const bool judged = !f.empty() || !plain.empty();
    const auto points = fmt::format("with linespoints pt 7 ps 0.4 lw 2 lc rgb");
    if (alone || !judged) losses.add(series(run, "loss"), line_style(alone ? grey : colour(i), 1), name + "training");
    losses.add(plain, fmt::format("{} '{}'", points, colour(i)), name + "validation");
    losses.add(f, fmt::format("{} '{}' dt 2", points, colour(i)), name + "validation with F");
    losses.add(sign, fmt::format("{} '{}'", points, colour(alone ? 1 : i)), name + "validation with Sign");
    auto lower = series(run, any_t ? "t" : "learning_rate");
    std::erase_if(lower, [](const auto& point) { return point.second <= 0; });  // its axis is logarithmic
    for (const auto& [step, value] : lower) least = std::min(least, value), most = std::max(most, value);
    below.add(lower, fmt::format("with {} lc rgb '{}' lw 2", any_t ? "steps" : "lines", alone ? "black" : colour(i)),
              alone ? "" : name_of_run(run.folder));
  }
  if (losses.plot().empty()) return {};
  Figure figure;
  figure.script = losses.data() + below.data() +
                  "set multiplot\nset grid lc rgb '#e0e0e0'\nset lmargin 9\nset rmargin 2\n"
                  "set origin 0,0.34\nset size 1,0.66\nset key top right\nset xlabel ''\nset format x ''\n"
                  "set ylabel 'loss (nats a token)'\n" +
                  losses.plot() +
                  "set origin 0,0\nset size 1,0.36\nset format x '%g'\nset xlabel 'step'\nset key top left\n" +
                  (most == least ? fmt::format("set yrange [{}:{}]\n", least / 10, most * 10) : "") +
                  (any_t ? "set logscale y\nset ylabel 't'\n" : "set ylabel 'learning rate'\nset format y '%.0e'\n") +
                  below.plot() + "unset multiplot\n";
  return figure;
}

Figure schedule_figure(const RunRecord& run) {
  const auto chunks = sharpness_of_chunks(run);
  const Json recipe = recipe_of(run);
  const std::string estimator = word(recipe, "estimator"), schedule = word(recipe, "schedule");
  if (chunks.empty() || estimator.empty()) return {};
  const double last = [&] {
    const Json config = Json::parse(run.config, nullptr, false);
    const double count = config.value("chunks", 0.0);
    return count > 0 ? count : static_cast<double>(chunks.rbegin()->first);
  }();

  Curves schedules("schedule"), estimators("estimator");
  std::size_t index = 0;
  std::vector<std::string> names;
  for (const auto& entry : binllm::schedule_table) names.emplace_back(entry.name);
  const bool listed = std::find(names.begin(), names.end(), schedule) != names.end();
  if (!listed && schedule != binllm::custom_policy) names.push_back(schedule);  // with numbers of its own
  for (const std::string& name : names) {
    const auto sharpness = binllm::RuntimeSchedule::named(name);
    std::vector<std::pair<double, double>> points;
    for (double c = 0.25; c <= binllm::schedule_end; c += 0.25)
      if (const double t = sharpness(c); t > 0 && std::isfinite(t)) points.emplace_back(c, t);
    const bool chosen = name == schedule;
    const int dash = chosen ? 1 : index < colours.size() ? 2 : 4;
    schedules.add(points, line_style(colour(index++), chosen ? 2.5 : 1.2, dash), name);
  }
  std::vector<std::pair<double, double>> seen;
  for (const auto& [chunk, t] : chunks)
    if (t > 0 && std::isfinite(t)) seen.emplace_back(binllm::schedule_end * static_cast<double>(chunk) / last, t);
  schedules.add(seen, "with points pt 6 ps 0.9 lc rgb 'black'", "this run's chunks");

  const auto formula = binllm::RuntimeEstimator<float>::named(estimator);
  const std::vector<std::pair<Index, double>> all(chunks.begin(), chunks.end());
  const auto some = some_of(all, 6);
  for (std::size_t i = 0; i < some.size(); ++i) {
    std::vector<std::pair<double, double>> points;
    for (int x = -120; x <= 120; ++x) {
      const auto at = static_cast<float>(x) / 60;
      points.emplace_back(at, formula.value(at, static_cast<float>(some[i].second)));
    }
    estimators.add(points, line_style(colour(i), 2),
                   fmt::format("chunk {}, t = {:.3g}", some[i].first, some[i].second));
  }
  Figure figure{{}, 560, 760};
  figure.script = schedules.data() + estimators.data() +
                  "set multiplot layout 2,1\nset grid lc rgb '#e0e0e0'\nset lmargin 9\nset rmargin 2\nset logscale y\n"
                  "set key below maxcols 3 font ',11'\nset xrange [0:20]\nset yrange [0.05:500]\n"
                  "set xlabel 'c = 20 chunk / chunks'\nset ylabel 't(c)'\n" +
                  schedules.plot() +
                  "unset logscale y\nset xrange [-2:2]\nset yrange [-2:2]\nset xlabel 'x = W / S'\nset ylabel " +
                  gnuplot_word("F(x, t), " + estimator) + "\n" + estimators.plot() + "unset multiplot\n";
  return figure;
}

Figure weights_figure(const RunRecord& run) {
  if (run.histograms.empty()) return {};
  const auto some = some_of(run.histograms, 8);
  const int rows = static_cast<int>(some.size() + 1) / 2;
  std::string data, plots;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const auto& h = some[i];
    const double width = (h.high - h.low) / static_cast<double>(std::max<std::size_t>(h.counts.size(), 1));
    Index most = 1;
    for (const Index count : h.counts) most = std::max(most, count);
    data += fmt::format("$weights{} << end\n", i);
    for (std::size_t bin = 0; bin < h.counts.size(); ++bin)
      data += fmt::format("{} {}\n", h.low + (static_cast<double>(bin) + 0.5) * width,
                          static_cast<double>(h.counts[bin]) / static_cast<double>(most));
    data += "end\n";
    plots += fmt::format(
        "set title {} offset 0,-0.6\nset xrange [{}:{}]\nset xtics (-{tic:.1g}, 0, {tic:.1g})\nset boxwidth {}\nplot "
        "$weights{} using 1:2 with boxes fs solid noborder lc rgb '{}' notitle\n",
        gnuplot_word(fmt::format("chunk {}, t = {:.3g}", h.chunk, h.t)), h.low, h.high, width, i, colours[0],
        fmt::arg("tic", 0.6 * h.high));
  }
  Figure figure{{}, 560, 40 + 150 * rows};
  figure.script =
      data +
      fmt::format(
          "set multiplot layout {},2 title {}\nunset ytics\nset yrange [0:1.05]\nset xtics nomirror font ',11'\n"
          "set bmargin 2\nset tmargin 2\nset lmargin 2\nset rmargin 2\n",
          rows, gnuplot_word("W_b of " + some.front().layer)) +
      plots + "unset multiplot\n";
  return figure;
}

bool can_draw() {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (::access((fs::path(rest.substr(0, end)) / "gnuplot").c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

namespace {

void draw_as(const std::string& terminal, const Figure& figure, const fs::path& picture) {
  if (!can_draw())
    throw Error(ErrorId::file_missing, "plot", "gnuplot", "the program gnuplot (Debian: gnuplot-nox)",
                "none on the path");
  const std::string script = fmt::format("set terminal {} size {},{} font 'sans-serif,13' background '#ffffff'\n",
                                         terminal, figure.width, figure.height) +
                             "set output " + gnuplot_word(picture.string()) + "\n" + figure.script;
  std::FILE* const pipe = ::popen("gnuplot", "w");
  const bool written = pipe != nullptr && std::fwrite(script.data(), 1, script.size(), pipe) == script.size();
  const int status = pipe == nullptr ? -1 : ::pclose(pipe);
  if (!written || status != 0 || !fs::exists(picture))
    throw Error(ErrorId::write_failed, "plot", picture.string(), "a picture by gnuplot",
                fmt::format("status {}", status));
}

}  // namespace

void draw(const Figure& figure, const fs::path& picture) {
  const std::string ending = picture.extension().string();
  if (ending != ".svg" && ending != ".png")
    throw Error(ErrorId::option_out_of_range, "plot", "--out", "a name that ends in .svg or .png", picture.string());
  draw_as(ending == ".svg" ? "svg noenhanced" : "pngcairo noenhanced", figure, picture);
}

std::string svg_of(const Figure& figure, std::string_view title) {
  std::string folder = (fs::temp_directory_path() / "binllm-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)
    throw Error(ErrorId::write_failed, "plot", folder, "a folder for a picture", "none that can be made");
  const fs::path picture = fs::path(folder) / "picture.svg";
  std::string text;
  try {
    draw_as("svg dynamic noenhanced", figure, picture);
    std::ifstream file(picture, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(file), {});
  } catch (...) {
    fs::remove_all(folder);
    throw;
  }
  fs::remove_all(folder);
  const std::size_t begin = text.find("<svg");  // without the prologue of a file
  if (begin == text.npos) return {};
  text.erase(0, begin);
  constexpr std::string_view untitled = "<title>Gnuplot</title>";
  if (const std::size_t at = text.find(untitled); at != text.npos)
    text.replace(at, untitled.size(), fmt::format("<title>{}</title>", title));
  return text;
}

}  // namespace program
