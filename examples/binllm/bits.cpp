// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/eval/accounting.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/models/families.hpp>
#include <binllm/models/shapes.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct BitsOptions {
  std::string shape;
  fs::path model;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    static const std::string names = "of a published model: " + binllm::published_shape_names();
    v("shape", self.shape, names, with_known(names_in(binllm::published_shapes)));
    v("model", self.model, "that of a model folder or GGUF file instead", any);
    Common::visit(without("seed", v), self.common);
  }
};

struct Shape {
  std::string name;
  binllm::ModelConfig config;
  const binllm::Family* family = nullptr;
};

Shape chosen_shape(const BitsOptions& o) {
  if (o.shape.empty() == o.model.empty()) {
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "bits", "--shape, --model", "exactly one of them",
                        o.shape.empty() ? "neither" : "both");
  }
  if (!o.model.empty()) {
    binllm::check_model_path(o.model);
    const auto description = binllm::read_config(o.model);
    return {o.model.string(), description.config, description.family};
  }
  const auto& shape = binllm::published_shape(o.shape);
  Shape chosen{std::string(shape.name), shape.config()};
  for (const binllm::Family* const family : binllm::shipped_families) {
    if (family->name == shape.family) chosen.family = family;
  }
  return chosen;
}

void print_json(const Shape& shape, const binllm::ShapeCounts& c, const std::optional<binllm::BitCounts>& file) {
  Json layouts = Json::array(), rows = Json::array();
  for (const auto& layout : binllm::scale_layouts) {
    layouts.push_back({{"scales", layout.name},
                       {"bits_per_weight", binllm::bits_per_weight(c, layout)},
                       {"bits_per_parameter", binllm::bits_per_parameter(c, layout)}});
  }
  for (const auto& [method, bits] : binllm::nominal_bits) {
    rows.push_back({{"method", method},
                    {"bits", bits},
                    {"bytes", binllm::nominal_bytes(c, bits)},
                    {"cycles", binllm::nominal_cycles(c, bits)}});
  }
  Json object{{"shape", shape.name},
              {"family", shape.family->name},
              {"parameters", c.parameters},
              {"block_weights", c.weights},
              {"rows", c.rows},
              {"columns", c.columns},
              {"embedding", c.embedding},
              {"head", c.head},
              {"scale_layouts", layouts},
              {"nominal", rows}};
  if (file) {
    object["file"] = {{"bytes", file->file_bytes},
                      {"block_linears_with_scales", file->block_linears_with_scales},
                      {"whole_file", file->whole_file}};
  }
  fmt::print("{}\n", object.dump());
}

void bits(BitsOptions& o) {
  o.common.apply();
  const Shape shape = chosen_shape(o);
  const auto counts =
      binllm::count_shape(*shape.family, shape.config, binllm::parameters_of(shape.config, shape.family->name));
  std::optional<binllm::BitCounts> file;
  if (!o.model.empty()) file = binllm::bit_counts(o.model);
  if (o.common.json) return print_json(shape, counts, file);

  fmt::print("{}: {} parameters, {} in the blocks' linear layers ({} rows, {} columns), embedding {}, head {}\n\n",
             shape.name, counts.parameters, counts.weights, counts.rows, counts.columns, counts.embedding,
             counts.head > 0 ? fmt::format("{}", counts.head) : "tied to it");
  fmt::print("| one bit, and scales  | bits / weights | / weights and scales |\n|:-{0:-<19}-|-{0:-<14}:|-{0:-<20}:|\n",
             "");
  for (const auto& layout : binllm::scale_layouts) {
    fmt::print("| {:<20} | {:>14.4f} | {:>20.4f} |\n", layout.name, binllm::bits_per_weight(counts, layout),
               binllm::bits_per_parameter(counts, layout));
  }
  fmt::print("\n| method    |  bits | memory GB | cycles T |\n|:-{0:-<8}-|-{0:-<5}:|-{0:-<9}:|-{0:-<8}:|\n", "");
  for (const auto& [method, nominal] : binllm::nominal_bits) {
    fmt::print("| {:<9} | {:>5} | {:>9.2f} | {:>8.2f} |\n", method, nominal,
               binllm::nominal_bytes(counts, nominal) / 1e9, binllm::nominal_cycles(counts, nominal) / 1e12);
  }
  if (!file) return;
  fmt::print(
      "\nfile             {} bytes\nbits per weight  {:.4f} blocks' linear layers with their scales\n"
      "                 {:.4f} whole file over all parameters\n",
      file->file_bytes, file->block_linears_with_scales, file->whole_file);
}

}  // namespace

void add_bits(CLI::App& app, std::string& list) {
  add_command(app, list, "bits", "what a model of some shape takes in so many bits a weight, as papers count it", bits);
}

}  // namespace program
