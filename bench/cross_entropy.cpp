// SPDX-License-Identifier: MIT
// Milliseconds of the loss and its gradient in place of one block of logits; bench/peers/torch_cross_entropy.py is the
// same in PyTorch. With --width C the whole head, from h (rows, C) to both gradients: once with the loss computed in
// backward, once with its value asked for before.
#include <binllm/core/random.hpp>
#include <binllm/ops/cross_entropy.hpp>

#include <algorithm>
#include <cmath>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

struct Setting {
  Index rows, vocabulary, width;
  int threads, repeats;
  bool generic, json;
};

/// Logits of a model, a few units apart: at a hundred, the probabilities would be subnormal, and every product with
/// them ten times slower.
bl::Tensor<float> filled(bl::Shape shape, std::uint64_t stream, float scale = 1) {
  bl::Tensor<float> block(shape);
  const bl::Random random(1, bl::Purpose::test, stream);
  for (Index i = 0; i < block.size(); ++i)  // the contents repeat: they do not matter to the time
    block.view().data[i] = scale * static_cast<float>(random.normal(static_cast<std::uint64_t>(i % 65521)));
  return block;
}

bl::Tensor<std::int32_t> words(const Setting& setting) {
  bl::Tensor<std::int32_t> targets({setting.rows});
  for (Index n = 0; n < setting.rows; ++n)
    targets.view().data[n] = static_cast<std::int32_t>(n * 7919 % setting.vocabulary);
  return targets;
}

/// Median milliseconds of the kernel. From the second call on the logits are the gradients of the call before.
template <class K>
double kernel_ms(const Setting& setting) {
  const bl::Shape shape{setting.rows, setting.vocabulary};
  bl::Tensor<float> logits = filled(shape, 0), losses({setting.rows}), memory({K::workspace(setting.rows)});
  const auto targets = words(setting);
  const auto run = [&] {
    K::forward(logits.view(), targets.view(), 1 / static_cast<float>(setting.rows), true, memory.view(), losses.view());
  };
  run();
  return 1e3 * bl::bench::median_seconds(run, setting.repeats, 1);
}

/// Median milliseconds of the whole op with all its gradients.
class Head {
 public:
  explicit Head(const Setting& setting)
      : h_(filled({setting.rows, setting.width}, 1)),
        w_(filled({setting.vocabulary, setting.width}, 2, 1 / std::sqrt(static_cast<float>(setting.width)))),
        dw_(w_.shape()),
        targets_(words(setting)),
        repeats_(setting.repeats) {
    weight_.value.data = w_.view().data;
    weight_.gradient.data = dw_.view().data;
  }
  double ms(bool value_first) {
    const auto run = [&] {
      tape_.reset();
      const auto loss =
          bl::cross_entropy(tape_.variable(bl::read(h_.view())), tape_.use(weight_), bl::read(targets_.view()));
      if (value_first) static_cast<void>(loss.value());
      tape_.backward(loss);
    };
    run();
    return 1e3 * bl::bench::median_seconds(run, repeats_, 1);
  }

 private:
  bl::Tensor<float> h_, w_, dw_;
  bl::Tensor<std::int32_t> targets_;
  bl::Parameter<float> weight_{w_.shape()};
  int repeats_;
  bl::Tape<> tape_;
};

void report_head(const Setting& setting) {
  Head head(setting);
  const double backward = head.ms(false), before = head.ms(true);
  fmt::print(fmt::runtime(setting.json ? "{{\"rows\": {}, \"vocabulary\": {}, \"width\": {}, \"threads\": {}, "
                                         "\"ms\": {:.2f}, \"value_first_ms\": {:.2f}}}\n"
                                       : "head, {} rows, {} words, width {}, {} threads: {:.1f} ms with the loss in "
                                         "backward, {:.1f} ms with its value asked for before\n"),
             setting.rows, setting.vocabulary, setting.width, setting.threads, backward, before);
}

void report_kernel(const Setting& setting) {
  const double ms = setting.generic ? kernel_ms<bl::GenericKernel<bl::CrossEntropyRows, bl::Cpu>>(setting)
                                    : kernel_ms<bl::Kernel<bl::CrossEntropyRows, bl::Cpu>>(setting);
  fmt::print(fmt::runtime(setting.json ? "{{\"rows\": {}, \"vocabulary\": {}, \"threads\": {}, \"kernel\": \"{}\", "
                                         "\"ms\": {:.2f}}}\n"
                                       : "{} rows, {} words, {} threads, {} kernel: {:.1f} ms, loss and gradient\n"),
             setting.rows, setting.vocabulary, setting.threads, setting.generic ? "generic" : "cpu", ms);
}

}  // namespace

int main(int count, char** arguments_given) {
  bl::bench::Arguments arguments(count, arguments_given,
                                 "bench_cross_entropy [--rows R] [--vocabulary V] [--threads N] [--repeats K] "
                                 "[--generic | --width C] [--json]");
  const bool whole =
      std::any_of(arguments_given, arguments_given + count, [](std::string_view word) { return word == "--width"; });
  const Setting setting{.rows = arguments.number("--rows", 2048),
                        .vocabulary = arguments.number("--vocabulary", 32000),
                        .width = arguments.number("--width", 288),
                        .threads = arguments.number("--threads", 2),
                        .repeats = arguments.number("--repeats", 9),
                        .generic = arguments.flag("--generic"),
                        .json = arguments.flag("--json")};
  arguments.end();
  bl::set_thread_count(setting.threads);
  if (whole) {
    report_head(setting);
  } else {
    report_kernel(setting);
  }
}
