// SPDX-License-Identifier: MIT
// Causal attention, milliseconds forward and backward: the definition, which holds a whole matrix of scores
// for one head at a time, beside the CPU's kernel, which holds a tile of it for each thread.
#include <binllm/core/random.hpp>
#include <binllm/ops/attention.hpp>

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

struct Times {
  double forward_ms, backward_ms;
};

template <class K>
Times measure(const bl::Attention& a) {
  const bl::Shape wide{a.batch, a.queries, a.heads * a.head_dim}, narrow{a.batch, a.keys, a.kv_heads * a.head_dim};
  const Block q = filled(wide, 1), k = filled(narrow, 2), v = filled(narrow, 3), dy = filled(wide, 4);
  Block y(wide), dq(wide), dk(narrow), dv(narrow), lse({a.batch, a.heads, a.queries}), memory({K::workspace(a)});
  const auto forward = [&] { K::forward(a, q.view(), k.view(), v.view(), memory.view(), lse.view(), y.view()); };
  const auto backward = [&] {
    K::backward(a, q.view(), k.view(), v.view(), bl::read(y.view()), bl::read(lse.view()), dy.view(), memory.view(),
                dq.view(), dk.view(), dv.view());
  };
  forward();
  backward();
  return {1e3 * bl::bench::median_seconds(forward, 15, 1), 1e3 * bl::bench::median_seconds(backward, 15, 1)};
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_attention [--batch B] [--context T] [--heads H] [--kv-heads K] [--head-dim D] "
                                 "[--threads N] [--json]");
  const Index context = arguments.number("--context", 512);
  const bl::Attention a{.batch = arguments.number("--batch", 1),
                        .queries = context,
                        .keys = context,
                        .heads = arguments.number("--heads", 9),
                        .kv_heads = arguments.number("--kv-heads", 3),
                        .head_dim = arguments.number("--head-dim", 64)};
  const int threads = arguments.number("--threads", 2);
  const bool json = arguments.flag("--json");
  arguments.end();
  if (a.heads % a.kv_heads != 0) arguments.refuse("--kv-heads that do not divide --heads");

  bl::set_thread_count(threads);
  const Times generic = measure<bl::GenericKernel<bl::Attention, bl::Cpu>>(a);
  const Times cpu = measure<bl::Kernel<bl::Attention, bl::Cpu>>(a);
  const char* format = json ? "{{\"context\": {}, \"heads\": {}, \"threads\": {}, \"generic_ms\": [{:.3f}, {:.3f}], "
                              "\"cpu_ms\": [{:.3f}, {:.3f}]}}\n"
                            : "{} tokens, {} heads, {} threads, forward and backward: definition {:.2f} and {:.2f} ms, "
                              "tiles {:.2f} and {:.2f} ms\n";
  fmt::print(fmt::runtime(format), context, a.heads, threads, generic.forward_ms, generic.backward_ms, cpu.forward_ms,
             cpu.backward_ms);
}
