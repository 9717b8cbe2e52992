// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/top_distillation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr float none = -std::numeric_limits<float>::infinity();

/// A student, and what a teacher said: random words and probabilities.
struct Case {
  Tensor<double> h, w;
  Tensor<std::int32_t> targets, words;
  Tensor<float> log_p, rest;

  Case(Index rows, Index vocabulary, Index k)
      : h(normal_tensor({rows, 3}, 1)),
        w(normal_tensor({vocabulary, 3}, 2)),
        targets(random_ids({rows}, vocabulary, 5)),
        words(Shape{rows, k}),
        log_p(Shape{rows, k}),
        rest(Shape{rows}) {
    const auto logits = normal_tensor({rows, vocabulary + 1}, 6);
    for (Index n = 0; n < rows; ++n) {
      std::vector<std::int32_t> all(static_cast<std::size_t>(vocabulary));
      std::iota(all.begin(), all.end(), 0);
      std::rotate(all.begin(), all.begin() + n % vocabulary, all.end());
      std::sort(all.begin(), all.begin() + k);
      double mass = k < vocabulary ? 0.25 : 0, sum = 0;
      for (Index i = 0; i < k; ++i) sum += std::exp(logits.view().row(n)[i]);
      rest.view().data[n] = mass > 0 ? static_cast<float>(std::log(mass)) : none;
      for (Index i = 0; i < k; ++i) {
        words.view().row(n)[i] = all[static_cast<std::size_t>(i)];
        log_p.view().row(n)[i] = static_cast<float>(logits.view().row(n)[i] + std::log((1 - mass) / sum));
      }
    }
  }
};

double reference(const Case& c, const DistillationRows& o) {
  const auto log_softmax = [](const Eigen::ArrayXd& z) { return Eigen::ArrayXd(z - std::log(z.exp().sum())); };
  const Index rows = c.h.shape().rows(), k = c.words.shape().cols(), words = c.w.shape()[0];
  double total = 0;
  for (Index n = 0; n < rows; ++n) {
    const Eigen::ArrayXd z = (c.w.view().matrix() * c.h.view().row(n).matrix()).array();
    const Eigen::ArrayXd s = log_softmax(z / o.temperature);
    double left = 1, divergence = 0, cross = 0;
    const auto add = [&](double log_p, double log_s) {
      divergence += std::exp(log_p) * (log_p - log_s);
      cross -= std::exp(log_p) * log_s;
    };
    for (Index i = 0; i < k; ++i) {
      const double log_s = s[c.words.view().row(n)[i]];
      left -= std::exp(log_s);
      add(static_cast<double>(c.log_p.view().row(n)[i]), log_s);
    }
    if (k < words) add(static_cast<double>(c.rest.view().data[n]), std::log(left));
    const double share = o.ambiguity > 0 ? std::pow(cross, o.ambiguity) : 1;
    total += (1 - o.mix) * -log_softmax(z)[c.targets.view().data[n]] +
             o.mix * o.weight * share * o.temperature * o.temperature * divergence;
  }
  return total / static_cast<double>(rows);
}

template <class Device>
TopPredictions<Device> predictions(const Tensor<std::int32_t, Device>& words, const Tensor<float, Device>& log_p,
                                   const Tensor<float, Device>& rest) {
  return {read(words.view()), read(log_p.view()), read(rest.view())};
}

}  // namespace

TEST_CASE("top distillation: values are those of whole logits, on every device") {
  on_each_device([]<class Device>(Device) {
    for (const auto& [rows, k] :
         {std::pair(Index(1), Index(1)), std::pair(Index(7), Index(5)), std::pair(Index(3), Index(41)),
          std::pair(LogitChunk::Limits<Cpu>::most_rows + 3, Index(33))}) {
      const Case c(rows, 41, k);
      const auto targets = on_device<Device>(random_ids({rows}, 41, 5)),
                 words = on_device<Device>(host(c.words.view()));
      const auto log_p = on_device<Device>(host(c.log_p.view())), rest = on_device<Device>(host(c.rest.view()));
      for (const DistillationRows& o : {DistillationRows{1, 0.5}, DistillationRows{2.5, 1.0},
                                        DistillationRows{0.7, 0.25, 3.0}, DistillationRows{1, 1, 1, 0.5}}) {
        Tape<Device> tape;
        const auto loss = top_distillation(tape.constant(c.h.view()), tape.constant(c.w.view()), read(targets.view()),
                                           predictions(words, log_p, rest), {o});
        CHECK(largest_difference(loss.value(), {reference(c, o)}) < 1e-7);
      }
    }
  });
}

TEST_CASE("top distillation: gradients over several chunks, and frozen inputs") {
  for (const auto& [rows, k] : {std::pair(Index(1), Index(2)), std::pair(Index(3), Index(23)),
                                std::pair(LogitChunk::Limits<Cpu>::most_rows + 2, Index(7))}) {
    for (const auto& [temperature, mix] : {std::pair(1.0, 0.5), std::pair(3.0, 1.0), std::pair(0.5, 0.0)}) {
      if (rows > 3 && mix != 0.5) continue;  // chunks do not know the numbers, and take long
      Case c(rows, 23, k);
      const DistillationRows options{temperature, mix, 2.0};
      const auto op = [&](auto x, auto head) {
        return top_distillation(x, head, read(c.targets.view()), predictions(c.words, c.log_p, c.rest), {options});
      };
      CHECK(gradient_error_of(op, c.h, c.w) < 1e-6);
      CHECK(frozen_inputs_work(op, c.h, c.w));
    }
  }
}

TEST_CASE("top distillation: with all words it is distillation, and with fewer it is less") {
  const Index rows = 9, words = 31;
  const auto h = normal_tensor({rows, 3}, 1), w = normal_tensor({words, 3}, 2), g = normal_tensor({rows, 4}, 3),
             u = normal_tensor({words, 4}, 4);
  const auto targets = random_ids({rows}, words, 5);
  Tape tape;
  const TeacherRows<double, Cpu> teacher{tape.constant(g.view()), tape.constant(u.view())};
  const auto x = tape.variable(h.view()), y = tape.variable(h.view()), head = tape.constant(w.view());
  const auto whole = distillation(x, head, targets.view(), teacher, {2, 0.75, 1, 1});
  tape.backward(whole);
  double before = 0;
  for (const Index k : {Index(1), Index(8), words}) {
    Tensor<std::int32_t> ids(Shape{rows, k});
    Tensor<float> log_p(Shape{rows, k}), rest(Shape{rows});
    for (Index n = 0; n < rows; ++n) {
      const Eigen::ArrayXd q = (u.view().matrix() * g.view().row(n).matrix()).array() / 2;
      const Eigen::ArrayXd log_q = q - std::log(q.exp().sum());
      std::vector<std::int32_t> order(static_cast<std::size_t>(words));
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](auto a, auto b) { return log_q[a] > log_q[b]; });
      std::sort(order.begin(), order.begin() + k);
      double left = 0;
      for (Index i = 0; i < words; ++i) {
        const auto word = order[static_cast<std::size_t>(i)];
        if (i >= k) left += std::exp(log_q[word]);
        if (i < k) ids.view().row(n)[i] = word, log_p.view().row(n)[i] = static_cast<float>(log_q[word]);
      }
      rest.view().data[n] = k < words ? static_cast<float>(std::log(left)) : none;
    }
    const DistillationRows teacher_alone{2, 1};
    Tape other;
    const auto part = top_distillation(other.constant(h.view()), other.constant(w.view()), targets.view(),
                                       predictions(ids, log_p, rest), {teacher_alone});
    CHECK(*part.value().data > before);
    before = *part.value().data;
    if (k < words) continue;
    const auto same = top_distillation(y, head, targets.view(), predictions(ids, log_p, rest), {{2, 0.75, 1, 1}});
    tape.backward(same);
    CHECK(std::abs(*same.value().data - *whole.value().data) < 1e-6);
    CHECK(largest_difference(x.gradient(), read(y.gradient())) < 1e-6);
  }
}

TEST_CASE("top distillation: a student that rules out all other words gets finite numbers") {
  using K = Kernel<TopDistillationRows, Cpu>;
  Tensor<float> z({1, 40}), memory({K::workspace(1)}), losses({1});
  z.view().flat() = -std::numeric_limits<float>::infinity();
  z.view().data[3] = 1;
  const auto targets = list<std::int32_t>({3}), words = list<std::int32_t>({3});
  const auto log_p = list<float>({std::log(0.5f)}), rest = list<float>({std::log(0.5f)});
  K::forward(TopDistillationRows{{1, 1}}, z.view(), predictions(words, log_p, rest), targets.view(), 1.0f, true,
             memory.view(), losses.view());
  CHECK(std::isfinite(losses.view().data[0]));
  CHECK(losses.view().data[0] > 10);
  CHECK(z.view().flat().isFinite().all());
}

TEST_CASE("top distillation: errors") {
  const Case c(4, 6, 2), other(5, 6, 2), words(4, 6, 3);
  Tape tape;
  const auto h = tape.constant(c.h.view()), w = tape.constant(c.w.view());
  const auto id = [&](const TopPredictions<Cpu>& top, const DistillationRows& options = {}) {
    return id_of([&] { (void)top_distillation(h, w, c.targets.view(), top, {options}); });
  };
  CHECK(id(predictions(other.words, c.log_p, c.rest)) == ErrorId::shape_mismatch);
  CHECK(id(predictions(words.words, c.log_p, c.rest)) == ErrorId::shape_mismatch);
  CHECK(id(predictions(c.words, c.log_p, other.rest)) == ErrorId::shape_mismatch);
  CHECK(id({}) == ErrorId::empty_tensor);
  CHECK(id(predictions(c.words, c.log_p, c.rest), {.temperature = 0}) == ErrorId::option_out_of_range);
  auto wrong = host(c.words.view());
  wrong.view().data[1] = 6;
  CHECK(id(predictions(wrong, c.log_p, c.rest)) == ErrorId::token_out_of_range);
}
