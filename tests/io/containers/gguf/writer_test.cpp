// SPDX-License-Identifier: MIT
#include "gguf_files.hpp"

#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/containers/gguf/writer.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace binllm::test;
using binllm::DType;
using binllm::Error;
using binllm::ErrorId;
using binllm::GgufArray;
using binllm::GgufFile;
using binllm::GgufMetadata;
using binllm::GgufWriter;
using binllm::Shape;
using binllm::TensorInfo;

namespace {

std::vector<float> numbers_of(const GgufFile& file, std::string_view name) {
  const TensorInfo& tensor = *file.find(name);
  std::vector<float> numbers(static_cast<std::size_t>(tensor.shape.size()));
  file.read(tensor, numbers);
  return numbers;
}

/// What a row of 128 becomes as that type.
std::vector<float> through(DType dtype, const std::vector<float>& row) {
  const TemporaryFolder folder;
  GgufWriter writer(folder / "x.gguf", {}, {{"x", dtype, Shape{1, 128}}});
  writer.write(row);
  writer.commit();
  return numbers_of(GgufFile(folder / "x.gguf"), "x");
}

std::vector<float> signs_times(float scale) {
  std::vector<float> row(128);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j * j % 7 < 3 ? scale : -scale;
  return row;
}

}  // namespace

TEST_CASE("gguf: what is written is read again") {
  const TemporaryFolder folder;
  const GgufMetadata metadata{{"a.text", std::string("b\0c", 3)},
                              {"b.list", GgufArray(std::vector<std::string>{"x", ""})},
                              {"c.truth", GgufArray(std::vector<bool>{true, false, true})},
                              {"d.float", 0.1f},
                              {"e.count", std::uint32_t{7}},
                              {"f.wide", std::int64_t{-1}}};
  const std::vector<float> w{1, -2, 0.5f, 3, 0, 4}, b{7};
  GgufWriter writer(folder / "x.gguf", metadata,
                    {{"w", DType::f32, Shape{2, 3}}, {"none", DType::f16, Shape{0, 3}}, {"b", DType::bf16, Shape{1}}});
  writer.write(std::span(w).first(2));
  writer.write(std::span(w).subspan(2));
  writer.write(b);
  CHECK(folder.files() == 1);
  writer.commit();
  const GgufFile file(folder / "x.gguf");
  CHECK(file.metadata() == metadata);
  CHECK(file.find("w")->shape == Shape{2, 3});
  CHECK(file.find("none")->shape == Shape{0, 3});
  CHECK(numbers_of(file, "w") == w);
  CHECK(numbers_of(file, "b") == b);
}

TEST_CASE("gguf: signs times a scale are exact in Q1_0 and Q4_0, up to the half precision of the scale") {
  for (const float scale : {0.5f, 0.0123f, 3.0e-6f, 0.0f}) {
    const float half = binllm::float_from_f16(binllm::f16_from_float(scale));
    for (const DType dtype : {DType::q1_0, DType::q4_0}) {
      CAPTURE(scale);
      const auto back = through(dtype, signs_times(scale)), wanted = signs_times(half);
      for (std::size_t j = 0; j < back.size(); ++j) CHECK(back[j] == wanted[j]);
    }
  }
}

TEST_CASE("gguf: other numbers in Q4_0 are within a step") {
  std::vector<float> row(128);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = std::sin(static_cast<float>(j));
  const auto back = through(DType::q4_0, row);
  for (std::size_t j = 0; j < row.size(); ++j) CHECK(std::abs(back[j] - row[j]) < 1.0f / 8 + 1e-3f);
}

TEST_CASE("gguf: writers refuse what cannot be written") {
  const TemporaryFolder folder;
  const auto id_of = [&](std::vector<TensorInfo> tensors, const std::vector<float>& numbers) {
    return error_of([&] {
             GgufWriter writer(folder / "x.gguf", {}, std::move(tensors));
             writer.write(numbers);
             writer.commit();
           })
        .id();
  };
  CHECK(id_of({{"x", DType::f32, Shape{2}}}, {1}) == ErrorId::shape_mismatch);
  CHECK(id_of({{"x", DType::f32, Shape{2}}}, {1, 2, 3}) == ErrorId::shape_mismatch);
  CHECK(id_of({{"x", DType::q4_0, Shape{32}}}, {1}) == ErrorId::shape_mismatch);
  CHECK(id_of({{"x", DType::q4_0, Shape{33}}}, {}) == ErrorId::header_invalid);
  CHECK(id_of({{"x", DType::f32, Shape{1}}, {"x", DType::f32, Shape{1}}}, {}) == ErrorId::header_invalid);
  CHECK(id_of({{"x", DType::q6_k, Shape{256}}}, {}) == ErrorId::dtype_unsupported);
  CHECK(id_of({{"x", DType::f16, Shape{1}}}, {65505}) == ErrorId::value_not_finite);
  CHECK(id_of({{"x", DType::f32, Shape{1}}}, {std::numeric_limits<float>::quiet_NaN()}) == ErrorId::value_not_finite);
  CHECK(folder.files() == 0);
}
