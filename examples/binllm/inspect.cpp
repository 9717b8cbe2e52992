// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/printable.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/open_tensors.hpp>
#include <binllm/io/folders/verify.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct InspectOptions {
  fs::path model;
  bool verify = false;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "model folder", required());
    v("verify", self.verify, "read every byte: compare checksums, look at every number", any);
    Common::visit(without("seed", v), self.common);
  }
};

void inspect(InspectOptions& options) {
  binllm::check_folder(options.model);
  const auto description = binllm::read_config(options.model);
  const auto file = binllm::open_tensors(options.model, description);
  const auto bits = binllm::bit_counts(options.model);
  const auto& c = description.config;
  std::optional<binllm::Verification> verification;
  if (options.verify) verification = binllm::verify_folder(options.model);
  if (options.common.json) {
    Json tensors = Json::object();
    for (const auto& tensor : file->tensors()) {
      std::vector<binllm::Index> shape;
      for (int axis = 0; axis < tensor.shape.rank(); ++axis) shape.push_back(tensor.shape[axis]);
      tensors[tensor.name] = {{"dtype", binllm::to_string(tensor.dtype)}, {"shape", shape}};
    }
    Json report{{"format", description.format},
                {"recipe", description.recipe},
                {"parameters", bits.parameters},
                {"block_weights", bits.block_weights},
                {"bytes", bits.file_bytes},
                {"bits",
                 {{"signs_only", bits.signs_only},
                  {"block_linears_with_scales", bits.block_linears_with_scales},
                  {"whole_file", bits.whole_file}}},
                {"tensors", tensors}};
    if (verification) {
      report["verified"] = verification->verified;
      report["not_verified"] = verification->not_verified;
    }
    fmt::print("{}\n", report.dump(-1, ' ', false, Json::error_handler_t::replace));
    return;
  }
  const auto shown = [](const std::string& foreign) { return binllm::printable(foreign); };
  fmt::print("format             {}\n", description.format);
  for (const auto& [key, value] : description.recipe) fmt::print("  {:<16} {}\n", shown(key), shown(value));
  fmt::print("layers             {} of width {}, {} hidden, {} heads ({} key-value) of {}\n", c.num_hidden_layers,
             c.hidden_size, c.intermediate_size, c.num_attention_heads, c.num_key_value_heads, c.head_dim);
  fmt::print("vocabulary         {}{}\n", c.vocab_size, c.tie_word_embeddings ? ", head tied to the embedding" : "");
  fmt::print("parameters         {} ({} in the blocks' linear layers)\n", bits.parameters, bits.block_weights);
  fmt::print("{:<18} {} bytes\n", file->path().filename().string(), bits.file_bytes);
  fmt::print(
      "bits per weight    {:.4f} signs only\n                   {:.4f} blocks' linear layers with their scales\n       "
      "            {:.4f} whole file over all parameters\n",
      bits.signs_only, bits.block_linears_with_scales, bits.whole_file);
  for (const auto& tensor : file->tensors())
    fmt::print("  {:<54} {:<4} {}\n", shown(tensor.name), binllm::to_string(tensor.dtype),
               binllm::to_string(tensor.shape));
  if (!verification) return;
  for (const std::string& sentence : verification->verified) fmt::print("verified           {}\n", sentence);
  for (const std::string& sentence : verification->not_verified) fmt::print("not verified       {}\n", sentence);
}

}  // namespace

void add_inspect(CLI::App& app, std::string& list) {
  add_command(app, list, "inspect", "shapes, parameter counts and bits per weight of a model folder", inspect);
}

}  // namespace program
