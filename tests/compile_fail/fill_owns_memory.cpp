// expect: static assertion failed.*a fill may capture views, variables and scalars only
// SPDX-License-Identifier: MIT
#include <binllm/autodiff/variable.hpp>

#include <vector>

using namespace binllm;

void record(Variable<float> x) {
#ifdef VALID
  const float factor = 2;
#else
  const std::vector<float> factor(1, 2.0f);
#endif
  static_cast<void>(x.tape().compute<float>(x.shape(), [factor](View<float>) { static_cast<void>(factor); }));
}
