// SPDX-License-Identifier: MIT
#include "gguf_files.hpp"

#include <binllm/core/random.hpp>
#include <binllm/io/containers/gguf/file.hpp>

#include <cmath>
#include <cstring>
#include <vector>

using namespace binllm::test;
using binllm::DType;
using binllm::Error;
using binllm::ErrorId;
using binllm::GgufFile;
using binllm::Index;
using binllm::Shape;
using binllm::TensorInfo;

namespace {

const std::filesystem::path golden = BINLLM_SOURCE_DIR "/tests/io/containers/gguf/blocks.gguf";

template <class T>
std::vector<T> values(const GgufFile& file, const TensorInfo& tensor) {
  std::vector<T> numbers(static_cast<std::size_t>(tensor.shape.size()));
  file.read(tensor, numbers);
  return numbers;
}

Error error_of_file(const TemporaryFolder& folder, std::string_view bytes) {
  write_text(folder / "bad.gguf", bytes);
  const Error error = error_of([&] { GgufFile file(folder / "bad.gguf"); });
  CHECK(contains(error.what(), (folder / "bad.gguf").string()));
  return error;
}

/// One value and two tensors.
std::string small_file() {
  return GgufBytes(2, 2)
      .value("general.architecture", 8)
      .text("x")
      .value("list", 9)
      .number(std::uint32_t{8})
      .number(std::uint64_t{2})
      .text("a")
      .text("bc")
      .tensor("w", {3, 2}, 0, 0)
      .tensor("q", {32}, 2, 32)
      .data(32 + 18)
      .bytes();
}

/// Whether the file opens; if it does, everything that the class promises must hold.
bool opens_soundly(const std::filesystem::path& path) {
  try {
    const GgufFile file(path);
    for (const TensorInfo& tensor : file.tensors()) {
      REQUIRE(file.find(tensor.name) != nullptr);
      std::vector<float> numbers(static_cast<std::size_t>(tensor.shape.size()));
      file.read(tensor, numbers);
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TEST_CASE("gguf: numbers of every type are those of the package gguf, bit for bit") {
  const GgufFile file(golden);
  int types = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    const TensorInfo* expected = file.find(tensor.name + ".expected");
    if (expected == nullptr) continue;
    CAPTURE(tensor.name);
    ++types;
    CHECK(to_string(tensor.dtype) == tensor.name);
    REQUIRE(expected->shape == tensor.shape);
    const auto numbers = values<float>(file, tensor);
    const auto wide = values<double>(file, tensor);
    CHECK(std::memcmp(numbers.data(), file.bytes(*expected).data(), expected->bytes) == 0);
    CHECK(std::vector<float>(wide.begin(), wide.end()) == numbers);
  }
  CHECK(types == 12);
  CHECK(file.find("F32")->shape == Shape{2, 8});
}

TEST_CASE("gguf: values of every kind") {
  const GgufFile file(golden);
  const auto& values = file.metadata();
  CHECK(std::get<std::string>(values.at("text")) == "a blank, an \u00e9, a \U0001f600");
  const auto& names = std::get<std::vector<std::string>>(std::get<binllm::GgufArray>(values.at("names")));
  CHECK(names == std::vector<std::string>{"one", "", "three"});
  const auto& numbers = std::get<std::vector<std::int32_t>>(std::get<binllm::GgufArray>(values.at("numbers")));
  CHECK(numbers == std::vector<std::int32_t>{1, -2, 3});
  CHECK(std::get<bool>(values.at("yes")));
  CHECK(std::get<double>(values.at("wide")) == 0.1);
  CHECK(std::get<std::uint64_t>(values.at("large")) == (std::uint64_t{1} << 63) + 1);
}

TEST_CASE("gguf: a file is told by its first bytes or its name") {
  const TemporaryFolder folder;
  write_text(folder / "model", small_file());
  write_text(folder / "cut.gguf", "GG");
  write_text(folder / "other", "GG");
  CHECK(binllm::is_gguf(folder / "model"));
  CHECK(binllm::is_gguf(folder / "cut.gguf"));
  CHECK_FALSE(binllm::is_gguf(folder / "other"));
  CHECK_FALSE(binllm::is_gguf(folder.path()));
  CHECK_FALSE(binllm::is_gguf(folder / "none"));
}

TEST_CASE("gguf: a file cut anywhere is refused") {
  const TemporaryFolder folder;
  const std::string whole = small_file();
  write_text(folder / "whole", whole);
  REQUIRE(opens_soundly(folder / "whole"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(error_of_file(folder, std::string_view(whole).substr(0, size)).id() == ErrorId::file_truncated);
  }
  CHECK(error_of_file(folder, whole + std::string(64, 'x')).id() == ErrorId::header_invalid);
}

TEST_CASE("gguf: headers that lie") {
  const TemporaryFolder folder;
  const auto refused = [&](const GgufBytes& bytes) { return error_of_file(folder, bytes.bytes()); };
  constexpr std::uint64_t huge = std::uint64_t{1} << 62;
  CHECK(error_of_file(folder, "safetensors, say").id() == ErrorId::header_invalid);
  CHECK(refused(GgufBytes(0, 0, 1)).id() == ErrorId::version_unsupported);
  CHECK(contains(refused(GgufBytes(0, 0, 0x03000000)).what(), "big-endian"));

  // counts and lengths beyond the file
  CHECK(refused(GgufBytes(huge, 0)).id() == ErrorId::file_truncated);
  CHECK(refused(GgufBytes(0, huge)).id() == ErrorId::file_truncated);
  CHECK(refused(GgufBytes(0, 1).number(huge)).id() == ErrorId::file_truncated);
  CHECK(refused(GgufBytes(0, 1).value("a", 8).number(huge)).id() == ErrorId::file_truncated);
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return GgufBytes(0, 1).value("a", 9).number(type).number(count);
  };
  for (const std::uint32_t type : {0u, 4u, 7u, 8u, 12u})
    CHECK(refused(array(type, huge)).id() == ErrorId::file_truncated);
  CHECK(contains(refused(array(9, 1)).what(), "arrays"));
  CHECK(refused(array(13, 1)).id() == ErrorId::header_invalid);
  CHECK(refused(GgufBytes(0, 1).value("a", 13)).id() == ErrorId::header_invalid);
  CHECK(refused(GgufBytes(0, 1).value("a", 7).number(std::uint8_t{2})).id() == ErrorId::header_invalid);
  CHECK(contains(refused(GgufBytes(0, 2).value("a", 7).number(true).value("a", 7).number(true)).what(), "twice"));

  // the alignment
  const auto aligned = [](std::uint32_t to) { return GgufBytes(0, 1).value("general.alignment", 4).number(to); };
  for (const std::uint32_t to : {0u, 3u, 0xffffffffu}) CHECK(refused(aligned(to)).id() == ErrorId::header_invalid);
  CHECK(refused(GgufBytes(0, 1).value("general.alignment", 10).number(std::uint64_t{32})).id() ==
        ErrorId::header_invalid);

  // tensors
  const auto tensor = [](std::initializer_list<std::uint64_t> extents, std::uint32_t type, std::uint64_t offset = 0) {
    return GgufBytes(1, 0).tensor("w", extents, type, offset).data(64);
  };
  CHECK(refused(tensor({1, 1, 1, 1, 1}, 0)).id() == ErrorId::rank_unsupported);
  CHECK(contains(refused(tensor({32}, 20)).what(), "IQ4_NL"));
  CHECK(contains(refused(tensor({32}, 99)).what(), "type 99"));
  CHECK(refused(tensor({32}, 20)).id() == ErrorId::dtype_unsupported);
  CHECK(refused(tensor({33}, 2)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({16}, 0, 1)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({16}, 0, 32)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({17}, 0)).id() == ErrorId::file_truncated);
  CHECK(refused(tensor({4}, 0)).id() == ErrorId::header_invalid);  // bytes of no tensor
  CHECK(refused(tensor({16}, 0, huge * 2)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({huge * 2}, 0)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({huge, 4}, 0)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({huge, huge, 0}, 0)).id() == ErrorId::header_invalid);
  CHECK(refused(tensor({huge}, 41)).id() == ErrorId::header_invalid);
  CHECK(contains(refused(GgufBytes(2, 0).tensor("w", {8}, 0, 0).tensor("w", {8}, 0, 32).data(64)).what(), "twice"));
  CHECK(contains(refused(GgufBytes(2, 0).tensor("w", {16}, 0, 0).tensor("v", {8}, 0, 32).data(64)).what(), "overlap"));
}

TEST_CASE("gguf: reading refuses the wrong room") {
  const GgufFile file(golden);
  std::vector<float> few(3);
  CHECK(error_of([&] { file.read(*file.find("Q4_0"), few); }).id() == ErrorId::shape_mismatch);
}

TEST_CASE("gguf: whatever bytes change, a file opens soundly or is refused") {
  const TemporaryFolder folder;
  const std::string whole = small_file();
  int opened = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {1, 0x80, 0xff}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      write_text(folder / "changed", changed);
      opened += opens_soundly(folder / "changed") ? 1 : 0;
    }
  }
  CHECK(opened > 0);  // names and data may be anything
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const binllm::Random random(seed, binllm::Purpose::initialise, 0);
    std::string changed = whole;
    for (std::uint64_t i = 0; i < 6; ++i) {
      const auto bits = random.bits(i);
      changed[bits % changed.size()] = static_cast<char>(bits >> 32);
    }
    write_text(folder / "changed", changed);
    opens_soundly(folder / "changed");
  }
}
