// SPDX-License-Identifier: MIT
/// Runs as one page of HTML that needs nothing beside itself.
#include "commands.hpp"
#include "figures.hpp"

#include <binllm/core/error.hpp>
#include <binllm/io/containers/atomic_file.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace program {

namespace {

using binllm::RunRecord;
using binllm::RunReport;

struct ReportOptions {
  std::vector<fs::path> runs;
  fs::path out = "report.html";
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("runs", self.runs, "folders of runs, finished or not; several stand side by side", positional());
    v("out", self.out, "the page", any);
    Common::visit(without("seed", v), self.common);
  }
};

constexpr std::string_view style = R"(
:root { color-scheme: light; --line: #d8d8d8; --soft: #f5f5f5; --strong: #0072b2 }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto; max-width: 80rem;
  padding: 1rem }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 }
h2 { font-size: 1.25rem; margin: 1.5rem 0 .5rem; border-bottom: 2px solid var(--strong) }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem }
h1, h2, h3 { overflow-wrap: anywhere }
.runs { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)) }
.run { min-width: 0 }
.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) }
figure { margin: 0; min-width: 0; max-width: 44rem }
figure svg { width: 100%; height: auto; display: block }
figcaption { font-size: .85rem; color: #555 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
th { background: var(--soft) }
th:first-child, td:first-child { text-align: left }
pre { background: var(--soft); padding: .6rem; margin: .4rem 0; font-size: .8rem; white-space: pre-wrap;
  overflow-wrap: anywhere }
.sample { border-left: 3px solid var(--line); padding-left: .7rem; margin: .6rem 0; white-space: pre-wrap;
  overflow-wrap: anywhere }
.sample small { display: block; color: #555 }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0 }
  figure, table, .sample { break-inside: avoid }
  h2, h3 { break-after: avoid }
  .wide { overflow: visible }
}
)";

/// Text as HTML shows it: nothing of it is a tag, a reference or the end of an attribute, and no character is one that
/// a page may not have.
std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      html += "&amp;";
    else if (c == '<')
      html += "&lt;";
    else if (c == '>')
      html += "&gt;";
    else if (c == '"')
      html += "&quot;";
    else if (c == '\'')
      html += "&#39;";
    else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      html += "\xef\xbf\xbd";
    else
      html += c;
  }
  return html;
}

/// A table whose first column is words. Cells are escaped here.
class Table {
 public:
  explicit Table(const std::vector<std::string>& titles) { row(titles, "th"); }
  void add(const std::vector<std::string>& cells) { row(cells, "td"); }
  [[nodiscard]] std::string html() const { return "<div class=\"wide\"><table>\n" + rows_ + "</table></div>\n"; }

 private:
  void row(const std::vector<std::string>& cells, const char* tag) {
    rows_ += "<tr>";
    for (const std::string& cell : cells) rows_ += fmt::format("<{0}>{1}</{0}>", tag, escaped(cell));
    rows_ += "</tr>\n";
  }
  std::string rows_;
};

std::string number(const std::optional<double>& value, int digits = 4) {
  return value && std::isfinite(*value) ? fmt::format("{:.{}f}", *value, digits) : "";
}

/// A number of a row of results.json; nothing where it is absent or no number.
std::optional<double> number_of(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

/// The newest value of a number.
std::optional<double> last_of(const RunRecord& run, std::string_view name) {
  const auto found = std::find_if(run.reports.rbegin(), run.reports.rend(),
                                  [&](const RunReport& report) { return report.number(name).has_value(); });
  return found == run.reports.rend() ? std::nullopt : found->number(name);
}

std::string progress_of(const RunRecord& run) {
  if (run.reports.empty()) return "no report yet";
  const RunReport& last = run.reports.back();
  return fmt::format("{} {} of {}", last.phase, last.step, last.steps);
}

/// A row for each run: how far it is, and how good.
std::string comparison(const std::vector<RunRecord>& runs) {
  Table table({"run", "steps", "training loss", "validation with F", "with Sign", "best", "at step"});
  for (const RunRecord& run : runs) {
    const auto f = last_of(run, "validation_loss_f");
    const auto* const best = run.best();
    table.add({name_of_run(run.folder), progress_of(run), number(last_of(run, "loss")),
               number(f ? f : last_of(run, "validation_loss")), number(last_of(run, "validation_loss_sign")),
               number(best != nullptr ? best->judged_by() : std::nullopt),
               best != nullptr ? fmt::format("{}", best->step) : ""});
  }
  return table.html();
}

std::string result_table(const RunRecord& run) {
  const Json results = Json::parse(run.results, nullptr, false);
  if (!results.is_object() || !results.contains("results") || !results["results"].is_array() ||
      results["results"].empty())
    return "<p>No table: the run has not ended, or had no text to judge by.</p>\n";
  Table table({"model", "loss", "perplexity", "bits / weight", "bytes", "tokens/s"});
  for (const Json& row : results["results"]) {
    if (!row.is_object()) continue;
    const bool named = row.contains("model") && row["model"].is_string();
    table.add({named ? row["model"].get<std::string>() : "", number(number_of(row, "nll")),
               number(number_of(row, "perplexity"), 3), number(number_of(row, "bits_per_weight")),
               number(number_of(row, "bytes"), 0), number(number_of(row, "tokens_per_second"), 0)});
  }
  return table.html();
}

std::string picture(const Figure& figure, std::string_view title) {
  if (figure.script.empty()) return {};
  return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", svg_of(figure, title), title);
}

/// Of the first evaluation, of the last, and of some between, as the model learnt.
std::string samples_of(const RunRecord& run) {
  constexpr std::size_t most = 6;
  std::vector<std::vector<const binllm::RunSample*>> evaluations;
  for (const auto& sample : run.samples) {
    const bool another = evaluations.empty() || evaluations.back().front()->step != sample.step ||
                         evaluations.back().front()->phase != sample.phase;
    if (another) evaluations.emplace_back();
    evaluations.back().push_back(&sample);
  }
  std::string html = evaluations.empty() ? "" : "<h3>Samples</h3>\n";
  const std::size_t count = evaluations.size(), shown = std::min(count, most);
  for (std::size_t i = 0; i < shown; ++i) {
    for (const auto* const sample : evaluations[count <= most ? i : i * (count - 1) / (most - 1)]) {
      const std::string with = std::isinf(sample->t) ? ", with Sign"
                               : sample->t > 0       ? fmt::format(", with F, t = {:.3g}", sample->t)
                                                     : "";
      html += fmt::format("<div class=\"sample\"><small>{} step {}{}</small><b>{}</b>{}</div>\n",
                          escaped(sample->phase), sample->step, with, escaped(sample->prompt), escaped(sample->text));
    }
  }
  return html;
}

std::string section(const RunRecord& run, bool pictures) {
  std::string html = fmt::format("<section class=\"run\">\n<h2>{}</h2>\n<p>{}</p>\n", escaped(name_of_run(run.folder)),
                                 escaped(progress_of(run)));
  html += result_table(run);
  if (pictures) {
    html += "<div class=\"pictures\">\n";
    html += picture(losses_figure({run}), "Losses and t over steps");
    html += picture(schedule_figure(run), "The schedule, and F of some chunks");
    html += picture(weights_figure(run), "Weights at the ends of chunks");
    html += "</div>\n";
  }
  html += samples_of(run) + "<h3>Command</h3>\n";
  for (const std::string& command : run.commands) html += fmt::format("<pre>{}</pre>\n", escaped(command));
  return html + fmt::format("<h3>Configuration</h3>\n<pre>{}</pre>\n</section>\n", escaped(run.config));
}

std::string page_of(const std::vector<RunRecord>& runs) {
  const std::string title =
      runs.size() == 1 ? "Run " + name_of_run(runs.front().folder) : fmt::format("{} runs", runs.size());
  const bool pictures = can_draw();
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n",
      escaped(title), style);
  if (!pictures)
    html += "<p>Pictures are left out: they are drawn by gnuplot (Debian: gnuplot-nox), and there is none.</p>\n";
  html += comparison(runs);
  if (runs.size() > 1 && pictures) html += picture(losses_figure(runs), "Losses of all runs over steps");
  html += "<div class=\"runs\">\n";
  for (const RunRecord& run : runs) html += section(run, pictures);
  return html + "</div>\n</body>\n</html>\n";
}

void report(ReportOptions& o) {
  std::vector<RunRecord> runs;
  for (const fs::path& folder : o.runs) runs.push_back(binllm::read_run(folder));
  const std::string html = page_of(runs);
  binllm::AtomicFile file(o.out);
  file.write(std::as_bytes(std::span(html)));
  file.commit();
  if (o.common.json) {
    fmt::print("{}\n", Json{{"page", o.out.string()}, {"runs", runs.size()}, {"bytes", html.size()}}.dump());
  } else {
    fmt::print("{}\n", o.out.string());
  }
}

}  // namespace

void add_report(CLI::App& app, std::string& list) {
  add_command(app, list, "report", "runs as one page of HTML: pictures, tables, samples, configuration", report);
}

}  // namespace program
