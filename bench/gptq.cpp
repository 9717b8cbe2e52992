// SPDX-License-Identifier: MIT
/// GPTQ of one linear layer: the Hessian summed up from calibration tokens, then the solver.
///   bench_gptq [--in 4096] [--out 4096] [--windows 128] [--context 2048] [--bits 4] [--group 128] [--order]
///              [--threads 2] [--cuda] [--json]
/// Tokens are random; four windows of them are seen in turn. Prints seconds of both parts, and the error that is left.
#include "support/arguments.hpp"
#include "support/measure.hpp"

#include <binllm/core/random.hpp>
#include <binllm/device/host.hpp>
#include <binllm/methods/post_training/gptq.hpp>
#include <binllm/methods/post_training/gram_sum.hpp>
#include <binllm/methods/post_training/report.hpp>

#include <fmt/core.h>

#include <vector>

using namespace binllm;

namespace {

/// Normal numbers whose columns differ in size, alike in all tensors.
Tensor<float> normal(const Shape& shape, std::uint64_t seed, bool sized) {
  Tensor<float> tensor(shape);
  const Random random(seed, Purpose::test), sizes(0, Purpose::test);
  const Index cols = shape.cols();
  parallel_for(shape.rows(), [&](Index i) {
    for (Index j = 0; j < cols; ++j) {
      const double size = sized ? 0.2 + 2 * sizes.uniform(static_cast<std::uint64_t>(j)) : 0.02;
      tensor.view().data[i * cols + j] =
          static_cast<float>(size * random.normal(static_cast<std::uint64_t>((i + 1) * cols + j)));
    }
  });
  return tensor;
}

struct Result {
  double hessian, solver, error;
};
template <class Device>
[[nodiscard]] Result measure(const Gptq& method, Index in, Index out, Index windows, Index context) {
  const Tensor<float> weight = normal({out, in}, 1, false);
  std::vector<Tensor<float, Device>> inputs;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const Tensor<float> x = normal({context, in}, 2 + i, true);
    copy_to_device(x.view(), inputs.emplace_back(x.shape()).view());
  }
  Backend<Device>::synchronise();
  const double start = bench::now();
  HessianSum<float, Device> sum(in);
  for (Index i = 0; i < windows; ++i) sum.add(read(inputs[static_cast<std::size_t>(i % 4)].view()));
  const Calibration calibration = sum.calibration(windows);
  const double summed = bench::now();
  const CalibratedLayer layer{"layer", 0, Role::mlp_in, weight.view(), calibration};
  Grid::Matrix<float, Cpu> matrix(method.form(), {.out = out, .in = in});
  method(layer, matrix);
  const double solved = bench::now();
  Tensor<float> restored(weight.shape());
  matrix.restore(restored.view());
  return {summed - start, solved - summed, detail::report_of(layer, read(restored.view())).output_error};
}

}  // namespace

int main(int count, char** words) {
  bench::Arguments arguments(
      count, words,
      "bench_gptq [--in N] [--out N] [--windows N] [--context N] [--bits N] [--group N] [--order] "
      "[--threads N] [--cuda] [--json]");
  const Index in = arguments.number("--in", 4096), out = arguments.number("--out", 4096);
  const Index windows = arguments.number("--windows", 128), context = arguments.number("--context", 2048);
  const int threads = arguments.number("--threads", 2);
  Gptq method{
      .grid = {.bits = static_cast<double>(arguments.number("--bits", 4)), .group = arguments.number("--group", 128)}};
  method.hessian.activation_order = arguments.flag("--order");
  const bool json = arguments.flag("--json"), on_gpu = arguments.flag("--cuda");
  arguments.end();
  set_thread_count(threads);

  Result result{};
  if (on_gpu) {
#if defined(BINLLM_WITH_CUDA)
    static_cast<void>(measure<Cuda>(method, 256, 256, 1, 256));  // libraries load themselves at their first call
    result = measure<Cuda>(method, in, out, windows, context);
#else
    arguments.refuse("--cuda, of a build without CUDA");
#endif
  } else {
    result = measure<Cpu>(method, in, out, windows, context);
  }
  if (json) {
    fmt::print(
        "{{\"hessian_seconds\": {:.3f}, \"solver_seconds\": {:.3f}, \"output_error\": {:.6g}, \"peak_bytes\": {}}}\n",
        result.hessian, result.solver, result.error, bench::peak_rss_bytes());
    return 0;
  }
  fmt::print("Hessian {:.2f} s, solver {:.2f} s, output error {:.6f}\n", result.hessian, result.solver, result.error);
}
