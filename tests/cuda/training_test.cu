// SPDX-License-Identifier: MIT
// Whole trainings on the GPU: against the CPU, against themselves, and across devices.
#include "cuda/models.hpp"
#include "support/memory_log.hpp"

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index batch = 4, context = 31, steps = 20;

/// t of a step: of the recipe's schedule, in five chunks; 0 in full precision.
template <class Model>
double sharpness_at(const Model& model, Index step) {
  if constexpr (std::is_same_v<typename Model::format_type, Dense>) {
    return 0;
  } else {
    return chunk_sharpness(model.format.schedule, Chunks(steps, 5).chunk_of(step), 5);
  }
}

/// The losses of the first steps of a training; calls after(step) after each.
template <class Model, class After>
std::vector<double> train_steps(Model& model, const After& after) {
  const Batches batches(gpu_corpus(), batch, context, 1);
  TrainingStep<Model> training(model, batch, 2, context, {});
  std::vector<double> curve;
  for (Index step = 0; step < steps; ++step) {
    const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
      const auto span = [](View<std::int32_t> view) {
        return std::span(view.data, static_cast<std::size_t>(view.size()));
      };
      batches.fill(static_cast<std::uint64_t>(step), span(ids), span(targets));
    };
    curve.push_back(training.run(fill, step, 2e-3, sharpness_at(model, step), 1.0).loss);
    after(step);
  }
  return curve;
}
template <class Model>
std::vector<double> train_steps(Model& model) {
  return train_steps(model, [](Index) {});
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

template <class T, class Start>
void check_same_bits_twice(const Start& start) {
  auto first = on_device<Cuda, T>(start()), second = on_device<Cuda, T>(start());
  const auto a = train_steps(first), b = train_steps(second);
  CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
  const auto left = host(first.block.values.view()), right = host(second.block.values.view());
  CHECK(same_bits(read(left.view()), read(right.view())));
  CHECK(a.back() < 0.9 * a.front());
}

ProgressiveOptions short_run() {
  auto options = ProgressiveOptions::small_model();
  options.training.batch = batch;
  options.training.context = context;
  options.training.tokens = 12 * batch * context;
  options.chunks = 4;
  options.training.warmup = 2;
  options.training.report_every = 3;
  return options;
}

/// Trains on one device until it is stopped after step 5, and on from there on the other.
template <class First, class Second>
void check_moved_run() {
  const auto stream = gpu_corpus();
  auto whole = binary_start();
  const double whole_loss = train_progressively(whole, stream, short_run());
  MemoryLog log;
  log.stop_after = 5;
  auto stopped = on_device<First, float>(binary_start());
  CHECK_THROWS_AS(train_progressively(stopped, stream, short_run(), nullptr, &log), MemoryLog::Stop);
  log.stop_after = -1;
  auto resumed = on_device<Second, float>(binary_start());
  const double loss = train_progressively(resumed, stream, short_run(), nullptr, &log);
  CHECK(loss == doctest::Approx(whole_loss).epsilon(1e-3));
  CHECK(weight_distance(resumed, in_double(whole.block.values.view())) < 1e-3);
  CHECK(log.reports.back().second["step"] == 12);
}

}  // namespace

TEST_CASE("cuda training: 20 steps follow the CPU's losses") {
  if (!gpu()) return;
  const auto check = [](auto start) {
    auto on_gpu = on_device<Cuda, float>(start);
    auto in_bf16 = on_device<Cuda, bf16>(start);
    const auto wanted = train_steps(start), found = train_steps(on_gpu), coarse = train_steps(in_bf16);
    CHECK(wanted.back() < 0.9 * wanted.front());
    CHECK(distance(found, wanted) < 1e-3);
    CHECK(distance(coarse, wanted) < 2e-2);
    CHECK(weight_distance(on_gpu, in_double(start.block.values.view())) < 1e-2);
    MESSAGE("losses ", wanted.front(), " -> ", wanted.back(), "; float apart by ", distance(found, wanted),
            ", bf16 by ", distance(coarse, wanted));
  };
  check(dense_start());
  check(binary_start());
}

TEST_CASE("cuda training: the same seed, the same bits") {
  if (!gpu()) return;
  check_same_bits_twice<float>(binary_start);
  check_same_bits_twice<bf16>(binary_start);
  check_same_bits_twice<bf16>(dense_start);
}

TEST_CASE("cuda training: recomputed layers train to the same bits") {
  if (!gpu()) return;
  const auto trained = [](bool recompute) {
    auto model = on_device<Cuda, bf16>(binary_start());
    auto options = short_run();
    options.training.recompute = recompute;
    train_progressively(model, gpu_corpus(), options);
    return host(model.block.values.view());
  };
  const auto kept = trained(false), again = trained(true);
  CHECK(same_bits(read(kept.view()), read(again.view())));
}

TEST_CASE("cuda training: after the first steps nothing is allocated") {
  if (!gpu()) return;
  auto model = on_device<Cuda, bf16>(binary_start());
  std::vector<std::size_t> used;
  train_steps(model, [&](Index) {
    Backend<Cuda>::synchronise();
    used.push_back(binllm::cuda::memory().used);
  });
  for (std::size_t step = 2; step < used.size(); ++step) CHECK(used[step] == used[2]);
}

TEST_CASE("cuda training: stage 1") {
  if (!gpu()) return;
  ChannelScaleOptions options;
  options.steps = 10;
  options.batch = batch;
  options.context = context;
  auto on_cpu = binary_start();
  auto on_gpu = on_device<Cuda, float>(on_cpu);
  auto in_bf16 = on_device<Cuda, bf16>(on_cpu);
  const auto wanted = search_channel_scale(on_cpu, gpu_corpus(), options);
  const auto found = search_channel_scale(on_gpu, gpu_corpus(), options);
  const auto coarse = search_channel_scale(in_bf16, gpu_corpus(), options);
  CHECK(found.first == doctest::Approx(wanted.first).epsilon(1e-4));
  CHECK(found.second == doctest::Approx(wanted.second).epsilon(1e-3));
  CHECK(coarse.second == doctest::Approx(wanted.second).epsilon(5e-2));
  CHECK(weight_distance(on_gpu, in_double(on_cpu.block.values.view())) < 1e-3);
}

TEST_CASE("cuda training: a run begun on one device goes on on the other") {
  if (!gpu()) return;
  check_moved_run<Cpu, Cuda>();
  check_moved_run<Cuda, Cpu>();
}

TEST_CASE("cuda training: what is not finite stops the run, and names its tensor") {
  if (!gpu()) return;
  auto broken = dense_start();
  broken.layers[1].mlp.up_proj.weight.value.data[3] = std::numeric_limits<float>::quiet_NaN();
  auto model = on_device<Cuda, float>(broken);
  try {
    pretrain(model, gpu_corpus(), short_run().training);
    FAIL("not stopped");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::training_diverged);
    CHECK(error.found().find("model.layers.1.mlp.up_proj.weight") != std::string::npos);
  }
}
