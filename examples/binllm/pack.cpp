// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/pack_folder.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct PackOptions {
  fs::path model, out;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "folder of a full-precision model", required());
    v("out", self.out, "folder of the packed model", required());
    Common::visit(without("seed", v), self.common);
  }
};

void pack(PackOptions& o) {
  o.common.apply();
  binllm::pack_folder(o.model, o.out);
  const auto bits = binllm::bit_counts(o.out);
  const DeviceChoice host;
  if (!o.common.json) {
    fmt::print("model            {}\nbits per weight  {:.4f} blocks' linear layers with their scales\n", o.out.string(),
               bits.block_linears_with_scales);
    fmt::print("peak memory      {}\n", host.peaks());
    return;
  }
  Json result{{"model", o.out.string()},
              {"bytes", bits.file_bytes},
              {"block_linears_with_scales", bits.block_linears_with_scales}};
  host.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_pack(CLI::App& app, std::string& list) {
  add_command(app, list, "pack", "round the linear layers of a model of any size to one bit, without training", pack);
}

}  // namespace program
