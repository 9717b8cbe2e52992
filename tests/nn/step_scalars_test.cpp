// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/nn/step_scalars.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("step scalars: owners add them by name, and addresses hold") {
  StepScalars<Cpu> scalars;
  const auto t = scalars[StepScalars<Cpu>::sharpness];
  CHECK(scalars.named("t") == StepScalars<Cpu>::sharpness);
  CHECK(*t.data == 0);
  const auto rate = scalars.add("rate");
  const auto view = scalars[rate];
  scalars.set(rate, 0.25);
  scalars.set(StepScalars<Cpu>::sharpness, 3);
  CHECK(*view.data == 0.25);
  CHECK(*t.data == 3);
  for (Index i = 2; i < StepScalars<Cpu>::capacity; ++i) static_cast<void>(scalars.add("number " + std::to_string(i)));
  CHECK(scalars[rate].data == view.data);
  CHECK(*view.data == 0.25);
  CHECK(id_of([&] { scalars.add("one too many"); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { scalars.add("rate"); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { static_cast<void>(scalars.named("none")); }) == ErrorId::unknown_name);
}
