// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "figures.hpp"

#include <binllm/core/error.hpp>
#include <binllm/io/containers/atomic_file.hpp>

#include <fmt/core.h>

#include <fstream>
#include <map>
#include <string_view>

namespace program {

namespace {

using binllm::Error;
using binllm::ErrorId;

struct PlotOptions {
  std::vector<fs::path> runs;
  std::string figure;
  std::vector<fs::path> lines;
  fs::path out;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("runs", self.runs, "folders of runs; of several the losses are drawn together", optional_positional());
    Flag figure = shown_as("all of a run; bits of --lines");
    figure.one_of = {"losses", "schedule", "weights", "bits"};
    v("figure", self.figure,
      "losses and t over steps, the schedule and F of the chunks, histograms of weights, or bits: what is lost by bits "
      "a weight, from the files that quantize writes",
      figure);
    v("lines", self.lines, "of bits: files of JSON lines", any);
    v("out", self.out, "a picture that ends in .svg or .png, or a folder for SVG and PNG of each",
      shown_as("RUN/pictures"));
    Common::visit(without("seed", v), self.common);
  }
};

/// The last line of a file, which sums up what the others say. Errors: file_missing, config_invalid.
Json last_line(const fs::path& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorId::file_missing, "plot", path.string(), "a file of JSON lines", "none");
  std::string line, last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  Json object = Json::parse(last, nullptr, false);
  for (const char* const key : {"method", "bits", "weight_error", "output_error"}) {
    if (!object.is_object() || !object.contains(key))
      throw Error(ErrorId::config_invalid, "plot", path.string(), fmt::format("a last line with \"{}\"", key), last);
  }
  return object;
}

/// Two panels: the squared error of weights and outputs relative to their squares, and the loss on the validation text,
/// both by bits a weight. Each method has a line; the dotted one is full precision.
Figure bits_figure(const std::vector<fs::path>& lines) {
  std::map<std::string, std::map<double, Json>> methods;
  for (const fs::path& path : lines) {
    const Json line = last_line(path);
    methods[line["method"].get<std::string>()][line["bits"].get<double>()] = line;
  }
  std::string data, errors, losses;
  double full_precision = 0;
  int index = 0;
  for (const auto& [method, points] : methods) {
    data += fmt::format("$method{} << end\n", index);
    bool judged = true;
    for (const auto& [bits, line] : points) {
      data += fmt::format("{} {} {} {}\n", bits, line["weight_error"].get<double>(), line["output_error"].get<double>(),
                          line.value("nll", 0.0));
      judged = judged && line.contains("nll");
      full_precision = line.value("nll_before", full_precision);
    }
    data += "end\n";
    const auto curve = [&](int column, const std::string& title, int dash) {
      return fmt::format("$method{} using 1:{} with linespoints lc {} pt 7 dt {} title {}, ", index, column, index + 1,
                         dash, gnuplot_word(title));
    };
    errors += curve(2, method + ", weights", 1);
    if (points.begin()->second["output_error"].get<double>() > 0) errors += curve(3, method + ", outputs", 2);
    if (judged) losses += curve(4, method, 1);
    ++index;
  }
  const bool both = !losses.empty();
  Figure figure{{}, 960, 400};
  figure.script = data +
                  "set xlabel 'bits a weight'\nset grid\nset logscale x 2\nset xtics (1, 1.58, 2, 3, 4, 8)\nset xrange "
                  "[0.95:8.4]\n";
  if (both) figure.script += "set multiplot layout 1,2\n";
  figure.script += "set logscale y\nset format y '%.0e'\nset ylabel 'relative squared error'\nplot " + errors + "\n";
  if (both) {
    figure.script +=
        "unset logscale y\nset format y '%g'\nset ylabel 'loss (nats a token)'\nplot " + losses +
        fmt::format("{} with lines lc 'black' dt 3 title 'full precision'\nunset multiplot\n", full_precision);
  }
  return figure;
}

/// Pictures of runs by name, those alone for which they wrote something down.
std::map<std::string, Figure> figures_of(const std::vector<binllm::RunRecord>& runs) {
  std::map<std::string, Figure> figures{{"losses", losses_figure(runs)}};
  if (runs.size() == 1) {
    figures["schedule"] = schedule_figure(runs.front());
    figures["weights"] = weights_figure(runs.front());
  }
  std::erase_if(figures, [](const auto& figure) { return figure.second.script.empty(); });
  return figures;
}

void plot(PlotOptions& o) {
  const bool bits = o.figure == "bits" || (o.figure.empty() && o.runs.empty());
  if (bits && (o.lines.empty() || !o.runs.empty()))
    throw Error(ErrorId::config_inconsistent, "plot", "--lines", "a run, or --lines FILE for the figure bits",
                "neither");
  if (!bits && (!o.lines.empty() || o.runs.empty()))
    throw Error(ErrorId::config_inconsistent, "plot", "--figure", "the folder of a run, without --lines", o.figure);
  if (bits && o.out.empty())
    throw Error(ErrorId::config_inconsistent, "plot", "--out", "a picture for the figure bits", "none");
  std::map<std::string, Figure> figures;
  if (bits) {
    figures["bits"] = bits_figure(o.lines);
  } else {
    std::vector<binllm::RunRecord> runs;
    for (const fs::path& folder : o.runs) runs.push_back(binllm::read_run(folder));
    figures = figures_of(runs);
    if (!o.figure.empty()) std::erase_if(figures, [&](const auto& figure) { return figure.first != o.figure; });
    if (figures.empty()) {
      throw Error(ErrorId::config_invalid, "plot", o.runs.front().string(),
                  fmt::format("a run that wrote down what {} shows",
                              o.figure.empty() ? "a picture" : fmt::format("the figure {}", o.figure)),
                  "no such lines");
    }
  }
  std::vector<std::string> pictures;
  const auto draw_one = [&](const Figure& figure, const fs::path& picture) {
    draw(figure, picture);
    pictures.push_back(picture.string());
  };
  if (o.out.has_extension() && !fs::is_directory(o.out)) {
    if (figures.size() > 1)
      throw Error(ErrorId::config_inconsistent, "plot", "--out", "a folder, or --figure for one picture",
                  o.out.string());
    draw_one(figures.begin()->second, o.out);
  } else {
    const fs::path folder = o.out.empty() ? o.runs.front() / "pictures" : o.out;
    binllm::check_writable(folder);
    for (const auto& [name, figure] : figures) {
      for (const char* ending : {".svg", ".png"}) draw_one(figure, folder / (name + ending));
    }
  }
  if (o.common.json) {
    fmt::print("{}\n", Json{{"pictures", pictures}}.dump());
    return;
  }
  for (const std::string& picture : pictures) fmt::print("{}\n", picture);
}

}  // namespace

void add_plot(CLI::App& app, std::string& list) {
  add_command(app, list, "plot", "draw runs, or what other commands wrote down (needs gnuplot)", plot);
}

}  // namespace program
