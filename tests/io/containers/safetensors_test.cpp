// SPDX-License-Identifier: MIT
#include "../../data_kit.hpp"
#include "../support.hpp"

#include <binllm/core/random.hpp>
#include <binllm/io/containers/safetensors.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

using namespace binllm::test;
using binllm::Checksums;
using binllm::DType;
using binllm::Error;
using binllm::ErrorId;
using binllm::SafetensorsFile;
using binllm::SafetensorsWriter;
using binllm::Shape;
using binllm::TensorInfo;
using binllm::TensorSource;

namespace {

/// A file with the given header text and data, the length as given or true.
std::string file_text(std::string_view header, std::string_view data) {
  const auto length = std::bit_cast<std::array<char, 8>>(static_cast<std::uint64_t>(header.size()));
  return std::string(length.data(), length.size()).append(header).append(data);
}

/// Two small tensors as another program would write them: no padding, so that floats are not aligned.
std::string small_file() {
  const auto values = std::bit_cast<std::array<char, 8>>(std::array{1.5f, -2.0f});
  return file_text(R"({"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"s":{"dtype":"U8","shape":[3],)"
                   R"("data_offsets":[8,11]}})",
                   std::string(values.data(), 8) + "abc");
}

Error error_of_file(const TemporaryFolder& folder, std::string_view text) {
  write_text(folder / "bad.safetensors", text);
  const Error error = error_of([&] { SafetensorsFile file(folder / "bad.safetensors"); });
  CHECK(contains(error.what(), (folder / "bad.safetensors").string()));
  return error;
}

/// The error of a header with 16 bytes of data behind it.
Error error_of_header(std::string_view header) {
  const TemporaryFolder folder;
  return error_of_file(folder, file_text(header, std::string(16, '\1')));
}

/// Whether the file opens; if it does, everything that the class promises must hold.
bool opens_soundly(const std::filesystem::path& path) {
  try {
    const SafetensorsFile file(path);
    std::size_t end = 0;
    for (const TensorInfo& tensor : file.tensors()) {
      REQUIRE(tensor.offset == end);
      end += tensor.bytes;
      REQUIRE(tensor.bytes == static_cast<std::size_t>(tensor.shape.size()) * binllm::bytes_per_element(tensor.dtype));
      REQUIRE(file.find(tensor.name) == &tensor);
      unsigned sum = 0;
      for (const std::byte byte : file.bytes(tensor)) sum += std::to_integer<unsigned>(byte);
      REQUIRE(sum < 1u << 20);
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

template <class T>
std::vector<T> values(const SafetensorsFile& file, std::string_view name) {
  const TensorInfo* tensor = file.find(name);
  REQUIRE(tensor != nullptr);
  std::vector<T> out(static_cast<std::size_t>(tensor->shape.size()));
  file.read(*tensor, std::span<T>(out));
  return out;
}

}  // namespace

TEST_CASE("a file is read as it was written: every type, every rank, metadata") {
  const TemporaryFolder folder;
  const std::array<double, 2> f64{0.1, -1e300};
  const std::array<float, 6> f32{1, 2, 3, 4, 5, -0.25f};
  const std::array<std::uint16_t, 2> f16{0x3c00, 0xc000}, bf16{0x3f80, 0xc000};
  const std::array<std::int32_t, 1> i32{-7};
  const std::array<std::uint8_t, 3> u8{1, 2, 255};
  const std::vector<TensorSource> sources{{"u8", DType::u8, {3}, u8.data()},
                                          {"f64", DType::f64, {2}, f64.data()},
                                          {"f32", DType::f32, {1, 2, 3, 1}, f32.data()},
                                          {"scalar", DType::i32, {}, i32.data()},
                                          {"f16", DType::f16, {2}, f16.data()},
                                          {"bf16", DType::bf16, {2, 1}, bf16.data()},
                                          {"nothing", DType::f32, {0, 5}, nullptr}};
  binllm::write_safetensors(folder / "m.safetensors", sources, {{"format", "pt"}, {"quote", "\"\n"}});

  SafetensorsFile opened(folder / "m.safetensors");
  const SafetensorsFile file(std::move(opened));
  CHECK(file.path() == folder / "m.safetensors");
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"quote", "\"\n"}});
  REQUIRE(file.tensors().size() == sources.size());
  std::size_t offset = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    CAPTURE(sources[i].name);
    const TensorInfo& tensor = file.tensors()[i];
    CHECK(tensor.name == sources[i].name);
    CHECK(tensor.dtype == sources[i].dtype);
    CHECK(tensor.shape == sources[i].shape);
    CHECK(tensor.offset == offset);
    offset += tensor.bytes;
    const std::string_view stored(reinterpret_cast<const char*>(file.bytes(tensor).data()), tensor.bytes);
    CHECK(stored == std::string_view(static_cast<const char*>(sources[i].data), tensor.bytes));
  }
  CHECK(values<double>(file, "f64") == std::vector<double>{0.1, -1e300});
  CHECK(values<float>(file, "f32") == std::vector<float>(f32.begin(), f32.end()));
  CHECK(values<double>(file, "f32") == std::vector<double>{1, 2, 3, 4, 5, -0.25});
  CHECK(values<float>(file, "f16") == std::vector<float>{1, -2});
  CHECK(values<double>(file, "bf16") == std::vector<double>{1, -2});
  CHECK(values<float>(file, "nothing").empty());
  CHECK(file.find("f3") == nullptr);
}

TEST_CASE("the written bytes are the format's: length, padded header, data in order") {
  const TemporaryFolder folder;
  const std::array<std::uint8_t, 2> bytes{'h', 'i'};
  const std::array sources{TensorSource{"b", DType::u8, {2}, bytes.data()}, TensorSource{"a", DType::u8, {1}, "!"}};
  binllm::write_safetensors(folder / "m", sources);
  CHECK(read_text(folder / "m") ==
        file_text(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[1],)"
                  R"("data_offsets":[2,3]}}       )",
                  "hi!"));
  binllm::write_safetensors(folder / "m", {});
  CHECK(read_text(folder / "m") == file_text("{}      ", ""));
  CHECK(SafetensorsFile(folder / "m").tensors().empty());
}

TEST_CASE("files of other writers: no padding, any order of names, empty tensors") {
  const TemporaryFolder folder;
  write_text(folder / "m", small_file());
  const SafetensorsFile file(folder / "m");
  CHECK(values<float>(file, "w") == std::vector<float>{1.5f, -2.0f});
  CHECK(file.tensors()[1].name == "s");

  write_text(folder / "m",
             file_text(R"({"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},"y":{"dtype":"U8","shape":[1],)"
                       R"("data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                       "ab"));
  CHECK(SafetensorsFile(folder / "m").tensors().size() == 3);
}

TEST_CASE("reading refuses the wrong room and integer tensors") {
  const TemporaryFolder folder;
  write_text(folder / "m", small_file());
  const SafetensorsFile file(folder / "m");
  std::array<float, 3> out{};
  const Error room = error_of([&] { file.read(*file.find("w"), out); });
  CHECK(room.id() == ErrorId::shape_mismatch);
  CHECK(contains(room.what(), "tensor w"));
  CHECK(error_of([&] { file.read(*file.find("s"), out); }).id() == ErrorId::dtype_unsupported);
}

TEST_CASE("missing, empty and cut files") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { SafetensorsFile file(folder / "none"); }).id() == ErrorId::file_missing);
  CHECK(error_of([&] { SafetensorsFile file(folder.path()); }).id() == ErrorId::file_unreadable);
  const std::string whole = small_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(error_of_file(folder, whole.substr(0, size)).id() == ErrorId::file_truncated);
  }
  CHECK(contains(error_of_file(folder, whole.substr(0, whole.size() - 1)).what(), "tensor s"));
}

TEST_CASE("oversized files and lengths") {
  const TemporaryFolder folder;
  CHECK(error_of_file(folder, small_file() + "x").id() == ErrorId::header_invalid);
  CHECK(error_of_file(folder, file_text("{}", "x")).id() == ErrorId::header_invalid);
  CHECK(error_of_file(folder, std::string(8, '\xff') + "{}").id() == ErrorId::header_invalid);
  CHECK(error_of_file(folder, std::string("\3\0\0\0\0\0\0\0{}", 10)).id() == ErrorId::file_truncated);
  CHECK(error_of_file(folder, file_text("", "")).id() == ErrorId::header_invalid);
}

TEST_CASE("headers that are not what they must be") {
  const std::pair<const char*, ErrorId> cases[] = {
      // not JSON, not an object
      {R"({"a":)", ErrorId::header_invalid},
      {R"([])", ErrorId::header_invalid},
      {R"( {})", ErrorId::header_invalid},
      {R"({} x)", ErrorId::header_invalid},
      {"{\"\xff\":1}", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[[[[1]]]],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":7})", ErrorId::header_invalid},
      {R"({"__metadata__":[]})", ErrorId::header_invalid},
      {R"({"__metadata__":{"a":1}})", ErrorId::header_invalid},
      // a key twice, missing, unknown
      {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}})",
       ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[4],"shape":[16],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"shape":[16],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16],"more":1}})", ErrorId::header_invalid},
      // types and ranks
      {R"({"a":{"dtype":"F8","shape":[16],"data_offsets":[0,16]}})", ErrorId::dtype_unsupported},
      {R"({"a":{"dtype":8,"shape":[16],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1,16],"data_offsets":[0,16]}})", ErrorId::rank_unsupported},
      {R"({"a":{"dtype":"U8","shape":16,"data_offsets":[0,16]}})", ErrorId::header_invalid},
      // numbers
      {R"({"a":{"dtype":"U8","shape":[-16],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16.0],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":["16"],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[-1,15]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16,32]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":"0,16"}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[16,0]}})", ErrorId::header_invalid},
      // sizes that lie, also by overflow: 2^62 * 8 = 2^65 is 0 in 64 bits
      {R"({"a":{"dtype":"U8","shape":[15],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"F32","shape":[16],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[4611686018427387904,8],"data_offsets":[0,0]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"F64","shape":[2305843009213693954],"data_offsets":[0,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296,1],"data_offsets":[0,0]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[17],"data_offsets":[0,17]}})", ErrorId::file_truncated},
      {R"({"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}})",
       ErrorId::file_truncated},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[9223372036854775791,9223372036854775807]}})",
       ErrorId::file_truncated},
      // overlaps, holes, bytes of no tensor
      {R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}})",
       ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}})",
       ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})",
       ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[7],"data_offsets":[0,7]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}})",
       ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[15],"data_offsets":[1,16]}})", ErrorId::header_invalid},
      {R"({"a":{"dtype":"U8","shape":[15],"data_offsets":[0,15]}})", ErrorId::header_invalid},
      {R"({})", ErrorId::header_invalid},
  };
  for (const auto& [header, id] : cases) {
    CAPTURE(header);
    CHECK(error_of_header(header).id() == id);
  }
}

TEST_CASE("errors name the tensor, in a message of bounded length") {
  CHECK(contains(error_of_header(R"({"model.norm.weight":{"dtype":"F8","shape":[16],"data_offsets":[0,16]}})").what(),
                 "tensor model.norm.weight: wanted dtype F64, F32, F16, BF16, I64, I32, U8 or BOOL, found F8"));
  CHECK(contains(error_of_header(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,16]}})").what(),
                 "tensor w: wanted 24 bytes for shape (2, 3) of F32, found data_offsets that span 16 bytes"));
  const Error error = error_of_header("{\"" + std::string(10000, 'n') + "\":{\"dtype\":\"" + std::string(10000, 'd') +
                                      R"(","shape":[16],"data_offsets":[0,16]}})");
  CHECK(std::string_view(error.what()).size() < 1000);
}

TEST_CASE("nesting as deep as the file is long is refused without being followed") {
  const TemporaryFolder folder;
  std::string header = "{\"a\":";
  header.append(1'000'000, '[');
  CHECK(contains(error_of_file(folder, file_text(header, "")).wanted(), "3 levels of nesting"));
  CHECK(contains(error_of_header(R"({"a":{"shape":[[1]]}})").wanted(), "3 levels of nesting"));
}

TEST_CASE("every single flipped bit: an error, or a file that keeps every promise") {
  const TemporaryFolder folder;
  const auto path = folder / "m";
  const std::string whole = small_file();
  const std::size_t header_end = whole.size() - 11;
  int opened = 0;
  for (std::size_t bit = 0; bit < header_end * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    write_text(path, damaged);
    opened += opens_soundly(path) ? 1 : 0;
  }
  MESSAGE(opened, " of ", header_end * 8, " damaged headers still describe a file (a name changed, say)");
  CHECK(opened < static_cast<int>(header_end));
}

TEST_CASE("many damaged bytes: an error, or a file that keeps every promise") {
  constexpr std::uint64_t seed = 20240601;
  CAPTURE(seed);
  const TemporaryFolder folder;
  const auto path = folder / "m";
  const std::string whole = small_file();
  // Characters that keep the JSON likely to parse, so that the later checks are reached.
  constexpr std::string_view alphabet = "0123456789[]{},:\"-.eEFU8 \\\0";
  for (std::uint64_t round = 0; round < 3000; ++round) {
    const binllm::Random random(seed, binllm::Purpose::test, round);
    std::string damaged = whole;
    const std::uint64_t changes = 1 + random.below(0, 4);
    for (std::uint64_t change = 1; change <= changes; ++change) {
      damaged[random.below(3 * change, damaged.size())] = alphabet[random.below(3 * change + 1, alphabet.size())];
    }
    write_text(path, damaged);
    CAPTURE(round);
    (void)opens_soundly(path);  // requires inside
  }
}

TEST_CASE("the writer refuses what it could not read back, and then writes nothing") {
  const TemporaryFolder folder;
  write_text(folder / "m", "old");
  const std::uint8_t byte = 1;
  const auto id_of = [&](std::vector<TensorSource> tensors, std::map<std::string, std::string> metadata = {}) {
    return error_of([&] { binllm::write_safetensors(folder / "m", tensors, metadata); }).id();
  };
  CHECK(id_of({{"a", DType::u8, {1}, &byte}, {"a", DType::u8, {1}, &byte}}) == ErrorId::header_invalid);
  CHECK(id_of({{"__metadata__", DType::u8, {1}, &byte}}) == ErrorId::header_invalid);
  CHECK(id_of({{"\xff", DType::u8, {1}, &byte}}) == ErrorId::header_invalid);
  CHECK(id_of({}, {{"a", "\xff"}}) == ErrorId::header_invalid);
  CHECK(id_of({{"a", DType::u8, {1}, nullptr}}) == ErrorId::empty_tensor);
  CHECK(id_of({{"a", DType::f64, {binllm::Index{1} << 62, 8}, &byte}}) == ErrorId::header_invalid);
  CHECK(read_text(folder / "m") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("a full disk at any moment of a save leaves the old file as it was") {
  const TemporaryFolder folder;
  const auto path = folder / "m";
  const std::vector<float> data(100, 1.0f), data_before(100, 2.0f);
  binllm::write_safetensors(path, std::array{TensorSource{"w", DType::f32, {100}, data_before.data()}});
  const std::string before = read_text(path);
  const std::array after{TensorSource{"w", DType::f32, {100}, data.data()}};
  for (const std::size_t room :
       {std::size_t{0}, std::size_t{5}, std::size_t{8}, std::size_t{30}, std::size_t{200}, before.size() - 1}) {
    ErrorId id{};
    {
      const FullDisk disk(room);
      try {
        binllm::write_safetensors(path, after);
      } catch (const Error& error) {
        id = error.id();
      }
    }
    CAPTURE(room);
    CHECK(id == ErrorId::write_failed);
    CHECK(read_text(path) == before);
    CHECK(folder.files() == 1);
  }
  {
    const FullDisk disk(before.size());
    binllm::write_safetensors(path, after);
  }
  CHECK(values<float>(SafetensorsFile(path), "w") == data);
}

TEST_CASE("a real checkpoint and its bf16 copy agree within the rounding of bf16") {
  const auto full_path = data_file("models/stories260K/model.safetensors");
  const auto half_path = data_file("models/stories260K/model.bf16.safetensors");
  if (!full_path || !half_path) return;
  const SafetensorsFile full(*full_path), half(*half_path);
  REQUIRE(full.tensors().size() == half.tensors().size());
  binllm::Index parameters = 0;
  for (const TensorInfo& tensor : full.tensors()) {
    CAPTURE(tensor.name);
    const TensorInfo* other = half.find(tensor.name);
    REQUIRE(other != nullptr);
    CHECK(tensor.dtype == DType::f32);
    CHECK(other->dtype == DType::bf16);
    REQUIRE(other->shape == tensor.shape);
    parameters += tensor.shape.size();
    const auto exact = values<double>(full, tensor.name), rounded = values<double>(half, tensor.name);
    double worst = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      worst = std::max(worst, std::abs(exact[i] - rounded[i]) - std::abs(exact[i]) * 0x1p-8);
    }
    CHECK(worst <= 0);  // 8 significant bits: half a unit in the last place is at most 2^-8 of the value
  }
  CHECK(parameters == 260032);
  REQUIRE(full.find("model.embed_tokens.weight") != nullptr);
  CHECK(full.find("model.embed_tokens.weight")->shape == Shape{512, 64});
}

TEST_CASE("with checksums every flipped bit is refused, or changes no tensor") {
  const TemporaryFolder folder;
  const std::array<float, 3> a{1, -2, 0.5f};
  const std::array<std::uint8_t, 5> b{7, 0, 255, 1, 2};
  write_safetensors(
      folder / "m",
      std::array{TensorSource{"a", DType::f32, {3}, a.data()}, TensorSource{"b", DType::u8, {5}, b.data()},
                 TensorSource{"none", DType::f32, {0}, nullptr}},
      {{"format", "pt"}}, Checksums::of_each_tensor);
  const std::string whole = read_text(folder / "m");
  const auto contents = [&] {
    const SafetensorsFile file(folder / "m");
    std::string all;
    for (const TensorInfo& tensor : file.tensors()) {
      file.verify(tensor);
      all += fmt::format("{} {} {} ", tensor.name, binllm::to_string(tensor.dtype), to_string(tensor.shape));
      for (const std::byte byte : file.bytes(tensor)) all += fmt::format("{:02x}", static_cast<int>(byte));
    }
    return all;
  };
  const std::string right = contents();
  std::size_t equal = 0;
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    write_text(folder / "m", damaged);
    try {
      const std::string found = contents();
      CHECK(found == right);
      ++equal;
    } catch (const Error&) {
    }
  }
  CHECK(equal < 8 * 40);  // in "format": "pt" and in blanks
}

TEST_CASE("checksums are of all tensors, and damage is said") {
  const TemporaryFolder folder;
  const std::array<float, 2> a{1, 2};
  const std::array sources{TensorSource{"a", DType::f32, {2}, a.data()}, TensorSource{"b", DType::f32, {2}, a.data()}};
  write_safetensors(folder / "m", sources, {{"binllm.checksum.a", "0123456789abcdef"}});
  CHECK(contains(error_of([&] { SafetensorsFile(folder / "m"); }).what(), "tensor b: wanted a checksum"));
  write_safetensors(folder / "m", sources, {{"binllm.checksum.a", "0123"}, {"binllm.checksum.b", "0"}});
  CHECK(contains(error_of([&] { SafetensorsFile(folder / "m"); }).what(), "16 hexadecimal digits"));
  write_safetensors(folder / "m", std::span(sources).first(1), {{"binllm.checksum.a", "0123456789abcdef"}});
  const SafetensorsFile file(folder / "m");
  const Error error = error_of([&] { file.verify(file.tensors()[0]); });
  CHECK(error.id() == ErrorId::header_invalid);
  CHECK(contains(error.what(), "tensor a: wanted the checksum 0123456789abcdef"));
}

TEST_CASE("tensors may be written in parts of any length, and no more or less than was said") {
  const TemporaryFolder folder;
  const std::array<float, 3> a{1, 2, 3};
  const std::array<double, 2> b{4, 5};
  const std::array sources{TensorSource{"a", DType::f32, {3}, a.data()}, TensorSource{"b", DType::f64, {2}, b.data()}};
  write_safetensors(folder / "whole", sources, {}, Checksums::of_each_tensor);
  std::string bytes(reinterpret_cast<const char*>(a.data()), sizeof a);
  bytes.append(reinterpret_cast<const char*>(b.data()), sizeof b);
  const auto write_in_parts = [&](std::size_t part, std::size_t end) {
    SafetensorsWriter writer(folder / "parts", {{"a", DType::f32, {3}}, {"b", DType::f64, {2}}}, {},
                             Checksums::of_each_tensor);
    for (std::size_t at = 0; at < end; at += part)
      writer.append(std::as_bytes(std::span(bytes).subspan(at, std::min(part, end - at))));
    writer.commit();
  };
  for (std::size_t part = 1; part <= bytes.size(); ++part) {
    write_in_parts(part, bytes.size());
    CHECK(read_text(folder / "parts") == read_text(folder / "whole"));
  }
  std::filesystem::remove(folder / "parts");
  CHECK(error_of([&] { write_in_parts(5, bytes.size() - 1); }).id() == ErrorId::shape_mismatch);
  bytes += "x";
  CHECK(error_of([&] { write_in_parts(5, bytes.size()); }).id() == ErrorId::shape_mismatch);
  CHECK(folder.files() == 1);
}

TEST_CASE("a pointer of Git LFS and a zero byte behind the header are said to be that") {
  const TemporaryFolder folder;
  write_text(folder / "m", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99\n");
  const Error error = error_of([&] { SafetensorsFile(folder / "m"); });
  CHECK(error.id() == ErrorId::header_invalid);
  CHECK(contains(error.what(), "a pointer of Git LFS"));
  write_text(folder / "m", file_text(std::string("{}\0\xff{", 5), ""));
  CHECK(contains(error_of([&] { SafetensorsFile(folder / "m"); }).what(), "a zero byte at byte 3"));
}

TEST_CASE("tensors that hold no numbers of a model, such as masks, do not make a file unreadable") {
  const TemporaryFolder folder;
  const std::array<std::int64_t, 2> positions{0, 1};
  const std::array<std::uint8_t, 1> mask{1};
  write_safetensors(folder / "m", std::array{TensorSource{"positions", DType::i64, {2}, positions.data()},
                                             TensorSource{"mask", DType::boolean, {1, 1}, mask.data()}});
  const SafetensorsFile file(folder / "m");
  CHECK(file.find("mask")->dtype == DType::boolean);
  std::vector<float> values(2);
  CHECK(error_of([&] { file.read(*file.find("positions"), values); }).id() == ErrorId::dtype_unsupported);
}
