// SPDX-License-Identifier: MIT
// One formula, the backward pass of SwiGLU, in three ways: one element at a time; in packs, with a pass for each of its
// two results; in packs, with both results in one pass. Medians in milliseconds, on one thread.
#include <binllm/core/random.hpp>
#include <binllm/ops/silu.hpp>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

using Block = bl::Tensor<float>;

Block filled(bl::Shape shape, std::uint64_t stream) {
  Block block(shape);
  const bl::Random random(1, bl::Purpose::test, stream);
  for (Index i = 0; i < block.size(); ++i)
    block.view().data[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
  return block;
}

/// One of the formula's results, for a pass of its own: the compiler drops what only the other needs.
template <std::size_t result>
struct Only {
  template <class X>
  [[nodiscard]] X operator()(const X& gate, const X& up, const X& dy) const {
    return bl::SwiGlu::Gradients{}(gate, up, dy)[result];
  }
};

class Passes {
 public:
  explicit Passes(bl::Shape shape)
      : gate_(filled(shape, 1)), up_(filled(shape, 2)), dy_(filled(shape, 3)), dgate_(shape), dup_(shape) {}

  void scalar() {
    const bl::SwiGlu::Gradients formula;
    for (Index i = 0; i < gate_.size(); ++i) {
      const auto [dgate, dup] = formula(gate_.view().data[i], up_.view().data[i], dy_.view().data[i]);
      dgate_.view().data[i] += dgate;
      dup_.view().data[i] += dup;
    }
  }
  void one_result_a_pass() {
    B::map<bl::Write::accumulate>(dgate_.view(), Only<0>{}, in(gate_), in(up_), in(dy_));
    B::map<bl::Write::accumulate>(dup_.view(), Only<1>{}, in(gate_), in(up_), in(dy_));
  }
  void both_results() {
    bl::Kernel<bl::SwiGlu, bl::Cpu>::backward(bl::read(gate_.view()), bl::read(up_.view()), bl::read(dy_.view()),
                                              dgate_.view(), dup_.view());
  }

 private:
  using B = bl::Backend<bl::Cpu>;
  static bl::Elements<float> in(const Block& block) { return bl::elements(block.view()); }

  Block gate_, up_, dy_, dgate_, dup_;
};

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_elementwise_steps [--rows R] [--cols C] [--json]");
  const Index rows = arguments.number("--rows", 2048), cols = arguments.number("--cols", 768);
  const bool json = arguments.flag("--json");
  arguments.end();

  Passes passes({rows, cols});
  const auto ms = [](const auto& pass) { return 1e3 * bl::bench::median_seconds(pass, 15, 1); };
  const double scalar = ms([&] { passes.scalar(); });
  const double split = ms([&] { passes.one_result_a_pass(); });
  const double fused = ms([&] { passes.both_results(); });
  const char* format =
      json ? "{{\"scalar_ms\": {:.3f}, \"one_result_a_pass_ms\": {:.3f}, \"both_results_ms\": {:.3f}}}\n"
           : "one element at a time {:.2f} ms; packs, one result a pass {:.2f} ms; packs, both results "
             "in one pass {:.2f} ms\n";
  fmt::print(fmt::runtime(format), scalar, split, fused);
}
