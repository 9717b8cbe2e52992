// expect: static assertion failed.*a backward step may capture views, variables and scalars only
// SPDX-License-Identifier: MIT
#include <binllm/autodiff/variable.hpp>

#include <vector>

using namespace binllm;

void record(Tape<>& tape, Variable<float> x) {
  auto y = tape.make<float>(x.shape());
#ifdef VALID
  const float factor = 2;
#else
  const std::vector<float> factor(1, 2.0f);
#endif
  tape.on_backward(y, [factor] { static_cast<void>(factor); }, x);
}
