// SPDX-License-Identifier: MIT
/// What the fast kernels compute is what the definitions say: whole trainings on the CPU, and on a device of plain
/// loops for which no kernel is specialised.
#include "support/plain_device.hpp"
#include "support/small_llama.hpp"

#include <binllm/train/progressive.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

LlamaConfig config() {
  LlamaConfig c;
  c.vocab_size = 64;
  c.hidden_size = 32;
  c.intermediate_size = 64;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.num_key_value_heads = 1;
  c.head_dim = 16;
  c.max_position_embeddings = 24;
  return c;
}

constexpr Index steps = 50, chunks = 5, batch = 2, context = 24;

/// The same weights on every device.
template <class Device, class T>
Llama<T, Device> start() {
  Llama<T> on_host(config());
  initialise(on_host, 1, 0.1);
  Llama<T, Device> model(config());
  copy_to_device(read(on_host.block.values.view()), model.block.values.view());
  return model;
}

template <class Model>
std::vector<double> losses(Model& model, double learning_rate, double (*sharpness)(const Model&, Index)) {
  const auto fill = [](View<std::int32_t> ids, View<std::int32_t> targets) {
    for (Index i = 0; i < ids.size(); ++i) {
      ids.data[i] = static_cast<std::int32_t>(i * i % 61);
      targets.data[i] = static_cast<std::int32_t>((i + 1) * (i + 1) % 61);
    }
  };
  TrainingStep<Model> training(model, batch, 0, context, {});
  std::vector<double> curve;
  for (Index step = 0; step < steps; ++step)
    curve.push_back(training.run(fill, step, learning_rate, sharpness(model, step), 1.0).loss);
  return curve;
}

template <class Device, class T>
std::vector<double> full_precision_curve(double learning_rate) {
  auto model = start<Device, T>();
  return losses<Llama<T, Device>>(model, learning_rate, [](const auto&, Index) { return 0.0; });
}

/// Through the schedule of the paper's recipe, in chunks.
template <class Device, class T>
std::vector<double> progressive_curve(double learning_rate) {
  auto binary = binarize<PaperRecipe<T>>(start<Device, T>());
  using Model = decltype(binary);
  return losses<Model>(binary, learning_rate, [](const Model& model, Index step) {
    return chunk_sharpness(model.format.schedule, Chunks(steps, chunks).chunk_of(step), chunks);
  });
}

/// The largest relative distance of two curves.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::abs(a[i] - b[i]) / std::abs(b[i]);
    largest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(largest, difference);
  }
  return largest;
}

}  // namespace

TEST_CASE_TEMPLATE("what the fast kernels compute is what the definitions say: 50 steps of training", T, float,
                   double) {
  const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-10;
  const double learning_rate = 1e-3;
  const auto fast = full_precision_curve<Cpu, T>(learning_rate), plain = full_precision_curve<Plain, T>(learning_rate);
  CHECK(plain.back() < 0.9 * plain.front());
  CHECK(distance(fast, plain) < tolerance);

  const auto fast_binary = progressive_curve<Cpu, T>(learning_rate),
             plain_binary = progressive_curve<Plain, T>(learning_rate);
  CHECK(plain_binary.back() < 0.9 * plain_binary.front());
  CHECK(distance(fast_binary, plain_binary) < tolerance);
  MESSAGE("full precision ", plain.front(), " -> ", plain.back(), ", apart by ", distance(fast, plain), "; binary ",
          plain_binary.front(), " -> ", plain_binary.back(), ", apart by ", distance(fast_binary, plain_binary));
}
