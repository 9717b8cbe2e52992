// SPDX-License-Identifier: MIT
// Every method of the list on a GPU: it starts and trains there as on the CPU. A unit of the host's compiler; the kinds are
// those that nvcc has compiled for binllm::cuda.
#include "cuda/gpu.hpp"
#include "support/any_model.hpp"

#include <binllm/methods/table.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/train/step.hpp>

#include <cmath>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class T, class Device>
using Model = ErasedModel<LlamaArchitecture, T, Device>;

/// The same dense weights, quantised on the device itself.
template <class T, class Device>
Model<T, Device> start(const Model<float, Cpu>& dense, const MethodEntry& method) {
  Model<T, Device> there(dense.config, format_named<T, Device>(FullPrecisionFormat::name, {}));
  copy_model(dense, there);
  return quantised(there, format_named<T, Device>(method.format, method.words));
}

/// Losses and gradient norms of six steps on the same tokens.
template <class T, class Device>
auto six_steps(const Model<float, Cpu>& dense, const MethodEntry& method) {
  constexpr Index steps = 6;
  auto model = start<T, Device>(dense, method);
  TrainingStep<Model<T, Device>> training(model, 4, 0, 16);
  std::vector<typename TrainingStep<Model<T, Device>>::Result> results;
  for (Index step = 0; step < steps; ++step) {
    const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
      const auto tokens = random_ids(ids.shape, dense.config.vocab_size, 5);
      for (Index i = 0; i < ids.size(); ++i)
        ids.data[i] = tokens.view().data[i], targets.data[i] = static_cast<std::int32_t>(i % 7);
    };
    const double t = sharpness_at(model.format, {.step = step, .steps = steps});
    results.push_back(training.run(fill, step, 1e-3, t, 1));
  }
  return results;
}

}  // namespace

TEST_CASE("every method on a GPU: a step as on the CPU, five more as nearly, and in bf16") {
  if (!gpu()) return;
  ModelConfig config = tiny_config(64);
  config.hidden_size = 64;
  config.intermediate_size = 136;
  config.head_dim = 16;
  Model<float, Cpu> dense(config, format_named<float, Cpu>(FullPrecisionFormat::name, {}));
  initialise(dense, 3, 0.1);
  for (const MethodEntry& method : method_table()) {
    CAPTURE(method.name);
    const auto wanted = six_steps<float, Cpu>(dense, method);
    const auto found = six_steps<float, Cuda>(dense, method);
    const auto coarse = six_steps<bf16, Cuda>(dense, method);
    CHECK(found[0].loss == doctest::Approx(wanted[0].loss).epsilon(1e-4));
    CHECK(found[0].gradient_norm == doctest::Approx(wanted[0].gradient_norm).epsilon(1e-3));
    CHECK(coarse[0].loss == doctest::Approx(wanted[0].loss).epsilon(5e-2));
    for (std::size_t step = 1; step < wanted.size(); ++step) {  // a weight near 0 may get the other sign
      CAPTURE(step);
      CHECK(found[step].loss == doctest::Approx(wanted[step].loss).epsilon(5e-2));
      CHECK(std::isfinite(coarse[step].loss));
    }
  }
}
