// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/small_llama.hpp"

#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/policy/straight_through.hpp>
#include <binllm/train/step.hpp>
#include <binllm/train/weighted_sum.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

struct Data {
  Tensor<std::int32_t> ids = random_ids({2, 9}, 37, 1), targets = random_ids({2, 9}, 37, 2);
  [[nodiscard]] Batch<Cpu> batch() const { return {ids.view(), targets.view()}; }
};

template <class Model, class Objective>
double loss_of(Model& model, const Objective& objective, double t = 0) {
  const Data data;
  Tape tape;
  const NoGrad pause(tape);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, t);
  Pass<typename Model::value_type, Cpu> pass{tape, scalars};
  return static_cast<double>(*objective.loss(pass, model, data.batch()).value().data);
}

/// The relative error of the gradient of all parameters, a few elements of each.
template <class Model, class Objective>
double gradient_error_in(Model& model, const Objective& objective, double t = 0) {
  const Data data;
  Tape tape;
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, t);
  model.block.zero_gradients();
  Pass<double, Cpu> pass{tape, scalars};
  tape.backward(objective.loss(pass, model, data.batch()));
  double worst = 0;
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    CAPTURE(name);
    const auto error =
        gradient_error([&] { return loss_of(model, objective, t); }, parameter.value, read(parameter.gradient), 3);
    worst = std::max(worst, error.relative);
  });
  return worst;
}

Llama<double> bigger_teacher() {
  auto config = small_config();
  config.num_hidden_layers = 3;
  return small_llama<double>(config, 5);
}

/// A teacher that counts how often it is asked to run.
struct CountingTeacher final : Teacher<double, Cpu> {
  TeacherPointer<double, Cpu> inner;
  mutable int runs = 0;
  explicit CountingTeacher(TeacherPointer<double, Cpu> teacher) : inner(std::move(teacher)) {}
  [[nodiscard]] ForwardStates<double, Cpu> hidden_states(Tape<Cpu>& tape, View<const std::int32_t> ids,
                                                         std::span<const Index> wanted) const override {
    ++runs;
    return inner->hidden_states(tape, ids, wanted);
  }
  [[nodiscard]] Variable<double, Cpu> head(Tape<Cpu>& tape) const override { return inner->head(tape); }
};

/// A teacher's states, and the next-token loss, of ids that are not the batch's.
struct HiddenStatesOfOtherIds {
  TeacherPointer<double, Cpu> teacher;
  View<const std::int32_t> ids;

  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    return HiddenStates<T, Device>{teacher, {1}}.loss(pass, model, {ids, batch.targets});
  }
};
struct NextTokenOfOtherIds {
  View<const std::int32_t> ids;

  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    return NextToken{}.loss(pass, model, {ids, batch.targets});
  }
};

/// A model that counts its passes.
struct CountingModel : Llama<double> {
  int runs = 0;
  using Llama<double>::Llama;
  Variable<double, Cpu> embed(Pass<double, Cpu>& pass, View<const std::int32_t> ids) {
    ++runs;
    return Llama<double>::embed(pass, ids);
  }
};

}  // namespace

TEST_CASE("next token: the model's own loss, to the bit") {
  auto model = small_llama<float>();
  const Data data;
  Tape tape;
  StepScalars<Cpu> scalars;
  Pass<float, Cpu> pass{tape, scalars};
  const auto a = model.loss(pass, data.ids.view(), data.targets.view());
  const auto b = NextToken{}.loss(pass, model, data.batch());
  CHECK(*a.value().data == *b.value().data);
}

TEST_CASE("distillation: from whole logits of both models; a teacher of any depth and format") {
  auto student = small_llama<double>();
  auto big = bigger_teacher();
  const Data data;
  const auto check = [&](auto& teacher_model, double t) {
    const auto z = logits_of(student, data.ids.view(), 0), q = logits_of(teacher_model, data.ids.view(), t);
    const double T = 2, a = 0.75;
    double wanted = 0;
    for (Index n = 0; n < 18; ++n) {
      const auto soft = [](const auto& row, double temperature) {
        const Eigen::ArrayXd x = row / temperature;
        return Eigen::ArrayXd(x - std::log(x.exp().sum()));
      };
      const Eigen::ArrayXd s = soft(z.view().row(n), T), p = soft(q.view().row(n), T);
      wanted += (a * T * T * (p.exp() * (p - s)).sum() -
                 (1 - a) * soft(z.view().row(n), 1)[data.targets.view().data[n]]) / 18;
    }
    const Distillation objective{make_teacher(teacher_model, t), T, a};
    CHECK(loss_of(student, objective) == doctest::Approx(wanted).epsilon(1e-11));
    CHECK(gradient_error_in(student, objective) < 1e-5);
  };
  check(big, 0);
  auto binary = binarize<PaperRecipe<double>>(bigger_teacher());
  check(binary, std::numeric_limits<double>::infinity());
}

TEST_CASE("a teacher equal to the student gives no gradient, and gets none") {
  auto student = small_llama<double>(), twin = small_llama<double>();
  twin.block.zero_gradients();
  const Distillation objective{make_teacher(twin), 3.0, 1.0};
  const Data data;
  Tape tape;
  StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  student.block.zero_gradients();
  const auto loss = objective.loss(pass, student, data.batch());
  tape.backward(loss);
  CHECK(std::abs(*loss.value().data) < 1e-13);
  CHECK(student.block.gradients.view().flat().abs().maxCoeff() < 1e-15);
  CHECK(twin.block.gradients.view().flat().abs().maxCoeff() == 0);
}

TEST_CASE("a teacher that keeps its model holds no gradients, and says the same") {
  auto student = small_llama<double>();
  auto lent = bigger_teacher();
  const auto borrowing = make_teacher(lent), owning = make_teacher(bigger_teacher());
  CHECK(loss_of(student, Distillation{borrowing, 2.0, 1.0}) == loss_of(student, Distillation{owning, 2.0, 1.0}));
  CHECK(lent.block.gradients);
}

TEST_CASE("hidden states: directions, layer by layer, counted from the embedding") {
  auto student = small_llama<double>();
  auto big = bigger_teacher();
  const Data data;
  const auto teacher = make_teacher(big);
  const auto states_of = [&](auto& model, const std::vector<Index>& layers) {
    Tape tape;
    const NoGrad pause(tape);
    const StepScalars<Cpu> scalars;
    Pass<double, Cpu> pass{tape, scalars};
    std::vector<Tensor<double>> states;
    for (const auto& state : hidden_states(pass, model, read(data.ids.view()), std::span<const Index>(layers)).behind)
      states.push_back(host(state.value()));
    return states;
  };
  const std::vector<Index> layers{0, 2, 1};
  const auto ours = states_of(student, layers), theirs = states_of(big, layers);
  double wanted = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    for (Index n = 0; n < 18; ++n) {
      const auto direction = [n](const Tensor<double>& state) {
        const Eigen::VectorXd x = state.view().row(n).matrix();
        return Eigen::VectorXd(x / x.norm());
      };
      wanted += (direction(ours[i]) - direction(theirs[i])).squaredNorm() / 18 / 3;
    }
  }
  const HiddenStates<double, Cpu> objective{teacher, layers};
  CHECK(loss_of(student, objective) == doctest::Approx(wanted).epsilon(1e-9));
  CHECK(gradient_error_in(student, HiddenStates<double, Cpu>{teacher, {1, 2}}) < 1e-5);
  CHECK(id_of([&] { loss_of(student, HiddenStates<double, Cpu>{teacher, {3}}); }) == ErrorId::index_out_of_range);
  CHECK(id_of([&] { loss_of(student, HiddenStates<double, Cpu>{teacher, {}}); }) == ErrorId::empty_tensor);
  CHECK(id_of([&] { loss_of(student, HiddenStates<double, Cpu>{{}, {1}}); }) == ErrorId::option_out_of_range);
}

TEST_CASE("a term over weights: half the squared length") {
  auto model = small_llama<double>();
  double wanted = 0;
  for_each_parameter(model, [&](const std::string&, const auto& parameter) {
    if (parameter.rule.decays) wanted += parameter.value.flat().square().sum();
  });
  CHECK(loss_of(model, SquaredWeights{0.25}) == doctest::Approx(0.125 * wanted).epsilon(1e-12));
  const Data data;
  Tape tape;
  StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  model.block.zero_gradients();
  tape.backward(SquaredWeights{0.25}.loss(pass, model, data.batch()));
  for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    CAPTURE(name);
    const double factor = parameter.rule.decays ? 0.25 : 0;
    CHECK((parameter.gradient.flat() - factor * parameter.value.flat()).abs().maxCoeff() < 1e-15);
  });
}

TEST_CASE("a weighted sum: the sum of its terms, while student and teacher run once") {
  auto big = bigger_teacher();
  auto counting = std::make_shared<CountingTeacher>(make_teacher(big));
  const TeacherPointer<double, Cpu> teacher = counting;
  CountingModel student(small_config());
  initialise(student, 1, 0.3);
  const Distillation distillation{teacher, 2.0, 0.5};
  const HiddenStates<double, Cpu> states{teacher, {1, 2}}, others{teacher, {0}};
  const auto both = sum(Weighted{0.5, distillation}, Weighted{2.0, states}, Weighted{0.25, NextToken{}},
                        Weighted{0.125, others}, Weighted{1.0, SquaredWeights{0.1}});
  const double wanted = 0.5 * loss_of(student, distillation) + 2 * loss_of(student, states) +
                        0.25 * loss_of(student, NextToken{}) + 0.125 * loss_of(student, others) +
                        loss_of(student, SquaredWeights{0.1});
  counting->runs = student.runs = 0;
  CHECK(loss_of(student, both) == doctest::Approx(wanted).epsilon(1e-12));
  CHECK(counting->runs == 1);
  CHECK(student.runs == 1);
  CHECK(gradient_error_in(student, both) < 1e-5);
}

TEST_CASE("a weighted sum: a term that asks for other ids gets the states of those") {
  auto student = small_llama<double>();
  auto big = bigger_teacher();
  const auto teacher = make_teacher(big);
  const auto other = random_ids({2, 9}, 37, 7);
  const HiddenStates<double, Cpu> states{teacher, {1}};
  const HiddenStatesOfOtherIds theirs{teacher, read(other.view())};
  const NextTokenOfOtherIds next{read(other.view())};
  const double wanted =
      loss_of(student, states) + loss_of(student, NextToken{}) + loss_of(student, theirs) + loss_of(student, next);
  CHECK(std::abs(loss_of(student, next) - loss_of(student, NextToken{})) > 1e-3);
  CHECK(loss_of(student, sum(Weighted{1.0, states}, Weighted{1.0, NextToken{}}, Weighted{1.0, theirs},
                             Weighted{1.0, next})) == doctest::Approx(wanted).epsilon(1e-12));
}

TEST_CASE("without a teacher an objective says so, alone and in a sum") {
  auto student = small_llama<double>();
  const Distillation<double, Cpu> none{};
  CHECK(id_of([&] { loss_of(student, none); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { loss_of(student, sum(Weighted{1.0, none})); }) == ErrorId::option_out_of_range);
}

TEST_CASE("no objective holds logits of tokens x vocabulary, neither model's") {
  auto config = small_config();
  config.vocab_size = 3000;
  config.max_position_embeddings = 600;
  Llama<float> student(config), big(config);
  initialise(student, 1);
  initialise(big, 2);
  const auto ids = random_ids({4, 600}, 3000, 1), targets = random_ids({4, 600}, 3000, 2);
  const auto peak = [&](const auto& objective) {
    Tape tape;
    StepScalars<Cpu> scalars;
    Pass<float, Cpu> pass{tape, scalars};
    tape.backward(objective.loss(pass, student, Batch<Cpu>{ids.view(), targets.view()}));
    return tape.value_bytes();
  };
  const std::size_t whole = 4 * 600 * 3000 * sizeof(float);
  const std::size_t next = peak(NextToken{}), distilled = peak(Distillation{make_teacher(big), 2.0, 0.5});
  MESSAGE("whole logits ", whole, " bytes; tape with next token ", next, ", with a teacher ", distilled);
  CHECK(next < whole);
  CHECK(distilled < next + whole / 2);
}
