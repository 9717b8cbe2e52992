// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/printable.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/convert.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct ConvertFlags {
  fs::path from, to;
  std::string type = "f16";
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("from", self.from, "model folder or GGUF file", positional());
    v("to", self.to, "GGUF file where it ends in .gguf, else a model folder", positional());
    Flag types = shown_as("f16");
    types.one_of = {"f32", "f16", "bf16"};
    v("type", self.type, "of matrices of full precision: f32, f16 or bf16", types);
    Common::visit(without("seed", v), self.common);
  }
};

binllm::DType type_named(const std::string& name) {
  return name == "f32" ? binllm::DType::f32 : name == "bf16" ? binllm::DType::bf16 : binllm::DType::f16;
}

/// What was not kept, a sentence each.
std::vector<std::string> losses_of(const binllm::ContainerConversion& conversion) {
  std::vector<std::string> losses;
  for (const auto& [dtype, rounding] : conversion.roundings) {
    if (rounding.changed == 0) continue;
    losses.push_back(fmt::format("{}: {} of {} numbers were rounded, relative error {:.2g}", binllm::to_string(dtype),
                                 rounding.changed, rounding.numbers, rounding.relative_error()));
  }
  losses.insert(losses.end(), conversion.losses.begin(), conversion.losses.end());
  return losses;
}

void convert(ConvertFlags& o) {
  o.common.apply();
  const auto conversion = binllm::convert_model(o.from, o.to, {.type = type_named(o.type)});
  const auto bits = binllm::bit_counts(o.to);
  const auto losses = losses_of(conversion);
  const DeviceChoice host;
  if (o.common.json) {
    Json weights = Json::object();
    for (const auto& [dtype, count] : conversion.block_weights) weights[binllm::to_string(dtype)] = count;
    Json result{
        {"model", o.to.string()},
        {"bytes", bits.file_bytes},
        {"block_weights", weights},
        {"bits", {{"block_linears_with_scales", bits.block_linears_with_scales}, {"whole_file", bits.whole_file}}},
        {"lost", losses}};
    host.add_peaks_to(result);
    fmt::print("{}\n", result.dump());
    return;
  }
  fmt::print("model            {}\nbytes            {}\n", o.to.string(), bits.file_bytes);
  for (const auto& [dtype, count] : conversion.block_weights) {
    fmt::print("block weights    {} as {}\n", count, binllm::to_string(dtype));
  }
  fmt::print(
      "bits per weight  {:.4f} blocks' linear layers with their scales\n                 {:.4f} whole file over all "
      "parameters\n",
      bits.block_linears_with_scales, bits.whole_file);
  for (const std::string& loss : losses) fmt::print("lost             {}\n", binllm::printable(loss));
  if (losses.empty()) fmt::print("lost             nothing\n");
  fmt::print("peak memory      {}\n", host.peaks());
}

}  // namespace

void add_convert(CLI::App& app, std::string& list) {
  add_command(app, list, "convert", "write a model in another container: a folder of safetensors, or GGUF", convert);
}

}  // namespace program
