// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/cross_entropy.hpp>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Losses, and logits turned into gradients, of one kernel.
template <class T, class K>
std::pair<Tensor<T>, Tensor<T>> rows(K, Tensor<T> logits, const Tensor<std::int32_t>& targets, T weight) {
  Tensor<T> losses({targets.size()}), memory({K::workspace(targets.size())});
  K::forward(logits.view(), targets.view(), weight, true, memory.view(), losses.view());
  return {std::move(losses), std::move(logits)};
}

}  // namespace

TEST_CASE("cross_entropy: values; the natural logarithm, the mean over the rows") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto targets = on_device<Device>(list<std::int32_t>({0, 2}));
    const auto h = tape.template constant<double>({{0, 0}, {1, 2}});
    const auto w = tape.template constant<double>({{std::log(2.0), 0}, {0, std::log(3.0)}, {0, 0}});
    // Logits 0 0 0 and log 2, log 9, 0.
    const auto loss = cross_entropy(h, w, read(targets.view()));
    CHECK(loss.shape() == Shape{1});
    CHECK(largest_difference(loss.value(), {(std::log(3.0) + std::log(12.0)) / 2}) < 1e-15);
    CHECK(largest_difference(cross_entropy(h.reshaped({2, 1, 2}), w, read(targets.view())).value(),
                             {(std::log(3.0) + std::log(12.0)) / 2}) < 1e-15);
  });
}

TEST_CASE("cross_entropy_of_rows: the terms of the mean, over several chunks") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const NoGrad<Device> pause(tape);
    const auto targets = on_device<Device>(list<std::int32_t>({0, 2}));
    const auto h = tape.template constant<double>({{0, 0}, {1, 2}});
    const auto w = tape.template constant<double>({{std::log(2.0), 0}, {0, std::log(3.0)}, {0, 0}});
    const auto losses = cross_entropy_of_rows(h, w, read(targets.view()));
    CHECK(losses.shape() == Shape{2});
    CHECK(largest_difference(losses.value(), {std::log(3.0), std::log(12.0)}) < 1e-15);
  });
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const Index rows = 600, words = 7;
  const auto h = tape.constant(read(normal_tensor<double>({rows, 3}, 1).view()));
  const auto w = tape.constant(read(normal_tensor<double>({words, 3}, 2).view()));
  const auto targets = random_ids({rows}, words, 3);
  const auto losses = cross_entropy_of_rows(h, w, read(targets.view()));
  CHECK(losses.value().flat().mean() ==
        doctest::Approx(cross_entropy(h, w, read(targets.view())).value().data[0]).epsilon(1e-13));
  const auto wrong = list<std::int32_t>({0});
  CHECK(id_of([&] { static_cast<void>(cross_entropy_of_rows(h, w, read(wrong.view()))); }) == ErrorId::shape_mismatch);
}

TEST_CASE("cross_entropy: gradients over several chunks, and frozen inputs") {
  for (const Index rows : {Index(1), Index(3), LogitChunk::Limits<Cpu>::most_rows + 2}) {
    for (const Index words : {2, 40}) {
      Tensor<double> h = normal_tensor<double>({rows, 3}, 1), w = normal_tensor<double>({words, 3}, 2);
      const auto targets = random_ids({rows}, words, 3);
      const auto op = [&](auto x, auto head) { return cross_entropy(x, head, targets.view()); };
      CHECK(gradient_error_of(op, h, w) < 1e-6);
      CHECK(frozen_inputs_work(op, h, w));
    }
  }
}

TEST_CASE_TEMPLATE("cross_entropy: the fused kernel agrees with the generic one", T, float, double) {
  for (const Index words : {1, 2, 7, 24, 31, 33, 100, 1000}) {
    const auto targets = random_ids({50}, words, 1);
    const auto generic =
        rows(GenericKernel<CrossEntropyRows, Cpu>{}, normal_tensor<T>({50, words}, 2, 5), targets, T(3));
    const auto fused = rows(Kernel<CrossEntropyRows, Cpu>{}, normal_tensor<T>({50, words}, 2, 5), targets, T(3));
    const double tolerance = 50 * static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(largest_difference(fused.first.view(), generic.first.view()) < tolerance);
    CHECK(largest_difference(fused.second.view(), generic.second.view()) < tolerance);
    Tensor<T> logits = normal_tensor<T>({50, words}, 2, 5), losses({50});
    Kernel<CrossEntropyRows, Cpu>::forward(logits.view(), targets.view(), T(3), /*gradient=*/false, View<T>(),
                                           losses.view());
    CHECK(largest_difference(losses.view(), generic.first.view()) < tolerance);
  }
}

TEST_CASE_TEMPLATE("cross_entropy: a masked logit off target counts nothing; NaN stays in its row", K,
                   GenericKernel<CrossEntropyRows, Cpu>, Kernel<CrossEntropyRows, Cpu>) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Tensor<double> logits({3, 40});
  logits.view().row(0).tail(38) = -infinity;
  logits.view().row(1).head(37) = -infinity;
  logits.view().data[2 * 40 + 7] = std::nan("");
  const auto [losses, gradients] = rows(K{}, std::move(logits), list<std::int32_t>({1, 39, 0}), 2.0);
  CHECK(std::abs(losses.view().data[0] - std::log(2.0)) < 1e-15);
  CHECK(std::abs(losses.view().data[1] - std::log(3.0)) < 1e-15);
  CHECK(std::isnan(losses.view().data[2]));
  CHECK(largest_difference(gradients.view().middle_rows(0, 1).reshaped({2}), {1, -1}) < 1e-15);
  CHECK(gradients.view().row(0).tail(38).abs().maxCoeff() < 1e-300);
  CHECK(std::abs(gradients.view().row(1)[39] + 4 / 3.) < 1e-15);
}

TEST_CASE("cross_entropy: backward writes the loss; asked for before or without, it is the same") {
  const auto h = normal_tensor<float>({LogitChunk::Limits<Cpu>::most_rows + 44, 24}, 1),
             w = normal_tensor<float>({200, 24}, 2);
  const auto targets = random_ids({h.shape()[0]}, 200, 3);
  const auto run = [&](bool ask_first, float seed) {
    Tape tape;
    const auto x = tape.variable(h.view()), head = tape.variable(w.view());
    const auto loss = cross_entropy(x, head, targets.view());
    const std::size_t before = tape.held_bytes();
    CHECK(before == 0);
    const float first = ask_first ? *loss.value().data : 0;
    tape.backward(loss, seed);
    if (ask_first) CHECK(*loss.value().data == first);
    return std::array{host(loss.value()), host(x.gradient()), host(head.gradient())};
  };
  const auto direct = run(false, 1), asked = run(true, 1), scaled = run(false, 4);
  for (std::size_t i = 0; i < direct.size(); ++i) CHECK(same_bits(asked.at(i).view(), direct.at(i).view()));
  CHECK(same_bits(scaled[0].view(), direct[0].view()));
  for (const std::size_t i :
       {1u, 2u})  // a power of two: exact but where single products round below the normal numbers
    CHECK((scaled.at(i).view().flat() - 4 * direct.at(i).view().flat()).abs().maxCoeff() < 1e-9f);
  Tape tape;
  const NoGrad pause(tape);
  CHECK(same_bits(cross_entropy(tape.constant(h.view()), tape.constant(w.view()), targets.view()).value(),
                  direct[0].view()));
}

TEST_CASE("cross_entropy: saves nothing, and the head's gradient goes straight to its parameter") {
  const auto h = normal_tensor<float>({40, 24}, 1);
  Tensor<float> values = normal_tensor<float>({200, 24}, 2), gradient({200, 24});
  Parameter<float> head({200, 24});
  head.value = values.view();
  head.gradient = gradient.view();
  const auto targets = random_ids({40}, 200, 3);
  Tape tape;
  const auto x = tape.variable(h.view());
  tape.backward(cross_entropy(x, tape.use(head), targets.view()));
  CHECK(gradient.view().flat().abs().maxCoeff() > 0);
  CHECK(tape.peak_bytes() == (40 * 24 + 2) * sizeof(float));  // the gradient of h, the loss, its gradient
}

TEST_CASE("cross_entropy: a chunk of logits stays within 64 MiB where the vocabulary allows") {
  CHECK(LogitChunk::rows<Cpu>(2048, 32000, 4) == 512);
  CHECK(LogitChunk::rows<Cpu>(512, 49152, 4) == 256);
  CHECK(LogitChunk::rows<Cpu>(512, 32000, 8) == 256);
  CHECK(LogitChunk::rows<Cpu>(2048, 10'000'000, 4) == 32);
  CHECK(LogitChunk::rows<Cpu>(2048, 2, 4) == 512);
  CHECK(LogitChunk::rows<Cpu>(10, 32000, 4) == 10);
}

TEST_CASE("cross_entropy: the same bits at any number of threads") {
  const auto run = [] {
    const auto h = normal_tensor<float>({300, 24}, 1), w = normal_tensor<float>({200, 24}, 2);
    const auto targets = random_ids({300}, 200, 3);
    Tape tape;
    const auto x = tape.variable(h.view()), head = tape.variable(w.view());
    const auto loss = cross_entropy(x, head, targets.view());
    tape.backward(loss);
    return std::array{host(loss.value()), host(x.gradient()), host(head.gradient())};
  };
  const auto once = run();
  for (const int count : {2, 3}) {
    const Threads threads(count);
    const auto again = run();
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(same_bits(again.at(i).view(), once.at(i).view()));
  }
}

TEST_CASE("cross_entropy: errors") {
  Tape tape, other;
  const auto h = tape.constant<double>({{1, 2}, {3, 4}}), w = tape.constant<double>({{1, 2}, {3, 4}, {5, 6}});
  const auto good = list<std::int32_t>({0, 2}), above = list<std::int32_t>({0, 3}), below = list<std::int32_t>({-1, 0});
  const auto id = [&](auto x, auto head, const Tensor<std::int32_t>& targets) {
    return id_of([&] { (void)cross_entropy(x, head, targets.view()); });
  };
  CHECK(id(h, w, above) == ErrorId::token_out_of_range);
  CHECK(id(h, w, below) == ErrorId::token_out_of_range);
  CHECK(id(h, w, list<std::int32_t>({0})) == ErrorId::shape_mismatch);
  CHECK(id(h, w.reshaped({2, 3}), good) == ErrorId::shape_mismatch);
  CHECK(id(h, w.reshaped({6}), good) == ErrorId::rank_unsupported);
  CHECK(id(tape.constant(View<const double>(nullptr, {0, 2})), w, list<std::int32_t>({})) == ErrorId::empty_tensor);
  CHECK(id(h, other.constant<double>({{1, 2}}), good) == ErrorId::foreign_tape);
}
