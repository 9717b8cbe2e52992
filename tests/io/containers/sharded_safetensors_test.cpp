// SPDX-License-Identifier: MIT
#include "../../support/errors.hpp"
#include "../support.hpp"

#include <binllm/io/containers/sharded_safetensors.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

const std::string index_name = "model.safetensors.index.json", first = "m-00001-of-00002.safetensors",
                  second = "m-00002-of-00002.safetensors";

/// Two shards: "a" = (1, 2) and "b" = (3), "c" = (-0.5).
struct Shards : TemporaryFolder {
  Shards() {
    const std::array<float, 2> a{1, 2};
    const std::array<double, 1> b{3};
    const std::array<std::uint16_t, 1> c{0xbf00};
    write_safetensors(*this / first, std::array{TensorSource{"a", DType::f32, {2}, a.data()}});
    write_safetensors(
        *this / second,
        std::array{TensorSource{"b", DType::f64, {1}, b.data()}, TensorSource{"c", DType::bf16, {1, 1}, c.data()}}, {},
        Checksums::of_each_tensor);
    write_index(R"("a":")" + first + R"(","b":")" + second + R"(","c":")" + second + '"');
  }
  void write_index(const std::string& entries) const {
    write_text(*this / index_name, R"({"metadata":{"total_size":18,"more":[{}]},"weight_map":{)" + entries + "}}");
  }
  [[nodiscard]] Error error() const {
    return error_of([&] { const ShardedSafetensors file(*this / index_name); });
  }
};

}  // namespace

TEST_CASE("shards are one container") {
  const Shards folder;
  const ShardedSafetensors file(folder / index_name);
  CHECK(file.shards() == 2);
  CHECK(file.path() == folder / index_name);
  CHECK(file.file_bytes() == std::filesystem::file_size(folder / first) + std::filesystem::file_size(folder / second));
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.find("d") == nullptr);
  std::vector<float> two(2), one(1);
  file.read(*file.find("a"), two);
  CHECK(two == std::vector<float>{1, 2});
  file.read(*file.find("b"), one);
  CHECK(one[0] == 3);
  std::vector<double> wide(1);
  file.read(*file.find("c"), wide);
  CHECK(wide[0] == -0.5);
  CHECK(file.bytes(*file.find("c")).size() == 2);
  CHECK_FALSE(file.has_checksum(*file.find("a")));
  CHECK(file.has_checksum(*file.find("c")));
  for (const TensorInfo& tensor : file.tensors()) {
    file.release(tensor);
    CHECK_NOTHROW(file.verify(tensor));
  }
}

TEST_CASE("an index and shards that do not belong together are refused by name") {
  const Shards folder;
  const auto refused = [&](const std::string& entries, ErrorId id, const std::string& part) {
    folder.write_index(entries);
    const Error error = folder.error();
    CHECK(error.id() == id);
    CHECK(error.argument() == (folder / index_name).string());
    CHECK_MESSAGE(contains(error.what(), part), error.what());
  };
  const std::string a = R"("a":")" + first + '"', b = R"(,"b":")" + second + '"', c = R"(,"c":")" + second + '"';
  refused(a + b + R"(,"c":"m-00003.safetensors")", ErrorId::file_missing, "1 of them missing: m-00003.safetensors");
  refused(a + b, ErrorId::header_invalid, "no entry of c");
  refused(a + b + c + R"(,"d":")" + second + '"', ErrorId::header_invalid, "d in " + second);
  refused(a + R"(,"b":")" + first + '"' + c, ErrorId::header_invalid, "b in " + first);
  const std::vector<std::string> elsewhere{"../x.safetensors", "/etc/passwd", "..", ".", "", "a/b",
                                           "a\\\\b",           "a\\u0000"};
  for (const std::string& name : elsewhere) {
    refused(a + b + R"(,"c":")" + name + '"', ErrorId::header_invalid, "a file beside the index");
  }
  refused(a + b + R"(,"c":7)", ErrorId::header_invalid, "a file beside the index");
  refused("", ErrorId::header_invalid, "an empty one");
  write_text(folder / index_name, R"({"weight_map":[]})");
  CHECK(folder.error().id() == ErrorId::header_invalid);
  write_text(folder / index_name, R"({})");
  CHECK(contains(folder.error().what(), "weight_map"));
  write_text(folder / index_name, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  CHECK(contains(folder.error().what(), "git lfs pull"));
}

TEST_CASE("a tensor in two shards is refused") {
  const Shards folder;
  const std::array<float, 2> a{1, 2};
  write_safetensors(folder / second, std::array{TensorSource{"a", DType::f32, {2}, a.data()}});
  folder.write_index(R"("a":")" + first + R"(","b":")" + second + '"');
  const Error error = folder.error();
  CHECK(error.id() == ErrorId::header_invalid);
  CHECK(contains(error.what(), "a in " + second + " too"));
}

TEST_CASE("whatever the bytes of an index, it opens or is refused") {
  const Shards folder;
  const std::string good = read_text(folder / index_name);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = good;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      write_text(folder / index_name, damaged);
      try {
        const ShardedSafetensors file(folder / index_name);
        CHECK(file.tensors().size() == 3);
      } catch (const Error& error) {
        const bool known = error.id() == ErrorId::header_invalid || error.id() == ErrorId::file_missing;
        CHECK(known);
      }
    }
    write_text(folder / index_name, good.substr(0, at));
    CHECK(folder.error().id() == ErrorId::header_invalid);
  }
}
