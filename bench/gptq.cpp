// SPDX-License-Identifier: MIT
/// GPTQ of one linear layer: the Hessian summed up from calibration tokens, then the solver.
///   bench_gptq [--in 4096] [--out 4096] [--windows 128] [--context 2048] [--bits 4] [--group 128] [--order]
///              [--threads 2] [--json]
/// Tokens are random; four windows of them are seen in turn. Prints seconds of both parts, and the error that is left.
#include "support/arguments.hpp"
#include "support/measure.hpp"

#include <binllm/core/random.hpp>
#include <binllm/methods/post_training/gptq.hpp>
#include <binllm/methods/post_training/gram_sum.hpp>
#include <binllm/methods/post_training/report.hpp>

#include <fmt/core.h>

using namespace binllm;

namespace {

/// Normal numbers whose columns differ in size.
Tensor<float> normal(const Shape& shape, std::uint64_t seed, bool sized) {
  Tensor<float> tensor(shape);
  const Random random(seed, Purpose::test);
  const Index cols = shape.cols();
  parallel_for(shape.rows(), [&](Index i) {
    for (Index j = 0; j < cols; ++j) {
      const double size = sized ? 0.2 + 2 * random.uniform(static_cast<std::uint64_t>(j)) : 0.02;
      tensor.view().data[i * cols + j] =
          static_cast<float>(size * random.normal(static_cast<std::uint64_t>((i + 1) * cols + j)));
    }
  });
  return tensor;
}

}  // namespace

int main(int count, char** words) {
  bench::Arguments arguments(
      count, words,
      "bench_gptq [--in N] [--out N] [--windows N] [--context N] [--bits N] [--group N] [--order] "
      "[--threads N] [--json]");
  const Index in = arguments.number("--in", 4096), out = arguments.number("--out", 4096);
  const Index windows = arguments.number("--windows", 128), context = arguments.number("--context", 2048);
  const int threads = arguments.number("--threads", 2);
  Gptq method{
      .grid = {.bits = static_cast<double>(arguments.number("--bits", 4)), .group = arguments.number("--group", 128)}};
  method.hessian.activation_order = arguments.flag("--order");
  const bool json = arguments.flag("--json");
  arguments.end();
  set_thread_count(threads);

  const Tensor<float> weight = normal({out, in}, 1, false);
  std::vector<Tensor<float>> inputs;
  for (std::uint64_t i = 0; i < 4; ++i) inputs.push_back(normal({context, in}, 2 + i, true));

  const double start = bench::now();
  HessianSum<float, Cpu> sum(in);
  for (Index i = 0; i < windows; ++i) sum.add(read(inputs[static_cast<std::size_t>(i % 4)].view()));
  const Calibration calibration = sum.calibration(windows);
  const double summed = bench::now();
  const CalibratedLayer layer{"layer", 0, Role::mlp_in, weight.view(), calibration};
  Grid::Matrix<float, Cpu> matrix(method.form(), {.out = out, .in = in});
  method(layer, matrix);
  const double solved = bench::now();
  Tensor<float> restored(weight.shape());
  matrix.restore(restored.view());
  const LayerReport report = detail::report_of(layer, read(restored.view()));

  if (json) {
    fmt::print(
        "{{\"hessian_seconds\": {:.3f}, \"solver_seconds\": {:.3f}, \"output_error\": {:.6g}, \"peak_bytes\": {}}}\n",
        summed - start, solved - summed, report.output_error, bench::peak_rss_bytes());
    return 0;
  }
  fmt::print("Hessian {:.2f} s, solver {:.2f} s, output error {:.6f}\n", summed - start, solved - summed,
             report.output_error);
}
