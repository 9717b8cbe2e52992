// SPDX-License-Identifier: MIT
// Probabilities below 2^-126: kernels neither make such numbers nor compute with them, which would be many times slower.
#include "support/tensors.hpp"

#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/ops/cross_entropy.hpp>

#include <doctest/doctest.h>

#include <cmath>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

using namespace binllm;
using namespace binllm::test;

namespace {

Index subnormals(View<const float> x) {
  Index count = 0;
  for (Index i = 0; i < x.size(); ++i) count += std::fpclassify(x.data[i]) == FP_SUBNORMAL ? 1 : 0;
  return count;
}

/// Whether this thread has computed with a subnormal number since `forget`; known of x86-64 alone.
struct Met {
#if defined(__SSE__)
  static constexpr unsigned denormal = 2;
  static void forget() { _mm_setcsr(_mm_getcsr() & ~denormal); }
  static bool subnormal() { return (_mm_getcsr() & denormal) != 0; }
#else
  static void forget() {}
  static bool subnormal() { return false; }
#endif
};

}  // namespace

TEST_CASE("a thread flushes subnormal numbers for a while, and no longer") {
  volatile float small = 0x1p-126f;
  {
    const cpu::FlushSubnormals flush;
#if defined(__SSE__) || defined(__aarch64__)
    CHECK(small * 0.5f == 0);
#endif
  }
  CHECK(small * 0.5f > 0);
}

TEST_CASE("attention of large scores meets no subnormal number") {
  const Threads one(1);
  const Shape shape{1, 100, 64};
  const auto q = normal_tensor<float>(shape, 1, 4), k = normal_tensor<float>(shape, 2, 4);
  const auto v = normal_tensor<float>(shape, 3);
  Tape<Cpu> tape;
  Mark<Cpu> region(tape);
  const auto a = tape.variable(read(q.view())), b = tape.variable(read(k.view())), c = tape.variable(read(v.view()));
  Met::forget();
  const auto y = attention(a, b, c, 1, 1);
  region.backward(y, read(v.view()));
  CHECK(!Met::subnormal());
  CHECK(subnormals(read(a.gradient())) + subnormals(read(b.gradient())) + subnormals(read(c.gradient())) == 0);
}

TEST_CASE("cross_entropy of confident predictions meets no subnormal number") {
  const Threads one(1);
  const auto h = normal_tensor<float>({50, 32}, 1, 3), w = normal_tensor<float>({300, 32}, 2, 3);
  const auto targets = random_ids({50}, 300, 3);
  Tape<Cpu> tape;
  Mark<Cpu> region(tape);
  const auto a = tape.variable(read(h.view())), b = tape.variable(read(w.view()));
  const auto loss = cross_entropy(a, b, read(targets.view()));
  const Tensor<float> one_number = list<float>({1});
  Met::forget();
  region.backward(loss, read(one_number.view()));
  CHECK(!Met::subnormal());
  CHECK(subnormals(read(a.gradient())) == 0);
}
