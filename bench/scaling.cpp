// SPDX-License-Identifier: MIT
// A model of a training step's time on many GPUs, from what was measured on one and on a few: docs/scaling.md explains
// it, and says how far it was off where it could be checked.
#include <algorithm>
#include <array>
#include <cmath>

#include "support/arguments.hpp"

namespace {

/// Hosts of some GPUs each; bandwidths are of one GPU, each way, as a ring of NCCL reaches them.
struct Cluster {
  double gpus_a_host, in_host, between_hosts;  // GB/s
};

struct Training {
  double parameters, units, step;  // bytes are those of floats; seconds of one GPU
  double largest_unit;             // share of the parameters in the unit that backward completes last
};

/// Seconds that a collective takes at least: a ring in a host, a tree between hosts.
constexpr double hop_in_host = 2e-6, hop_between_hosts = 10e-6;

/// Seconds of one pass over all GPUs (a sum of shares, or a gather of them) of so many bytes.
double pass(const Cluster& c, double gpus, double bytes, double units) {
  if (gpus == 1) return 0;
  // Rings run through all GPUs of a host before they leave it, one for each network card.
  const double bandwidth = gpus <= c.gpus_a_host ? c.in_host : std::min(c.in_host, c.between_hosts * c.gpus_a_host);
  const double latency = (std::min(gpus, c.gpus_a_host) - 1) * hop_in_host +
                         std::log2(std::max(1.0, gpus / c.gpus_a_host)) * hop_between_hosts;
  return bytes * (gpus - 1) / gpus / (bandwidth * 1e9) + units * latency;
}

struct Step {
  double seconds, collectives, exposed;
};

/// Gradients are summed in backward, two thirds of the step; values are gathered in forward, a third (--shard none sums
/// and gathers in backward). What backward completes last is summed after it.
Step step_of(const Training& t, const Cluster& c, double gpus, bool divided) {
  const double bytes = 4 * t.parameters;
  const double sums = pass(c, gpus, bytes, t.units), gathers = pass(c, gpus, bytes, t.units);
  const double last = t.largest_unit * (sums + (divided ? 0 : gathers));
  const double in_backward = sums + (divided ? 0 : gathers) - last, in_forward = divided ? gathers : 0;
  const double first = divided ? t.largest_unit * gathers : 0;  // the embedding, before forward can begin
  const double exposed =
      std::max(0.0, in_backward - t.step * 2 / 3) + std::max(0.0, in_forward - first - t.step / 3) + last + first;
  return {t.step + exposed, sums + gathers, exposed};
}

}  // namespace

int main(int count, char** words) {
  binllm::bench::Arguments arguments(
      count, words,
      "bench_scaling [--config B|C] [--step-us N] [--gpus-a-host N] [--in-host GB/s] [--between-hosts GB/s]\n"
      "  --step-us is that of one GPU; bandwidths are of one GPU: a host's link, its share of the network");
  struct Named {
    std::string_view name;
    double parameters, units, largest, tokens;
    int step;
  };
  const std::array named{Named{"B", 134.7e6, 32, 0.21, 16 * 2048, 96145},
                         Named{"C", 1.236e9, 18, 0.21, 4 * 2048, 129941}};
  const std::string name = arguments.text("--config", "C");
  const auto found = std::find_if(named.begin(), named.end(), [&](const Named& n) { return n.name == name; });
  if (found == named.end()) arguments.refuse("--config " + name);
  const Training training{found->parameters, found->units, 1e-6 * arguments.number("--step-us", found->step),
                          found->largest};
  const Cluster cluster{static_cast<double>(arguments.number("--gpus-a-host", 8)),
                        static_cast<double>(arguments.number("--in-host", 300)),
                        static_cast<double>(arguments.number("--between-hosts", 45))};
  arguments.end();
  fmt::print(
      "| GPUs | --shard | step, ms | collectives, ms | not hidden, ms | tokens/s | over one GPU |\n"
      "| ---: | --- | ---: | ---: | ---: | ---: | ---: |\n");
  for (const double gpus : {1.0, 2.0, 4.0, 8.0, 64.0, 128.0, 256.0, 512.0, 1024.0}) {
    for (const bool divided : {false, true}) {
      if (gpus == 1 && divided) continue;
      const Step step = step_of(training, cluster, gpus, divided);
      fmt::print("| {:.0f} | {} | {:.1f} | {:.1f} | {:.1f} | {:.0f} | {:.2f} |\n", gpus,
                 divided ? "optimizer, gradients" : "none", 1e3 * step.seconds, 1e3 * step.collectives,
                 1e3 * step.exposed, gpus * found->tokens / step.seconds, gpus * training.step / step.seconds);
    }
  }
}
