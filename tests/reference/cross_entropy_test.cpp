// SPDX-License-Identifier: MIT
#include "reference/views.hpp"

#include <binllm/ops/cross_entropy.hpp>

#include <doctest/doctest.h>

#include <xtensor/xtensor.hpp>

using namespace binllm;
using test::normal_tensor;

TEST_CASE_TEMPLATE("cross_entropy agrees with the reference", T, float, double) {
  for (const Index rows : {Index(1), Index(7), LogitChunk::Limits<Cpu>::most_rows + 3}) {
    const Index words = 41, channels = 5;
    const auto h = normal_tensor<T>({rows, channels}, 1), w = normal_tensor<T>({words, channels}, 2);
    const auto targets = test::random_ids({rows}, words, 3);
    Tape tape;
    const auto leaf = tape.variable(h.view()), head = tape.variable(w.view());
    const auto loss = cross_entropy(leaf, head, targets.view());
    tape.backward(loss);
    const auto hidden = reference::matrix(h.view()), weight = reference::matrix(w.view());
    const std::vector<std::size_t> wanted(targets.view().data, targets.view().data + rows);
    const auto gradients = reference::cross_entropy_backward(hidden, weight, wanted);
    CHECK(std::abs(static_cast<double>(*loss.value().data) - reference::cross_entropy(hidden, weight, wanted)) <
          reference::tolerance<T>);
    CHECK(reference::distance(leaf.gradient(), gradients.h) < reference::tolerance<T>);
    CHECK(reference::distance(head.gradient(), gradients.w) < reference::tolerance<T>);
  }
}
