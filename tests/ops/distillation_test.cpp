// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/distillation.hpp>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Student and teacher of other widths over one vocabulary.
struct Case {
  Tensor<double> h, w, g, u;
  Tensor<std::int32_t> targets;

  Case(Index rows, Index words)
      : h(normal_tensor({rows, 3}, 1)),
        w(normal_tensor({words, 3}, 2)),
        g(normal_tensor({rows, 5}, 3)),
        u(normal_tensor({words, 5}, 4)),
        targets(random_ids({rows}, words, 5)) {}
};

/// The loss from whole logits, one number at a time.
double reference(const Case& c, double temperature, double mix, double weight = 1, double ambiguity = 0) {
  const auto log_softmax = [](const auto& logits, double t) {
    const double most = logits.maxCoeff();
    const double sum = ((logits - most) / t).exp().sum();
    return Eigen::ArrayXd((logits - most) / t - std::log(sum));
  };
  double total = 0;
  const Index rows = c.h.shape().rows();
  for (Index n = 0; n < rows; ++n) {
    const Eigen::ArrayXd z = (c.w.view().matrix() * c.h.view().row(n).matrix()).array(),
                         q = (c.u.view().matrix() * c.g.view().row(n).matrix()).array();
    const Eigen::ArrayXd student = log_softmax(z, temperature), teacher = log_softmax(q, temperature);
    total += (1 - mix) * -log_softmax(z, 1)[c.targets.view().data[n]];
    const double share = ambiguity > 0 ? std::pow(-(teacher.exp() * student).sum(), ambiguity) : 1;
    total += mix * weight * share * temperature * temperature * (teacher.exp() * (teacher - student)).sum();
  }
  return total / static_cast<double>(rows);
}

}  // namespace

TEST_CASE("distillation: values are those of whole logits, on every device") {
  on_each_device([]<class Device>(Device) {
    for (const Index rows : {Index(1), Index(7), LogitChunk::Limits<Cpu>::most_rows + 3}) {
      const Case c(rows, 41);
      const auto targets = on_device<Device>(random_ids({rows}, 41, 5));
      for (const auto& [temperature, mix] : {std::pair(1.0, 0.5), std::pair(2.5, 1.0), std::pair(0.7, 0.25)}) {
        Tape<Device> tape;
        const TeacherRows<double, Device> teacher{tape.constant(c.g.view()), tape.constant(c.u.view())};
        const auto loss = distillation(tape.constant(c.h.view()), tape.constant(c.w.view()), read(targets.view()),
                                       teacher, {temperature, mix});
        CHECK(loss.shape() == Shape{1});
        CHECK(largest_difference(loss.value(), {reference(c, temperature, mix)}) < 1e-12);
      }
    }
  });
}

TEST_CASE("distillation: the teacher's term has a weight, and tokens a share by their cross-entropy") {
  Case c(7, 41);
  for (const auto& [weight, ambiguity] : {std::pair(0.01, 0.0), std::pair(2.0, 1.0), std::pair(1.0, 0.5)}) {
    const DistillationRows options{1.5, 0.75, weight, ambiguity};
    const auto op = [&](auto x, auto head) {
      const TeacherRows<double, Cpu> teacher{x.tape().constant(read(c.g.view())), x.tape().constant(read(c.u.view()))};
      return distillation(x, head, read(c.targets.view()), teacher, options);
    };
    Tape tape;
    const auto loss = op(tape.constant(read(c.h.view())), tape.constant(read(c.w.view())));
    CHECK(*loss.value().data == doctest::Approx(reference(c, 1.5, 0.75, weight, ambiguity)).epsilon(1e-12));
    if (ambiguity == 0) CHECK(gradient_error_of(op, c.h, c.w) < 1e-6);  // else the share counts as a constant
  }
  // Of a single token, so that the share is one number: the gradient is that of the plain loss times it.
  const Case one(1, 11);
  const auto gradient = [&](double ambiguity) {
    Tape tape;
    const auto x = tape.variable(one.h.view()), head = tape.constant(one.w.view());
    const TeacherRows<double, Cpu> teacher{tape.constant(one.g.view()), tape.constant(one.u.view())};
    tape.backward(distillation(x, head, one.targets.view(), teacher, {1, 1, 1, ambiguity}));
    return host(x.gradient());
  };
  const double share = reference(one, 1, 1, 1, 2) / reference(one, 1, 1);
  const auto plain = gradient(0), shared = gradient(2);
  for (Index i = 0; i < plain.size(); ++i)
    CHECK(shared.view().data[i] == doctest::Approx(share * plain.view().data[i]).epsilon(1e-10));
}

TEST_CASE("distillation: gradients over several chunks, and frozen inputs") {
  for (const Index rows : {Index(1), Index(3), LogitChunk::Limits<Cpu>::most_rows + 2}) {
    for (const auto& [temperature, mix] : {std::pair(1.0, 0.5), std::pair(3.0, 1.0), std::pair(0.5, 0.0)}) {
      if (rows > 3 && mix != 0.5) continue;  // chunks do not know the numbers, and take long
      Case c(rows, 23);
      const DistillationRows options{temperature, mix};
      const auto op = [&](auto x, auto head) {
        const TeacherRows<double, Cpu> teacher{x.tape().constant(read(c.g.view())),
                                               x.tape().constant(read(c.u.view()))};
        return distillation(x, head, read(c.targets.view()), teacher, options);
      };
      CHECK(gradient_error_of(op, c.h, c.w) < 1e-6);
      CHECK(frozen_inputs_work(op, c.h, c.w));
    }
  }
}

TEST_CASE("distillation: a teacher that says what the student says moves nothing") {
  const Case c(40, 31);
  for (const double temperature : {1.0, 2.0}) {
    Tape tape;
    const auto h = tape.variable(c.h.view()), w = tape.variable(c.w.view());
    const TeacherRows<double, Cpu> teacher{tape.constant(c.h.view()), tape.constant(c.w.view())};
    const auto loss = distillation(h, w, c.targets.view(), teacher, {temperature, 1.0});
    tape.backward(loss);
    CHECK(std::abs(*loss.value().data) < 1e-14);
    CHECK(h.gradient().flat().abs().maxCoeff() == 0);
    CHECK(w.gradient().flat().abs().maxCoeff() == 0);
  }
}

TEST_CASE("distillation: without the teacher's share it is the next-token loss") {
  const Case c(30, 31);
  Tape tape;
  const auto h = tape.variable(c.h.view()), w = tape.variable(c.w.view()), x = tape.variable(c.h.view());
  const TeacherRows<double, Cpu> teacher{tape.constant(c.g.view()), tape.constant(c.u.view())};
  const auto loss = distillation(h, w, c.targets.view(), teacher, {2.0, 0.0});
  const auto plain = cross_entropy(x, tape.constant(c.w.view()), c.targets.view());
  tape.backward(loss);
  tape.backward(plain);
  CHECK(std::abs(*loss.value().data - *plain.value().data) < 1e-14);
  CHECK(largest_difference(h.gradient(), read(x.gradient())) < 1e-15);
}

TEST_CASE("distillation: words that either model rules out count nothing where they should") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  using K = Kernel<DistillationRows, Cpu>;
  Tensor<double> z({2, 40}), q({2, 40}), memory({K::workspace(2)}), losses({2});
  z.view().row(0).tail(37) = -infinity;  // the teacher rules out the same and one more
  q.view().row(0).tail(38) = -infinity;
  q.view().row(1).tail(20) = -infinity;
  const auto targets = list<std::int32_t>({1, 3});
  K::forward(DistillationRows{1, 1}, z.view(), read(q.view()), targets.view(), 1.0, true, memory.view(), losses.view());
  CHECK(losses.view().data[0] == doctest::Approx(std::log(3.0 / 2)));
  CHECK(losses.view().data[1] == doctest::Approx(std::log(2.0)));
  CHECK(z.view().flat().isFinite().all());
  CHECK(z.view().row(0)[2] == doctest::Approx(1 / 3.));
  CHECK(z.view().row(0).tail(37).abs().maxCoeff() < 1e-300);
  CHECK(z.view().row(1)[39] == doctest::Approx(1 / 40.));
}

TEST_CASE("distillation: neither model's logits are ever whole") {
  const Index rows = 4096, words = 2000;
  const auto h = normal_tensor<float>({rows, 4}, 1), w = normal_tensor<float>({words, 4}, 2);
  const auto targets = random_ids({rows}, words, 3);
  Tape tape;
  const auto x = tape.variable(h.view()), head = tape.variable(w.view());
  const TeacherRows<float, Cpu> teacher{tape.constant(h.view()), tape.constant(w.view())};
  const auto loss = distillation(x, head, targets.view(), teacher, {2, 0.5});
  CHECK(tape.held_bytes() == 0);
  tape.backward(loss);
  const std::size_t one_of_them = static_cast<std::size_t>(rows * words) * sizeof(float);
  CHECK(tape.value_bytes() < one_of_them / 2);
  CHECK(tape.peak_bytes() < one_of_them / 100);
}

TEST_CASE("distillation: backward writes the loss; the same bits at any number of threads") {
  const auto h = normal_tensor<float>({700, 24}, 1), w = normal_tensor<float>({200, 24}, 2),
             u = normal_tensor<float>({200, 24}, 4);
  const auto targets = random_ids({700}, 200, 3);
  const auto run = [&](bool ask_first) {
    Tape tape;
    const auto x = tape.variable(h.view()), head = tape.variable(w.view());
    const TeacherRows<float, Cpu> teacher{tape.constant(h.view()), tape.constant(u.view())};
    const auto loss = distillation(x, head, targets.view(), teacher, {2, 0.5});
    const float first = ask_first ? *loss.value().data : 0;
    tape.backward(loss);
    if (ask_first) CHECK(*loss.value().data == first);
    return std::array{host(loss.value()), host(x.gradient()), host(head.gradient())};
  };
  const auto once = run(false), asked = run(true);
  for (std::size_t i = 0; i < once.size(); ++i) CHECK(same_bits(asked.at(i).view(), once.at(i).view()));
  const Threads threads(2);
  const auto again = run(false);
  for (std::size_t i = 0; i < once.size(); ++i) CHECK(same_bits(again.at(i).view(), once.at(i).view()));
}

TEST_CASE("distillation: errors") {
  const Case c(4, 6);
  Tape tape, foreign;
  const auto h = tape.constant(c.h.view()), w = tape.constant(c.w.view());
  const auto id = [&](auto hidden, auto weight, const DistillationRows& options) {
    return id_of([&] {
      (void)distillation(h, w, c.targets.view(), TeacherRows<double, Cpu>{hidden, weight}, options);
    });
  };
  const auto g = tape.constant(c.g.view()), u = tape.constant(c.u.view());
  CHECK(id(g, tape.constant(read(normal_tensor({5, 5}, 1).view())), {}) ==
        ErrorId::shape_mismatch);  // another vocabulary
  CHECK(id(tape.constant(read(normal_tensor({3, 5}, 1).view())), u, {}) == ErrorId::shape_mismatch);
  CHECK(id(h, u, {}) == ErrorId::shape_mismatch);
  CHECK(id(g, u.reshaped({30}), {}) == ErrorId::rank_unsupported);
  CHECK(id(foreign.constant(c.g.view()), u, {}) == ErrorId::foreign_tape);
  CHECK(id(g, u, {.temperature = 0}) == ErrorId::option_out_of_range);
  CHECK(id(g, u, {.mix = 1.5}) == ErrorId::option_out_of_range);
  CHECK(id(g, u, {.weight = -1}) == ErrorId::option_out_of_range);
  CHECK(id(g, u, {.ambiguity = -1}) == ErrorId::option_out_of_range);
}
