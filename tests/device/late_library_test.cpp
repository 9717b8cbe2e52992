// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/device/cuda/late_library.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace binllm;
using namespace binllm::test;
using cuda::LateLibrary;

TEST_CASE("late library: a function is found, and called") {
  const LateLibrary mathematics("test", "libm.so.6");
  double (*const absolute)(double) = mathematics["fabs"];
  CHECK(absolute(-3.0) == 3.0);
}

TEST_CASE("late library: what is not there is named") {
  CHECK(id_of([] { LateLibrary("gemm", "libnot_there.so.7"); }) == ErrorId::device_missing);
  try {
    LateLibrary("gemm", "libnot_there.so.7");
  } catch (const Error& error) {
    CHECK(error.operation() == "gemm");
    CHECK(error.argument() == "libnot_there.so.7");
    CHECK(error.found().find("No such file") != std::string::npos);
  }
  const LateLibrary mathematics("test", "libm.so.6");
  CHECK(id_of([&] { (void)mathematics["cube_of_a_circle"]; }) == ErrorId::device_failed);
}
