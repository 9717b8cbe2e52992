// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/gguf/blocks.hpp>
#include <binllm/io/containers/values.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace binllm {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers in files are little-endian and read in place");

template <class Stored, class Out, class Convert>
void convert(std::span<const std::byte> bytes, std::span<Out> out, Convert to_value) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));  // the file promises no alignment
    out[i] = static_cast<Out>(to_value(stored));
  }
}

/// Wide numbers by way of floats, which all blocks hold.
void decode(DType dtype, std::span<const std::byte> bytes, std::span<float> out) { decode_blocks(dtype, bytes, out); }
void decode(DType dtype, std::span<const std::byte> bytes, std::span<double> out) {
  const StorageBlock block = storage_block(dtype);
  std::array<float, 256> numbers{};  // a multiple of every block
  for (std::size_t at = 0; at < out.size(); at += numbers.size()) {
    const auto part = std::span(numbers).first(std::min(numbers.size(), out.size() - at));
    decode_blocks(dtype, bytes.subspan(at / block.numbers * block.bytes, part.size() / block.numbers * block.bytes),
                  part);
    std::copy(part.begin(), part.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

template <class Out>
void read_as(DType dtype, std::span<const std::byte> bytes, std::span<Out> out) {
  if (!is_floating(dtype)) {
    throw Error(ErrorId::dtype_unsupported, "read_values", "dtype", "a floating point type", to_string(dtype));
  }
  const StorageBlock block = storage_block(dtype);
  if (out.size() % block.numbers != 0 || bytes.size() != out.size() / block.numbers * block.bytes) {
    throw Error(ErrorId::shape_mismatch, "read_values", "bytes", fmt::format("{} numbers", out.size()),
                fmt::format("{} bytes of {}", bytes.size(), to_string(dtype)));
  }
  if (dtype == DType::f64) return convert<double>(bytes, out, [](double value) { return value; });
  if (dtype == DType::f32) return convert<float>(bytes, out, [](float value) { return value; });
  if (dtype == DType::f16) return convert<std::uint16_t>(bytes, out, float_from_f16);
  if (dtype == DType::bf16) return convert<std::uint16_t>(bytes, out, float_from_bf16);
  decode(dtype, bytes, out);
}

}  // namespace

void read_values(DType dtype, std::span<const std::byte> bytes, std::span<float> out) { read_as(dtype, bytes, out); }
void read_values(DType dtype, std::span<const std::byte> bytes, std::span<double> out) { read_as(dtype, bytes, out); }

}  // namespace binllm
