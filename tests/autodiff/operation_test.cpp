// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/autodiff/operation.hpp>
#include <binllm/ops/scale.hpp>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// y = a b c + r; writes down what its kernels were given.
struct Witness {};
std::vector<std::string> calls;

/// A value in working memory, twice as large.
struct Doubled {
  Variable<double> x;
  struct Memory {
    Temporary<double, Cpu> memory;
    Memory(Tape<>& tape, View<const double> value) : memory(tape, value.shape) {
      memory.view().flat() = 2 * value.flat();
    }
    [[nodiscard]] View<const double> view() const { return memory.view(); }
  };
  [[nodiscard]] Memory ready(Tape<>& tape) const { return {tape, read(x.value())}; }
  template <class Use>
  void each_value(const Use& use) const {
    use(x);
  }
};

}  // namespace

template <>
struct binllm::GenericKernel<Witness, Cpu> {
  static void forward(View<const double> a, View<const double> b, View<double> working, View<double> saved, int option,
                      View<double> y) {
    calls.push_back("forward " + std::to_string(option));
    working.flat() = 1;
    saved.flat() = a.flat() * b.flat();
    y.flat() = saved.flat() * option;
  }
  static void forward(View<const double> a, View<const double> doubled, View<double> y) {
    y.flat() = a.flat() * doubled.flat();
  }
  static void backward(View<const double> y, View<const double> a, View<const double> b, View<const double> dy,
                       View<const double> saved, View<double> working, int option, Gradient<double, Cpu> da,
                       View<double> db) {
    calls.push_back(std::string("backward") + (da.fresh ? " fresh" : "") + (da ? " da" : "") + (db ? " db" : ""));
    CHECK((y.flat() == saved.flat() * option).all());
    CHECK(working.size() == 3);
    if (da.fresh) da.view.flat() = 0;
    if (da) da.view.flat() += dy.flat() * b.flat() * option;
    if (db) db.flat() += dy.flat() * a.flat() * option;
  }
};

namespace {

Variable<double> witness(Variable<double> a, Variable<double> b) {
  const auto products = saved<double>(a.tape(), a.shape());
  const auto memory = working<double>({3});
  return operation<Witness>(
      "witness", a.shape(), forward(a, b, memory, filled(products), 5),
      backward(result_value, a, b, result_gradient, products, memory, 5, incoming(a), gradient(b)));
}

}  // namespace

TEST_CASE("operation: kernels get what the lists say") {
  calls.clear();
  Tape tape;
  const auto a = tape.variable<double>({{1, 2}}), b = tape.variable<double>({{3, 4}});
  const auto inside = scale(a, 1);
  const auto y = witness(inside, b);
  CHECK(largest_difference(y.value(), {15, 40}) == 0);
  tape.backward(sum(y));
  CHECK(largest_difference(a.gradient(), {15, 20}) == 0);
  CHECK(largest_difference(b.gradient(), {5, 10}) == 0);
  CHECK(calls == std::vector<std::string>{"forward 5", "backward fresh da db"});
}

TEST_CASE("operation: gradients of one variable are not fresh; of none, there is no step") {
  calls.clear();
  Tape tape;
  const auto a = tape.variable<double>({{1, 2}}), constant = tape.constant<double>({{3, 4}});
  const auto inside = scale(a, 1);
  tape.backward(sum(witness(inside, inside)));
  CHECK(largest_difference(a.gradient(), {10, 20}) == 0);
  (void)witness(inside, constant);
  CHECK(calls == std::vector<std::string>{"forward 5", "backward da db", "forward 5"});
  const auto steps = tape.step_count();
  const auto y = witness(constant, constant);
  CHECK_FALSE(y.needs_gradient());
  const NoGrad pause(tape);
  CHECK_FALSE(witness(a, a).needs_gradient());
  CHECK(tape.step_count() == steps);
}

TEST_CASE("operation: a struct may stand for a value; without a backward list nothing is recorded") {
  Tape tape;
  const auto a = tape.variable<double>({{1, 2}}), b = tape.variable<double>({{3, 4}});
  const auto y = operation<Witness>("witness", a.shape(), forward(a, Doubled{b}));
  CHECK(largest_difference(y.value(), {6, 16}) == 0);
  CHECK_FALSE(y.needs_gradient());
}

TEST_CASE("operation: arguments of two tapes") {
  Tape tape, other;
  const auto a = tape.variable<double>({{1, 2}}), b = other.variable<double>({{3, 4}});
  CHECK(id_of([&] { (void)witness(a, b); }) == ErrorId::foreign_tape);
  CHECK(id_of([&] { (void)operation<Witness>("witness", a.shape(), forward(a, Doubled{b})); }) ==
        ErrorId::foreign_tape);
  try {
    (void)witness(a, b);
  } catch (const Error& error) {
    CHECK(error.operation() == "witness");
  }
}
