// SPDX-License-Identifier: MIT
#include "io/support.hpp"

#include <binllm/core/random.hpp>
#include <binllm/interop/npy.hpp>

#include <algorithm>
#include <numeric>

using namespace binllm;
using namespace binllm::test;

namespace {

std::string npy(std::string header, std::string_view numbers, char version = 1) {
  header += '\n';
  std::string file = "\x93NUMPY";
  file += {version, '\0', static_cast<char>(header.size() & 255u), static_cast<char>(header.size() >> 8u)};
  if (version > 1) file += {'\0', '\0'};
  return file + header + std::string(numbers);
}

template <class T>
void round_trip(const TemporaryFolder& folder, Shape shape) {
  Tensor<T> tensor(shape);
  std::iota(tensor.view().data, tensor.view().data + tensor.size(), T(1));
  const std::string path = (folder / "t.npy").string();
  save_npy(path, tensor.view());
  CHECK(read_text(path).find('\n') % 64 == 63);
  const Tensor<T> read = load_npy<T>(path);
  CHECK(read.shape() == shape);
  CHECK(std::equal(read.view().data, read.view().data + read.size(), tensor.view().data));
}

}  // namespace

TEST_CASE("tensors in .npy files and back") {
  const TemporaryFolder folder;
  round_trip<float>(folder, {2, 3, 4, 5});
  round_trip<double>(folder, {7});
  round_trip<std::int32_t>(folder, {1, 1});
  round_trip<std::int64_t>(folder, {});
  round_trip<std::uint8_t>(folder, {3, 1, 2});
  round_trip<float>(folder, {0, 5});
  const Tensor<float> one{Shape{1}};
  CHECK(error_of([&] { save_npy((folder / "no/such.npy").string(), one.view()); }).id() == ErrorId::write_failed);
  CHECK(error_of([&] { save_npy("/dev/full", one.view()); }).id() == ErrorId::write_failed);
}

TEST_CASE("files of NumPy that are not what was asked for, damaged or hostile") {
  const TemporaryFolder folder;
  const std::string path = (folder / "t.npy").string();
  const auto failure = [&](const std::string& file) {
    write_text(path, file);
    return error_of([&] { static_cast<void>(load_npy<float>(path)); }).id();
  };
  const auto loads = [&](const std::string& file) {
    write_text(path, file);
    return load_npy<float>(path).shape();
  };
  const std::string four(4, '\0'), eight(8, '\0');
  const std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  CHECK(loads(npy(dictionary, four)) == Shape{1});
  CHECK(loads(npy(dictionary, four, 2)) == Shape{1});
  CHECK(loads(npy("{\"shape\":(1,2),\"fortran_order\":False,\"descr\":\"<f4\"}  ", eight, 3)) == Shape{1, 2});
  CHECK(loads(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 999999999999999999), }", "")) ==
        Shape{0, 999999999999999999});
  CHECK(failure("not a file of NumPy") == ErrorId::header_invalid);
  CHECK(failure("") == ErrorId::header_invalid);
  CHECK(failure("\x93NUMPY\x01") == ErrorId::file_truncated);
  CHECK(failure(npy(dictionary, four, 4)) == ErrorId::version_unsupported);
  CHECK(failure(npy(dictionary, four).substr(0, 40)) == ErrorId::file_truncated);
  CHECK(failure(npy(dictionary, "abc")) == ErrorId::file_truncated);
  CHECK(failure(npy(dictionary, eight)) == ErrorId::header_invalid);
  const auto with = [&](std::string_view old, std::string_view other) {
    std::string changed = dictionary;
    return npy(changed.replace(changed.find(old), old.size(), other), four);
  };
  CHECK(failure(with("<f4", "<f8")) == ErrorId::dtype_unsupported);
  CHECK(failure(with("<f4", ">f4")) == ErrorId::dtype_unsupported);
  CHECK(failure(with("'<f4'", "[('a', '<f4')]")) == ErrorId::header_invalid);
  CHECK(failure(with("False", "True")) == ErrorId::header_invalid);
  CHECK(failure(with("(1,)", "(1, 1, 1, 1, 1)")) == ErrorId::rank_unsupported);
  CHECK(failure(with("(1,)", "(-1,)")) == ErrorId::header_invalid);
  CHECK(failure(with("(1,)", "(9999999999999999999,)")) == ErrorId::header_invalid);
  CHECK(failure(with("(1,)", "(999999999999999999, 999999999999999999)")) == ErrorId::file_truncated);
  CHECK(failure(with("descr", "shape")) == ErrorId::header_invalid);
  CHECK(failure(with(", 'shape': (1,)", "")) == ErrorId::header_invalid);
  CHECK(failure(with("}", "} {")) == ErrorId::header_invalid);
  CHECK(error_of([&] { static_cast<void>(load_npy<float>((folder / "none.npy").string())); }).id() ==
        ErrorId::file_missing);

  // Whatever a damaged file says, it is refused or read.
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", std::string(24, '\1'));
  const Random random(1, Purpose::test, 0);
  Index largest = 0;
  int refused = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    std::string damaged = good;
    damaged[random.below(3 * i, damaged.size())] = static_cast<char>(random.below(3 * i + 1, 256));
    if (i % 3 == 0) damaged.resize(random.below(3 * i + 2, damaged.size()));
    write_text(path, damaged);
    try {
      largest = std::max(largest, load_npy<float>(path).size());
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(largest == 6);
  CHECK(refused > 1000);
}
