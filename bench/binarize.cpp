// SPDX-License-Identifier: MIT
// The binarising op, 10^9 weights a second: forward, backward, and loops that read and write the same memory with next
// to no arithmetic, which is as fast as this machine allows. By default a weight that stays in the cache and one that
// does not.
#include <binllm/core/random.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/runtime.hpp>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

/// Rates in weights a second.
struct Rates {
  double forward = 0, backward = 0, forward_limit = 0, backward_limit = 0;
};

/// Reads its arguments and hardly computes.
struct Scaled {
  template <class X>
  [[nodiscard]] X operator()(const X& w, const X& factor) const {
    return factor * w;
  }
};
struct ScaledProduct {
  template <class X>
  [[nodiscard]] X operator()(const X& w, const X& g, const X& factor) const {
    return factor * w * g;
  }
};

/// One weight with its scale, W_b and gradients. The contents repeat: they do not matter to the time.
struct Weight {
  using B = bl::Backend<bl::Cpu>;
  bl::Tensor<float> w, g, wb, dw, learned, dlearned, memory;
  double t = 2;

  Weight(Index rows, Index cols, Index workspace)
      : w({rows, cols}),
        g({rows, cols}),
        wb({rows, cols}),
        dw({rows, cols}),
        learned({rows}),
        dlearned({rows}),
        memory({workspace}) {
    const bl::Random random(1, bl::Purpose::test);
    for (Index i = 0; i < w.size(); ++i) {
      const auto counter = static_cast<std::uint64_t>(i % 9973);
      w.view().data[i] = 0.02f * static_cast<float>(random.normal(counter));
      g.view().data[i] = 0.001f * static_cast<float>(random.normal(counter + 9973));
    }
    learned.view().flat().setOnes();
  }
  template <class K, class E, class S>
  void measure(const E& estimator, const S& scale, int repeats, Rates& rates) {
    const auto rate = [&](const auto& f) {
      double best = 0;
      for (int repeat = 0; repeat <= repeats; ++repeat) {
        const double start = bl::bench::now();
        f();
        if (repeat > 0) best = std::max(best, static_cast<double>(w.size()) / (bl::bench::now() - start));
      }
      return best;
    };
    const auto in = [](const bl::Tensor<float>& tensor) { return tensor.view(); };
    rates.forward = rate([&] { K::forward(estimator, scale, in(w), in(learned), &t, memory.view(), wb.view()); });
    rates.backward = rate([&] {
      K::backward(estimator, scale, in(w), in(learned), &t, in(g), memory.view(), dw.view(), dlearned.view());
    });
    rates.forward_limit = rate([&] { B::map(wb.view(), Scaled{}, elements(in(w)), per_row(in(learned))); });
    rates.backward_limit = rate([&] {
      B::map<bl::Write::accumulate>(dw.view(), ScaledProduct{}, elements(in(w)), elements(in(g)), per_row(in(learned)));
    });
  }
};

struct Setting {
  Index rows, cols;
  bool by_name, generic, json;
};

Rates measure(const Setting& setting) {
  const bl::Shape shape{setting.rows, setting.cols};
  const int repeats = static_cast<int>(std::clamp<Index>((Index(1) << 29) / shape.size(), 5, 200));
  Rates rates;
  const auto with = [&](const auto& estimator, const auto& scale) {
    using Op = bl::Binarize<std::decay_t<decltype(estimator)>, std::decay_t<decltype(scale)>>;
    const auto run = [&]<class K>(K) {
      Weight(setting.rows, setting.cols, K::workspace(scale, shape))
          .template measure<K>(estimator, scale, repeats, rates);
    };
    if (setting.generic) return run(bl::GenericKernel<Op, bl::Cpu>{});
    run(bl::Kernel<Op, bl::Cpu>{});
  };
  if (setting.by_name) {
    with(bl::RuntimeEstimator<float>{}, bl::RuntimeScale<float>{});
  } else {
    with(bl::ProgressiveSign<float>{}, bl::DualScale<float>{});
  }
  return rates;
}

void report(const Setting& setting, int threads) {
  const Rates rates = measure(setting);
  // A step computes W_b twice, and once its gradient.
  const double step = 2 / rates.forward + 1 / rates.backward;
  const auto print = [&](fmt::string_view format) {
    fmt::print(fmt::runtime(format), fmt::arg("rows", setting.rows), fmt::arg("cols", setting.cols),
               fmt::arg("threads", threads), fmt::arg("kernel", setting.generic ? "generic" : "cpu"),
               fmt::arg("policies", setting.by_name ? "names" : "types"), fmt::arg("forward", rates.forward / 1e9),
               fmt::arg("backward", rates.backward / 1e9), fmt::arg("forward_limit", rates.forward_limit / 1e9),
               fmt::arg("backward_limit", rates.backward_limit / 1e9),
               fmt::arg("forward_share", rates.forward / rates.forward_limit),
               fmt::arg("backward_share", rates.backward / rates.backward_limit), fmt::arg("step", 1e9 * step));
  };
  print(setting.json
            ? "{{\"rows\": {rows}, \"cols\": {cols}, \"threads\": {threads}, \"kernel\": \"{kernel}\", \"policies\": "
              "\"{policies}\", \"forward_gelem_s\": {forward:.3f}, \"forward_limit_gelem_s\": {forward_limit:.3f}, "
              "\"forward_share\": {forward_share:.3f}, \"backward_gelem_s\": {backward:.3f}, "
              "\"backward_limit_gelem_s\": {backward_limit:.3f}, \"backward_share\": {backward_share:.3f}, "
              "\"step_ns_per_weight\": {step:.3f}}}\n"
            : "{rows} x {cols}, {threads} threads, {kernel} kernel, policies as {policies}: forward {forward:.2f} of "
              "{forward_limit:.2f} Gelem/s ({forward_share:.2f}), backward {backward:.2f} of {backward_limit:.2f} "
              "({backward_share:.2f}); {step:.2f} ns a weight and step\n");
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_binarize [--rows R --cols C] [--threads N] [--by-name] [--generic] [--json]");
  const bool one_size =
      std::any_of(words, words + count, [](std::string_view word) { return word == "--rows" || word == "--cols"; });
  const Index rows = arguments.number("--rows", 2048), cols = arguments.number("--cols", 576);
  const int threads = arguments.number("--threads", 2);
  const bool by_name = arguments.flag("--by-name"), generic = arguments.flag("--generic");
  const bool json = arguments.flag("--json");
  arguments.end();

  bl::set_thread_count(threads);
  report({rows, cols, by_name, generic, json}, threads);
  if (!one_size) report({32768, 1536, by_name, generic, json}, threads);
}
