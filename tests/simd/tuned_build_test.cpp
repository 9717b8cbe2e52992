// SPDX-License-Identifier: MIT
#include <binllm/simd/tuned_build.hpp>

#include <doctest/doctest.h>

using namespace binllm;

TEST_CASE("tuned_build: the reason why a program is slow") {
  using detail::slow_build_reason;
  CHECK(slow_build_reason({true, 64}, InstructionSet::avx512).empty());
  CHECK(slow_build_reason({true, 32}, InstructionSet::avx2).empty());
  CHECK(slow_build_reason({true, 64}, InstructionSet::avx2).empty());
  CHECK(slow_build_reason({true, 16}, InstructionSet::plain).empty());
  CHECK(slow_build_reason({true, 16}, InstructionSet::neon).empty());
  CHECK(slow_build_reason({false, 64}, InstructionSet::avx512).find("without optimisation") != std::string::npos);
  CHECK(slow_build_reason({true, 16}, InstructionSet::amx) ==
        "compiled for vectors of 16 bytes where this machine has 64: link binllm::native, or compile with "
        "-march=native");
  CHECK(slow_build_reason({true, 16}, InstructionSet::avx2).find("has 32") != std::string::npos);
}

TEST_CASE("tuned_build: units note how they were compiled") {
  const UnitBuild before = unit_build();
#if !defined(__OPTIMIZE__)
  CHECK(!before.optimised);
  CHECK(!tuned_build());
#endif
#if defined(__AVX512F__)
  CHECK(before.vector_bytes == 64);
#elif defined(__AVX__)
  CHECK(before.vector_bytes >= 32);
#else
  CHECK(before.vector_bytes >= 16);
#endif
  CHECK(tuned_build() == slow_build_reason().empty());
  detail::note_unit({true, 16});
  CHECK(unit_build().optimised == before.optimised);
  CHECK(unit_build().vector_bytes == before.vector_bytes);
  detail::note_unit({false, 16});
  CHECK(!unit_build().optimised);
  CHECK(!tuned_build());
  detail::every_unit_optimised = before.optimised;
}
