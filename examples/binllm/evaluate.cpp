// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace program {

namespace {

struct EvaluateOptions {
  ChosenModel model;
  std::vector<std::string> text;
  bool built_in = false;
  binllm::Index context = 0, windows = all, batch = 8;
  double sharpness = infinity;
  std::string tokenizer;
  DeviceChoice device;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "", any);
    v("text", self.text, "text file (several are read one after the other)", any);
    v("built_in", self.built_in, "the held-out built-in stories", any);
    v("context", self.context, "tokens in a window; 0: 256, or the model's positions if they are fewer", at_least(0));
    v("windows", self.windows, "only the first so many windows", shown_as("all", at_least(1)));
    v("batch", self.batch, "windows computed at a time", at_least(1));
    v("sharpness", self.sharpness, "t of a binary model; inf is Sign", at_least_or_infinite(0));
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
};

void evaluate(EvaluateOptions& o) {
  o.common.apply();
  o.device.apply();
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model.model);
  const auto stream =
      load_text(o.text, o.built_in, tokenizer, binllm::Split::held_out, o.common.seed, std::size_t{1} << 20);
  const auto model = o.model.open(o.device);
  if (o.context == 0) o.context = std::min<binllm::Index>(256, model.config().max_position_embeddings);
  const auto [result, speed] = judge(
      model, stream, {.context = o.context, .batch = o.batch, .max_windows = o.windows, .sharpness = o.sharpness});
  if (!o.common.json) {
    fmt::print(
        "tokens         {}\nscored         {}\nnll            {:.4f}\nperplexity     {:.3f}\nbits per byte  "
        "{:.4f}\ntokens/s       {:.0f}\ndevice         {}\npeak memory    {}\nprotocol       {}\n",
        result.tokens, result.scored, result.nll, result.perplexity, result.bits_per_byte, speed,
        o.device.description(), o.device.peaks(), binllm::Perplexity::protocol);
    return;
  }
  Json line{
      {"tokens", result.tokens}, {"scored", result.scored}, {"nll", result.nll}, {"perplexity", result.perplexity}};
  line["bits_per_byte"] = std::isfinite(result.bits_per_byte) ? Json(result.bits_per_byte) : Json(nullptr);
  line["tokens_per_second"] = speed;
  line["protocol"] = binllm::Perplexity::protocol;
  o.device.add_to(line);
  o.device.add_peaks_to(line);
  fmt::print("{}\n", line.dump());
}

}  // namespace

void add_evaluate(CLI::App& app, std::string& list) {
  add_command(app, list, "evaluate", "perplexity of a model on a text", evaluate);
}

}  // namespace program
