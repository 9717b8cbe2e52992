// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/packed/kernels.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Calls check(set) for every instruction set that this processor has.
template <class Check>
void on_each_set(const Check& check) {
  for (const InstructionSet set : instruction_sets) {
    if (is_supported(set)) check(set);
  }
}
struct Loaded {
  float step;
  std::vector<std::int8_t> q;
};
Loaded load(InstructionSet set, const std::vector<float>& x) {
  Loaded loaded{0, std::vector<std::int8_t>(x.size() + 1, 99)};  // the last one must stay
  loaded.step = load_activations<Int8Activations>(set, x.data(), static_cast<Index>(x.size()), loaded.q.data());
  REQUIRE(loaded.q.back() == 99);
  loaded.q.pop_back();
  return loaded;
}

}  // namespace

TEST_CASE("int8: the scale is max / 127, ties go to even, zeros stay zeros") {
  on_each_set([](InstructionSet set) {
    CAPTURE(name_of(set));
    const Loaded loaded = load(set, {127, -127, 0.5f, 1.5f, -2.5f, 3.4f});
    CHECK(loaded.step == 1);
    CHECK(loaded.q == std::vector<std::int8_t>{127, -127, 0, 2, -2, 3});
    const Loaded zeros = load(set, std::vector<float>(70, -0.0f));
    CHECK(zeros.step == 0);
    CHECK(zeros.q == std::vector<std::int8_t>(70, 0));
  });
}

TEST_CASE("int8: every instruction set gives the bits of the definition, whatever the number of columns") {
  for (Index cols = 1; cols <= 140; ++cols) {
    CAPTURE(cols);
    const auto x = normal_tensor<float>({cols}, static_cast<std::uint64_t>(cols));
    const std::vector<float> values(x.view().data, x.view().data + cols);
    const Loaded wanted = load(InstructionSet::plain, values);
    on_each_set([&](InstructionSet set) {
      const Loaded loaded = load(set, values);
      CHECK(loaded.step == wanted.step);
      CHECK(loaded.q == wanted.q);
    });
  }
}

TEST_CASE("int8: NaN and infinity make the scale NaN, what is too small counts as zero") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  on_each_set([](InstructionSet set) {
    CAPTURE(name_of(set));
    for (const std::size_t at : {0u, 5u, 31u, 63u, 64u, 66u}) {
      for (const float bad : {nan, -nan, infinity, -infinity}) {
        std::vector<float> x(67, 1.0f);
        x[at] = bad;
        CHECK(std::isnan(load(set, x).step));
      }
    }
    const Loaded tiny = load(set, std::vector<float>(40, 1e-38f));
    CHECK(tiny.step == 0);
    CHECK(tiny.q == std::vector<std::int8_t>(40, 0));
    const Loaded small = load(set, std::vector<float>(40, 1e-36f));
    CHECK(small.step == 1e-36f / 127);
    CHECK(small.q == std::vector<std::int8_t>(40, 127));
    const Loaded largest = load(set, std::vector<float>(40, std::numeric_limits<float>::max()));
    CHECK(std::isfinite(largest.step));
    CHECK(largest.q == std::vector<std::int8_t>(40, 127));
  });
}

TEST_CASE("double activations keep the precision of their scale") {
  const std::vector<double> x{0.1, -0.3, 0.2};
  std::array<std::int8_t, 3> q{};
  CHECK(load_activations<Int8Activations>(instruction_set(), x.data(), 3, q.data()) == 0.3 / 127);
  CHECK(q == std::array<std::int8_t, 3>{42, -127, 85});
}
