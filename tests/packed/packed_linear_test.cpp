// SPDX-License-Identifier: MIT
#include <binllm/packed/kernels.hpp>
#include <binllm/packed/packed_linear.hpp>

#include "support/tensors.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class T>
PackedMatrix<T> packed_normal(Index rows, Index cols, std::uint64_t seed) {
  const auto weights = normal_tensor<T>({rows, cols}, seed);
  PackedMatrix<T> matrix(rows, cols);
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)));
  for (Index i = 0; i < rows; ++i) {
    pack_row(View<const T>(weights.view().data + i * cols, Shape{cols}), bits.data());
    matrix.set_row(i, bits.data());
    matrix.scale.view().data[i] = T(0.1) + static_cast<T>(i % 7);
  }
  return matrix;
}

template <class Policy, class T>
Tensor<T> by_definition(const Tensor<T>& x, const PackedMatrix<T>& matrix) {
  Tensor<T> y({x.shape()[0], matrix.rows()});
  GenericKernel<PackedLinear<Policy>, Cpu>::forward(read(x.view()), matrix, y.view());
  return y;
}
template <class Policy, class T>
Tensor<T> by_kernel(View<const T> x, const PackedMatrix<T>& matrix) {
  using Fast = Kernel<PackedLinear<Policy>, Cpu>;
  Tensor<T> y({x.rows(), matrix.rows()});
  Tensor<std::uint8_t> memory({Fast::template workspace<T>(x.rows(), x.cols())});
  Fast::forward(x, matrix, memory.view(), y.view());
  return y;
}

/// Runs body with every instruction set of this processor, and says which it has not.
template <class Body>
void with_each_instruction_set(const Body& body) {
  const InstructionSet before = instruction_set();
  for (const InstructionSet set : instruction_sets) {
    if (!is_supported(set)) {
      MESSAGE("not tested, this processor does not have it: " << std::string(name_of(set)));
      continue;
    }
    CAPTURE(name_of(set));
    set_instruction_set(set);
    body();
  }
  set_instruction_set(before);
}

constexpr std::array<std::array<Index, 3>, 5> shapes{
    {{1, 1, 1}, {3, 65, 7}, {17, 130, 33}, {2, 64, 200}, {40, 200, 523}}};

}  // namespace

TEST_CASE("int8 products are the bits of the definition, whatever instructions, threads and tokens beside") {
  for (const auto& shape : shapes) {
    const Index tokens = shape[0], rows = shape[1], cols = shape[2];
    CAPTURE(tokens);
    CAPTURE(rows);
    CAPTURE(cols);
    const auto x = normal_tensor<float>({tokens, cols}, 1);
    const auto matrix = packed_normal<float>(rows, cols, 2);
    const auto wanted = by_definition<Int8Activations>(x, matrix);
    with_each_instruction_set([&] {
      for (const int threads : {1, 2, 3}) {
        CAPTURE(threads);
        const Threads use(threads);
        CHECK(same_bits(by_kernel<Int8Activations>(read(x.view()), matrix).view(), wanted.view()));
      }
      for (Index n = 0; n < tokens; ++n) {
        CAPTURE(n);
        const auto alone = by_kernel<Int8Activations>(read(x.view()).middle_rows(n, 1), matrix);
        CHECK(same_bits(read(alone.view()), read(wanted.view()).middle_rows(n, 1)));
      }
    });
  }
}

TEST_CASE("float products are within a few roundings of the definition, with the same bits at any number of threads") {
  for (const auto& shape : shapes) {
    const Index tokens = shape[0], rows = shape[1], cols = shape[2];
    CAPTURE(tokens);
    CAPTURE(rows);
    CAPTURE(cols);
    const auto x = normal_tensor<float>({tokens, cols}, 3);
    const auto matrix = packed_normal<float>(rows, cols, 4);
    const auto wanted = by_definition<FloatActivations>(x, matrix);
    const double size = 7 * static_cast<double>(cols);
    with_each_instruction_set([&] {
      const auto found = by_kernel<FloatActivations>(read(x.view()), matrix);
      CHECK(largest_difference(found.view(), wanted.view()) < 1e-6 * size);
      for (const int threads : {2, 3}) {
        const Threads use(threads);
        CHECK(same_bits(by_kernel<FloatActivations>(read(x.view()), matrix).view(), found.view()));
      }
    });
  }
}

TEST_CASE("double products are those of the definition") {
  const auto x = normal_tensor<double>({5, 71}, 5);
  const auto matrix = packed_normal<double>(67, 71, 6);
  with_each_instruction_set([&] {
    CHECK(largest_difference(by_kernel<FloatActivations>(read(x.view()), matrix).view(),
                             by_definition<FloatActivations>(x, matrix).view()) < 1e-12);
    CHECK(same_bits(by_kernel<Int8Activations>(read(x.view()), matrix).view(),
                    by_definition<Int8Activations>(x, matrix).view()));
  });
}

TEST_CASE("a product of known signs") {
  PackedMatrix<float> matrix(2, 3);
  const std::uint8_t first = 0b101, second = 0b010;
  matrix.set_row(0, &first);
  matrix.set_row(1, &second);
  matrix.scale.view().data[0] = 2;
  matrix.scale.view().data[1] = 0.5f;
  const auto x = list<float>({1, 10, 100});
  with_each_instruction_set([&] {
    const auto found = by_kernel<FloatActivations>(View<const float>(x.view().data, Shape{1, 3}), matrix);
    CHECK(largest_difference(found.view(), {2.0 * (1 - 10 + 100), 0.5 * (-1 + 10 - 100)}) == 0);
  });
}

TEST_CASE("several products with one input are the bits of each alone, whatever instructions and threads") {
  const auto check = [&]<class Policy>(Policy, Index tokens) {
    constexpr Index cols = 201;
    const auto x = normal_tensor<float>({tokens, cols}, 1);
    std::vector<PackedMatrix<float>> matrices;
    for (const Index rows : {130, 64, 7}) matrices.push_back(packed_normal<float>(rows, cols, 2));
    std::vector<Tensor<float>> made;
    std::vector<PackedProduct<float>> products;
    for (const auto& matrix : matrices) made.emplace_back(Shape{tokens, matrix.rows()});
    for (std::size_t i = 0; i < made.size(); ++i) products.push_back({&matrices[i], made[i].view()});
    with_each_instruction_set([&] {
      for (const int threads : {1, 2, 3}) {
        const Threads use(threads);
        using Fast = Kernel<PackedLinear<Policy>, Cpu>;
        Tensor<std::uint8_t> memory({Fast::template workspace<float>(tokens, cols)});
        Fast::template forward_each<float>(read(x.view()), products, memory.view());
        for (std::size_t i = 0; i < made.size(); ++i)
          CHECK(same_bits(made[i].view(), by_kernel<Policy>(read(x.view()), matrices[i]).view()));
      }
    });
  };
  for (const Index tokens : {1, 3, 150}) {
    check(Int8Activations{}, tokens);
    check(FloatActivations{}, tokens);
  }
}
