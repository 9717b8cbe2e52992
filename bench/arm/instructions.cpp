// SPDX-License-Identifier: MIT
// One thread multiplies tokens with a packed matrix of 4096 x 4096, so many times over:
//   instructions SET int8|float TOKENS TIMES
// bench/arm/instructions.sh counts what that takes.
#include <binllm/core/random.hpp>
#include <binllm/packed/kernels.hpp>
#include <binllm/packed/packed_linear.hpp>

#include <cstdlib>
#include <string_view>

namespace bl = binllm;

namespace {

template <class Activations>
float multiply(bl::Index tokens, int times) {
  constexpr bl::Index rows = 4096, cols = 4096;
  bl::PackedMatrix<float> matrix(rows, cols);  // its signs do not matter: no kernel looks whether they are 0
  bl::Tensor<float> x({tokens, cols}), y({tokens, rows});
  const bl::Random random(1, bl::Purpose::test);
  for (bl::Index i = 0; i < x.size(); ++i) x.view().data[i] = random.normal(static_cast<std::uint64_t>(i));
  using Product = bl::Kernel<bl::PackedLinear<Activations>, bl::Cpu>;
  bl::Tensor<std::uint8_t> memory({Product::template workspace<float>(tokens, cols)});
  for (int i = 0; i < times; ++i)
    Product::forward(bl::View<const float>(x.view().data, x.shape()), matrix, memory.view(), y.view());
  return y.view().data[0];
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) return 2;
  bl::set_thread_count(1);
  bl::set_instruction_set(bl::instruction_set_named(words[1]));
  const bl::Index tokens = std::atoi(words[3]);
  const int times = std::atoi(words[4]);
  const float first = std::string_view(words[2]) == "int8" ? multiply<bl::Int8Activations>(tokens, times)
                                                           : multiply<bl::FloatActivations>(tokens, times);
  return first == 0.5f;  // so that nothing is left out
}
