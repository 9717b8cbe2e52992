// SPDX-License-Identifier: MIT
// How near the elementwise kernels come to the memory: bytes that each must move (every argument once, every result
// once, what is updated in place twice) a second, and that as a share of a plain loop which moves the same bytes.
#include <binllm/core/random.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/rotary.hpp>
#include <binllm/ops/silu.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>

#include "support/arguments.hpp"
#include "support/measure.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace bl = binllm;
using bl::Index;
using Block = bl::Tensor<float>;

namespace {

Block filled(bl::Shape shape, std::uint64_t seed) {
  Block block(shape);
  const bl::Random random(seed, bl::Purpose::test);
  for (Index i = 0; i < block.size(); ++i)
    block.view().data[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i % 65536)));
  return block;
}

/// Arrays that a kernel only reads, reads and writes, only writes.
struct Traffic {
  std::size_t reads, updates, writes;
  [[nodiscard]] constexpr std::size_t arrays() const { return reads + updates + writes; }
  [[nodiscard]] constexpr std::size_t moved() const { return reads + 2 * updates + writes; }
};

/// The plain loop: the sum of what is read goes to all that is written, in pieces on all threads.
template <Traffic traffic>
void stream(std::vector<Block>& blocks) {
  constexpr Index piece = 16384;
  using Lanes = Eigen::Map<bl::Pack<float>>;
  const Index size = blocks.front().size();
  bl::parallel_for((size + piece - 1) / piece, [&](Index tile) {
    bl::Pack<float> seen = bl::Pack<float>::Zero();
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      float* const data[] = {blocks[i].view().data...};
      for (Index c = tile * piece; c + bl::pack_width <= std::min(size, (tile + 1) * piece); c += bl::pack_width) {
        bl::Pack<float> sum = bl::Pack<float>::Zero();
        ((i < traffic.reads + traffic.updates ? void(sum += Lanes(data[i] + c)) : void()), ...);
        ((i >= traffic.reads ? void(Lanes(data[i] + c) = 0.5f * sum) : void()), ...);
        if constexpr (traffic.moved() == traffic.reads) seen += sum;
      }
    }
    (std::make_index_sequence<traffic.arrays()>{});
    volatile float sink = seen.sum();  // without a reader a loop that only reads would be dropped
    static_cast<void>(sink);
  });
}

class Table {
 public:
  explicit Table(bool json) : json_(json) {}
  ~Table() {
    if (json_) fmt::print("}}\n");
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// `elements` of each array; kernel and loop take turns, and the best time of each counts.
  template <Traffic traffic, class F>
  void row(std::string_view name, Index elements, const F& kernel) {
    std::vector<Block> blocks;
    for (std::size_t i = 0; i < traffic.arrays(); ++i) blocks.push_back(filled({elements}, i));
    double seconds = 1e9, plain = 1e9;
    for (int round = 0; round < 40; ++round) {
      seconds = std::min(seconds, bl::bench::median_seconds(kernel, 1, 1));
      plain = std::min(plain, bl::bench::median_seconds([&] { stream<traffic>(blocks); }, 1, 1));
    }
    const double bytes = static_cast<double>(traffic.moved() * sizeof(float)) * static_cast<double>(elements);
    fmt::print(fmt::runtime(json_ ? "{}\"{}\": {{\"ms\": {:.3f}, \"gb_per_second\": {:.2f}, \"share\": {:.3f}}}"
                                  : "{}{:<20} {:8.3f} ms {:8.2f} GB/s  {:.2f} of a plain loop\n"),
               json_ ? separator_ : "", name, 1e3 * seconds, bytes / seconds / 1e9, plain / seconds);
    separator_ = ", ";
  }

 private:
  bool json_;
  const char* separator_ = "{";
};

void swiglu(Table& table, Index tokens, Index width) {
  using K = bl::Kernel<bl::SwiGlu, bl::Cpu>;
  const Block gate = filled({tokens, width}, 1), up = filled({tokens, width}, 2), dy = filled({tokens, width}, 3);
  Block y(gate.shape()), dgate(gate.shape()), dup(gate.shape());
  table.row<Traffic{2, 0, 1}>("swiglu_forward", y.size(), [&] { K::forward(gate.view(), up.view(), y.view()); });
  table.row<Traffic{3, 2, 0}>("swiglu_backward", y.size(),
                              [&] { K::backward(gate.view(), up.view(), dy.view(), dgate.view(), dup.view()); });
}

void rotary(Table& table, std::string_view forward, std::string_view backward, Index tokens, Index heads,
            Index head_dim) {
  using K = bl::Kernel<bl::Rotary, bl::Cpu>;
  std::vector<double> frequencies;
  for (Index j = 0; j < head_dim / 2; ++j) frequencies.push_back(std::pow(1e4, -2.0 * double(j) / double(head_dim)));
  const bl::RotaryTable<float, bl::Cpu> angles(256, frequencies);
  const bl::View<const float> cosine = angles.cosine.view(), sine = angles.sine.view();
  const Block x = filled({tokens / 256, 256, heads * head_dim}, 1);
  Block y(x.shape()), dx(x.shape());
  table.row<Traffic{1, 0, 1}>(forward, y.size(), [&] { K::forward(x.view(), cosine, sine, 0, head_dim, y.view()); });
  table.row<Traffic{1, 1, 0}>(backward, y.size(), [&] { K::backward(cosine, sine, 0, head_dim, x.view(), dx.view()); });
}

void rms_norm(Table& table, Index tokens, Index width) {
  using K = bl::Kernel<bl::RmsNorm, bl::Cpu>;
  const Block x = filled({tokens, width}, 1), w = filled({width}, 2), dy = filled({tokens, width}, 3);
  Block y(x.shape()), dx(x.shape()), dw({width}), inverse({tokens}), room({K::workspace(x.shape())});
  table.row<Traffic{1, 0, 1}>("rms_norm_forward", x.size(),
                              [&] { K::forward(x.view(), w.view(), 1e-5f, inverse.view(), y.view()); });
  table.row<Traffic{2, 1, 0}>("rms_norm_backward", x.size(), [&] {
    K::backward(x.view(), w.view(), read(inverse.view()), dy.view(), room.view(), dx.view(), dw.view());
  });
}

void optimiser(Table& table, Index parameters) {
  const Block g = filled({parameters}, 1);
  Block w = filled({parameters}, 2), m({parameters}), v({parameters});
  bl::StepScalars<bl::Cpu> scalars;
  for (const char* const name : {"learning_rate", "first_correction", "second_correction", "clip"})
    scalars.set(scalars.add(name), 0.5);
  table.row<Traffic{1, 3, 0}>("adamw", parameters, [&] {
    bl::Kernel<bl::AdamWUpdate, bl::Cpu>::update({}, {}, bl::AdamWUpdate::Step::of(scalars), g.view(), w.view(),
                                                 m.view(), v.view());
  });
  bl::GlobalNorm<float> norm(parameters);
  table.row<Traffic{1, 0, 0}>("global_norm", parameters, [&] {
    volatile double sink = norm(g.view());
    static_cast<void>(sink);
  });
}

void cross_entropy(Table& table, Index rows, Index words) {
  using K = bl::Kernel<bl::CrossEntropyRows, bl::Cpu>;
  Block logits = filled({rows, words}, 1), losses({rows}), memory({K::workspace(rows)});
  bl::Tensor<std::int32_t> targets({rows});
  for (Index n = 0; n < rows; ++n) targets.view().data[n] = static_cast<std::int32_t>(n * 37 % words);
  table.row<Traffic{0, 1, 0}>("cross_entropy", logits.size(), [&] {
    K::forward(logits.view(), targets.view(), 1.0f, true, memory.view(), losses.view());
  });
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_elementwise [--threads N] [--json]");
  const int threads = arguments.number("--threads", 2);
  const bool json = arguments.flag("--json");
  arguments.end();

  bl::set_thread_count(threads);
  Table table(json);
  swiglu(table, 2048, 768);
  rotary(table, "rotary_forward_64", "rotary_backward_64", 2048, 9, 64);
  rotary(table, "rotary_forward_48", "rotary_backward_48", 2048, 6, 48);
  rms_norm(table, 2048, 576);
  optimiser(table, 15'000'000);
  cross_entropy(table, 512, 32000);
}
