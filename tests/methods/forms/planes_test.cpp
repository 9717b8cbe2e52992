// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/methods/forms/planes.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index rows = 11, cols = 45;
using Matrix = SignPlanes::Matrix<float, Cpu>;

/// A block with numbers everywhere that a form has them. Every third column is salient.
PlanesBlock random_block(const SignPlanes& form, Index width, std::uint64_t seed) {
  PlanesBlock block(rows, width);
  const Random random(seed, Purpose::test);
  std::uint64_t next = 0;
  const auto coin = [&] { return random.below(next++, 2) == 1; };
  const auto number = [&] { return static_cast<double>(static_cast<float>(random.normal(next++))); };
  for (Index j = 0; j < width; ++j) {
    const bool salient = j % 3 == 1;
    for (Index i = 0; i < rows; ++i) {
      const bool large = coin() && (!salient || form.salient_groups);
      block.group(i, j) = static_cast<std::uint8_t>(2 * (salient ? 1 : 0) + (large ? 1 : 0));
      block.sign(i, j) = coin() ? 1 : -1;
      if (salient) block.residual_sign(i, j) = coin() ? 1 : -1;
    }
    for (Index g = 0; g < 2; ++g) {
      if (form.column_scales) block.column_scale(j, g) = number();
      if (form.column_scales && salient) block.residual_column_scale(j, g) = number();
    }
  }
  for (Index i = 0; i < rows; ++i) {
    for (Index g = 0; g < form.groups(); ++g) {
      block.scale(i, g) = number();
      if (!form.column_scales) block.mean(i, g) = number();
      if (g >= 2) block.residual_scale(i, g) = number();
    }
  }
  return block;
}

std::vector<SignPlanes> forms() {
  std::vector<SignPlanes> all;
  for (const bool groups : {false, true}) {
    for (const bool columns : {false, true})
      all.push_back({.block = 16, .salient_groups = groups, .column_scales = columns});
  }
  return all;
}

std::map<std::string, std::string> words_of(const SignPlanes& form) {
  std::map<std::string, std::string> words;
  form.describe([&](std::string_view key, const std::string& value) { words[std::string(key)] = value; });
  return words;
}
SignPlanes form_of(const std::map<std::string, std::string>& words) {
  return SignPlanes::named([&](std::string_view key) -> std::string_view { return words.at(std::string(key)); });
}

}  // namespace

TEST_CASE("planes: a matrix restores to the blocks that were written") {
  for (const SignPlanes& form : forms()) {
    Matrix matrix(form, {.out = rows, .in = cols});
    Tensor<double> wanted(Shape{rows, cols});
    for (Index first = 0; first < cols; first += form.block) {
      const PlanesBlock block =
          random_block(form, std::min(form.block, cols - first), static_cast<std::uint64_t>(first));
      wanted.view().matrix().middleCols(first, block.cols()) = block.restored().matrix();
      matrix.set_block(first, block);
    }
    CHECK(matrix.residual_signs.shape() == Shape{14, 2});
    Tensor<float> found(Shape{rows, cols});
    matrix.restore(found.view());
    CHECK((found.view().flat().cast<double>() - wanted.view().flat()).abs().maxCoeff() < 1e-5);
    CHECK((wanted.view().flat() != 0).all());
  }
}

TEST_CASE("planes: a matrix of zeros restores to zeros") {
  const Matrix matrix({}, {.out = rows, .in = cols});
  Tensor<float> w = normal_tensor<float>({rows, cols}, 1);
  matrix.restore(w.view());
  CHECK((w.view().flat() == 0).all());
}

TEST_CASE("planes: salient columns without planes are refused, and words that are no form's") {
  for (const SignPlanes& form : forms()) {
    CHECK(words_of(form_of(words_of(form))) == words_of(form));
    Matrix matrix(form, {.out = rows, .in = cols});
    matrix.columns.view().data[2] = 4;
    Tensor<float> w(Shape{rows, cols});
    CHECK(id_of([&] { matrix.restore(w.view()); }) == ErrorId::tensors_mismatched);
  }
  for (const auto& [key, value] :
       {std::pair{"block", "0"}, {"block", "x"}, {"block", ""}, {"salient_groups", "3"}, {"scales", "rows"}}) {
    auto words = words_of({});
    words[key] = value;
    CHECK(id_of([&] { static_cast<void>(form_of(words)); }) == ErrorId::config_invalid);
  }
}
