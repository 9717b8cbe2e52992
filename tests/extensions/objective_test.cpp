// SPDX-License-Identifier: MIT
/// An objective that the library does not know: a teacher's predictions, and its hidden states behind some blocks.
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>

namespace user {

using namespace binllm;

/// T^2 KL(teacher || student), both softened by T,   +   (weight / L) sum over L layers of  mean (h - g)^2
template <class T, class Device>
struct Follow {
  TeacherPointer<T, Device> teacher;
  std::vector<Index> layers;  ///< by the number of blocks before them
  double temperature = 2, weight = 1;

  template <class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    const auto theirs = teacher->hidden_states(pass.tape, batch.ids, layers);
    const auto ours = hidden_states(pass, model, batch.ids, std::span(layers));
    auto total = distillation(ours.final, model.head(pass), batch.targets,
                              TeacherRows<T, Device>{theirs.final, teacher->head(pass.tape)}, {temperature, 1});
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto distance = mean_squared_error(ours.behind[i], theirs.behind[i]);
      total = add(total, scale(distance, static_cast<master_t<T>>(weight / static_cast<double>(layers.size()))));
    }
    return total;
  }
};
template <class T, class Device>
Follow(TeacherPointer<T, Device>, std::vector<Index>) -> Follow<T, Device>;

/// mean h^2 behind the last block but one: a term that names no layers
struct LastStates {
  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    const auto h = hidden_states(pass, model, batch.ids, std::array{Index{4}}).behind[0];
    return mean(multiply(h, h));
  }
};

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

using OneBit = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;

/// The losses that a training reports.
struct Listener : RunLog {
  std::vector<double> losses;
  void report(std::string_view, Index, Index, std::span<const Metric> metrics) override {
    losses.push_back(metrics[0].value);
  }
};

/// The objective of one batch of a corpus.
template <class Model, class Objective>
double objective_of(Model& model, const Objective& objective, const TokenStream& corpus) {
  const Shape shape{4, 32};
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, sign);
  Pass<float, Cpu> pass{tape, scalars};
  const auto* tokens = corpus.tokens().data();
  return *objective.loss(pass, model, Batch<Cpu>{{tokens, shape}, {tokens + 1, shape}}).value().data;
}

}  // namespace

TEST_CASE("objective: gradients are those of finite differences, with a teacher of another depth") {
  auto config = tiny_config();
  Llama<double> student(config);
  config.num_hidden_layers = 3;
  Llama<double> teacher(config);
  initialise(student, 3, 0.3), initialise(teacher, 4, 0.3);
  const user::Follow objective{make_teacher(teacher), {0, 2}};
  const auto ids = random_ids({2, 7}, 37, 1), targets = random_ids({2, 7}, 37, 2);
  check_gradients(
      student, 0,
      [&](auto& pass) {
        return objective.loss(pass, student, Batch<Cpu>{ids.view(), targets.view()});
      },
      every_parameter);
}

TEST_CASE("objective: stories260K in one bit learns to follow itself; alone, in a sum, saved, and loaded") {
  auto real = stories260k();
  if (!real) return;
  auto student = binarize<OneBit>(real->model);
  const user::Follow objective{make_teacher(real->model), {1, 3, 5}};
  auto training = TrainingOptions::small_model();
  training.tokens = 24 * 4 * 32, training.batch = 4, training.context = 32, training.warmup = 2;
  training.report_every = 1;
  const double before = objective_of(student, objective, real->corpus);
  Listener heard;
  train_progressively(student, real->corpus, {.chunks = 4, .training = training}, nullptr, &heard, objective);
  CHECK(heard.losses.size() == 24);
  CHECK(objective_of(student, objective, real->corpus) < 0.7 * before);

  const auto both = sum(Weighted{1.0, objective}, Weighted{0.5, NextToken{}}, Weighted{0.1, user::LastStates{}});
  training.tokens = 4 * 4 * 32;
  CHECK(std::isfinite(
      train_progressively(student, real->corpus, {.chunks = 2, .training = training}, nullptr, &heard, both)));

  const TemporaryFolder folder;
  save(student, folder.path());
  CHECK(tensors_of(load_model<decltype(student)>(folder.path())) == tensors_of(student));
}
