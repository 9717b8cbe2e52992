// SPDX-License-Identifier: MIT
// What each kernel of the CUDA backend takes at the shapes of training, beside its definition on the backend's services
// and beside the machine's ceilings; and with --step what a whole step would take at these ceilings, and takes.
// Columns:
//   plain us   a call of what "plain is" names: the definition, or the kernels that the fused one replaces
//   fused us   a call of what runs
//   ratio      plain over fused
//   reached    work over the fused time; work is each byte that must be read or written, once, or the operations of
//              products
//   share      its part of the ceiling
#include <exception>

#include "cuda/products.cuh"
#include "cuda/rows.cuh"
#include "cuda/weights.cuh"
#include "support/arguments.hpp"

namespace bl = binllm;
namespace bench = binllm::bench;

namespace {

void print_ceilings(const bench::Ceilings& ceilings, bool json) {
  fmt::print(
      fmt::runtime(json ? "{{\"device\": \"{}\", \"copy_gigabytes_per_second\": {:.0f}, \"product_teraflops\": "
                          "{:.1f}}}\n"
                        : "{}: device copy {:.0f} GB/s (read and written), bf16 product 8192^3 {:.1f} TFLOP/s\n"),
      bl::cuda::device_name(), ceilings.bytes_per_second / 1e9, ceilings.operations_per_second / 1e12);
}

void print_kernels(const bench::Report& report, const bench::TrainingShape& s) {
  bench::measure_binarize(report, s, s.hidden, s.dim);
  bench::measure_rms_norm(report, s);
  bench::measure_cross_entropy(report, s);
  bench::measure_attention(report, s);
  bench::measure_embedding(report, s);
  bench::measure_swiglu(report, s);
  bench::measure_rotary(report, s);
  bench::measure_optimiser(report, s);
  bench::measure_product(report, s, "o", s.dim, s.dim);
  bench::measure_product(report, s, "down", s.dim, s.hidden);
}

}  // namespace

int main(int count, char** words) {
  bench::Arguments arguments(count, words, "bench_cuda_kernels [--setting B|C] [--step B|C [--mode qat|fp]] [--json]");
  const std::string setting = arguments.text("--setting", ""), step = arguments.text("--step", "");
  const std::string mode = arguments.text("--mode", "qat");
  const bool json = arguments.flag("--json");
  if (mode != "qat" && mode != "fp") arguments.refuse("--mode " + mode);
  for (const std::string& name : {setting, step}) {
    const auto same = [&](const auto& shape) { return shape.name == name; };
    if (!name.empty() && std::ranges::none_of(bench::training_shapes, same)) arguments.refuse("setting " + name);
  }
  arguments.end();
  try {
    const bench::Ceilings ceilings = bench::measure_ceilings();
    print_ceilings(ceilings, json);
    if (!step.empty()) {
      for (const auto& shape : bench::training_shapes) {
        if (shape.name == step) bench::print_step(shape, mode == "qat", ceilings, json);
      }
      return 0;
    }
    const bench::Report report(ceilings, json);
    for (const auto& shape : bench::training_shapes) {
      if (setting.empty() || shape.name == setting) print_kernels(report, shape);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
