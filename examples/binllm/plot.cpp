// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/error.hpp>

#include <fmt/core.h>

#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string_view>

namespace program {

namespace {

using binllm::Error;
using binllm::ErrorId;

struct PlotOptions {
  std::string figure = "bits";
  std::vector<fs::path> lines;
  fs::path out;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Flag figure{any};
    figure.one_of = {"bits"};
    v("figure", self.figure, "bits: what is lost by bits a weight, from the files that quantize writes", figure);
    v("lines", self.lines, "files of JSON lines", required());
    v("out", self.out, "picture, an SVG file", required());
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

/// What gnuplot reads as one word.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "''" : std::string(1, c);
  return word + "'";
}

/// Two panels: the squared error of weights and outputs relative to their squares, and the loss on the validation text,
/// both by bits a weight. Each method has a line; the dotted one is full precision.
std::string bits_figure(const PlotOptions& o) {
  std::map<std::string, std::map<double, Json>> methods;
  for (const fs::path& path : o.lines) {
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
                         dash, quoted(title));
    };
    errors += curve(2, method + ", weights", 1);
    if (points.begin()->second["output_error"].get<double>() > 0) errors += curve(3, method + ", outputs", 2);
    if (judged) losses += curve(4, method, 1);
    ++index;
  }
  const bool both = !losses.empty();
  std::string script = "set terminal svg size 960,400 background 'white'\nset output " + quoted(o.out.string()) + "\n" +
                       data +
                       "set xlabel 'bits a weight'\nset grid\nset logscale x 2\nset xtics (1, 1.58, 2, 3, 4, 8)\nset "
                       "xrange [0.95:8.4]\n";
  if (both) script += "set multiplot layout 1,2\n";
  script += "set logscale y\nset format y '10^{%L}'\nset ylabel 'relative squared error'\nplot " + errors + "\n";
  if (both) {
    script += "unset logscale y\nset format y '%g'\nset ylabel 'loss (nats a token)'\nplot " + losses +
              fmt::format("{} with lines lc 'black' dt 3 title 'full precision'\nunset multiplot\n", full_precision);
  }
  return script;
}

/// Whether the system finds a program of that name.
bool has_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (::access((fs::path(rest.substr(0, end)) / name).c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

void plot(PlotOptions& o) {
  const std::string script = bits_figure(o);
  if (!has_program("gnuplot"))
    throw Error(ErrorId::file_missing, "plot", "gnuplot", "the program gnuplot (Debian: gnuplot-nox)",
                "none on the path");
  std::FILE* const pipe = ::popen("gnuplot", "w");
  const bool written = pipe != nullptr && std::fwrite(script.data(), 1, script.size(), pipe) == script.size();
  const int status = pipe == nullptr ? -1 : ::pclose(pipe);
  if (!written || status != 0 || !fs::exists(o.out))
    throw Error(ErrorId::write_failed, "plot", o.out.string(), "a picture by gnuplot",
                fmt::format("status {}", status));
}

}  // namespace

void add_plot(CLI::App& app, std::string& list) {
  add_command(app, list, "plot", "draw what other commands wrote down (needs gnuplot)", plot);
}

}  // namespace program
