// SPDX-License-Identifier: MIT
#include <binllm/io/containers/gguf/blocks.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace binllm {
namespace {

using Byte = std::uint8_t;

/// One block as it stands in a file: fields are read one after the other.
struct Block {
  const Byte* at;

  const Byte* bytes(std::size_t count) {
    const Byte* const start = at;
    at += count;
    return start;
  }
  float half() {
    const Byte* const b = bytes(2);
    return float_from_f16(static_cast<std::uint16_t>(b[0] | b[1] << 8));
  }
};

void put_half(Byte* to, float value) {
  const std::uint16_t bits = f16_from_float(value);
  to[0] = static_cast<Byte>(bits & 0xffu);
  to[1] = static_cast<Byte>(bits >> 8);
}

/// Number j of a block of 32 stands in the low half of byte j, number 16 + j in the high half.
int nibble(const Byte* halves, int j) { return j < 16 ? halves[j] & 15 : halves[j - 16] >> 4; }
int bit(const Byte* bits, int j) { return bits[j / 8] >> (j % 8) & 1; }

void decode_q8_0(Block b, float* x) {
  const float d = b.half();
  const Byte* const q = b.bytes(32);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(static_cast<std::int8_t>(q[j]));
}

void decode_q4_0(Block b, float* x) {
  const float d = b.half();
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(nibble(b.at, j) - 8);
}

void decode_q4_1(Block b, float* x) {
  const float d = b.half(), m = b.half();
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(nibble(b.at, j)) + m;
}

void decode_q5_0(Block b, float* x) {
  const float d = b.half();
  const Byte* const high = b.bytes(4);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>((nibble(b.at, j) | bit(high, j) << 4) - 16);
}

void decode_q5_1(Block b, float* x) {
  const float d = b.half(), m = b.half();
  const Byte* const high = b.bytes(4);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(nibble(b.at, j) | bit(high, j) << 4) + m;
}

/// The scale s and offset t, six bits each, of eight parts of 32 numbers:
///   bytes 0..3  low six bits: s of parts 0..3    bytes 4..7  the same of t    bytes 8..11  low halves: s of parts 4..7,
///   high halves: t; the two bits above them stand on top of bytes 0..3 and 4..7
struct PartScales {
  int s, t;
  PartScales(const Byte* packed, int part) {
    const int i = part % 4;
    if (part < 4) {
      s = packed[i] & 63;
      t = packed[4 + i] & 63;
    } else {
      s = (packed[8 + i] & 15) | (packed[i] >> 6) << 4;
      t = packed[8 + i] >> 4 | (packed[4 + i] >> 6) << 4;
    }
  }
};

/// Parts 2i and 2i + 1 stand in the low and the high halves of 32 bytes; of Q5_K a fifth bit stands in bit `part` of 32
/// bytes.
void decode_k(Block b, float* x, bool fifth_bit) {
  const float d = b.half(), m = b.half();
  const Byte* const scales = b.bytes(12);
  const Byte* const high = fifth_bit ? b.bytes(32) : nullptr;
  for (int part = 0; part < 8; ++part) {
    const PartScales own(scales, part);
    const float scale = d * static_cast<float>(own.s), offset = m * static_cast<float>(own.t);
    const Byte* const low = b.at + part / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      int q = low[j] >> (part % 2 * 4) & 15;
      if (high != nullptr) q |= (high[j] >> part & 1) << 4;
      x[part * 32 + j] = scale * static_cast<float>(q) - offset;
    }
  }
}
void decode_q4_k(Block b, float* x) { decode_k(b, x, false); }
void decode_q5_k(Block b, float* x) { decode_k(b, x, true); }

/// Two halves of 128 numbers, each of four runs of 32: four low bits in 64 bytes (runs 0 and 1 in low halves, 2 and 3 in
/// high ones), two high bits in 32 bytes; a scale for each 16 numbers.
void decode_q6_k(Block b, float* x) {
  const Byte* const low = b.bytes(128);
  const Byte* const high = b.bytes(64);
  const Byte* const scales = b.bytes(16);
  const float d = b.half();
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, run = i % 128 / 32, j = i % 32;
    const int q = (low[half * 64 + run % 2 * 32 + j] >> (run / 2 * 4) & 15) | (high[half * 32 + j] >> (run * 2) & 3)
                                                                                  << 4;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(scales[i / 16]));
    x[i] = scale * static_cast<float>(q - 32);
  }
}

void decode_q1_0(Block b, float* x) {
  const float d = b.half();
  for (int j = 0; j < 128; ++j) x[j] = bit(b.at, j) != 0 ? d : -d;
}

template <DType dtype, void (*decode)(Block, float*)>
void decode_each(std::span<const std::byte> stored, std::span<float> numbers) {
  constexpr StorageBlock block = storage_block(dtype);
  assert(numbers.size() % block.numbers == 0 && stored.size() == numbers.size() / block.numbers * block.bytes);
  const auto* bytes = reinterpret_cast<const Byte*>(stored.data());
  for (std::size_t i = 0; i < numbers.size(); i += block.numbers, bytes += block.bytes) {
    decode({bytes}, numbers.data() + i);
  }
}

void encode_f32(const float* x, Byte* b) { std::memcpy(b, x, sizeof(float)); }
void encode_f16(const float* x, Byte* b) { put_half(b, *x); }
void encode_bf16(const float* x, Byte* b) {
  const std::uint16_t bits = bf16_from_float(*x);
  std::memcpy(b, &bits, sizeof bits);
}

void encode_q4_0(const float* x, Byte* b) {
  const float* const largest = std::max_element(x, x + 32, [](float a, float c) { return std::abs(a) < std::abs(c); });
  const bool signs = std::all_of(x, x + 32, [s = std::abs(*largest)](float v) { return std::abs(v) == s; });
  const float d = signs ? std::abs(*largest) : *largest / -8;  // signs become 9 and 7
  const float inverse = d == 0 ? 0 : 1 / d;
  const auto q = [&](int j) { return std::clamp(static_cast<int>(x[j] * inverse + 8.5f), 0, 15); };
  put_half(b, d);
  for (int j = 0; j < 16; ++j) b[2 + j] = static_cast<Byte>(q(j) | q(j + 16) << 4);
}

void encode_q1_0(const float* x, Byte* b) {
  double sum = 0;
  std::fill(b, b + 18, Byte{0});
  for (int j = 0; j < 128; ++j) {
    sum += std::abs(static_cast<double>(x[j]));
    b[2 + j / 8] = static_cast<Byte>(b[2 + j / 8] | (x[j] >= 0 ? 1 : 0) << (j % 8));
  }
  put_half(b, static_cast<float>(sum / 128));
}

template <DType dtype, void (*encode)(const float*, Byte*)>
void encode_each(std::span<const float> numbers, std::span<std::byte> stored) {
  constexpr StorageBlock block = storage_block(dtype);
  assert(numbers.size() % block.numbers == 0 && stored.size() == numbers.size() / block.numbers * block.bytes);
  auto* bytes = reinterpret_cast<Byte*>(stored.data());
  for (std::size_t i = 0; i < numbers.size(); i += block.numbers, bytes += block.bytes) {
    encode(numbers.data() + i, bytes);
  }
}

}  // namespace

void decode_blocks(DType dtype, std::span<const std::byte> stored, std::span<float> numbers) {
  switch (dtype) {
    case DType::q8_0:
      return decode_each<DType::q8_0, decode_q8_0>(stored, numbers);
    case DType::q4_0:
      return decode_each<DType::q4_0, decode_q4_0>(stored, numbers);
    case DType::q4_1:
      return decode_each<DType::q4_1, decode_q4_1>(stored, numbers);
    case DType::q5_0:
      return decode_each<DType::q5_0, decode_q5_0>(stored, numbers);
    case DType::q5_1:
      return decode_each<DType::q5_1, decode_q5_1>(stored, numbers);
    case DType::q4_k:
      return decode_each<DType::q4_k, decode_q4_k>(stored, numbers);
    case DType::q5_k:
      return decode_each<DType::q5_k, decode_q5_k>(stored, numbers);
    case DType::q6_k:
      return decode_each<DType::q6_k, decode_q6_k>(stored, numbers);
    case DType::q1_0:
      return decode_each<DType::q1_0, decode_q1_0>(stored, numbers);
    default:
      break;
  }
  assert(false);
}

void encode_blocks(DType dtype, std::span<const float> numbers, std::span<std::byte> stored) {
  assert(is_encodable(dtype));
  switch (dtype) {
    case DType::f32:
      return encode_each<DType::f32, encode_f32>(numbers, stored);
    case DType::f16:
      return encode_each<DType::f16, encode_f16>(numbers, stored);
    case DType::bf16:
      return encode_each<DType::bf16, encode_bf16>(numbers, stored);
    case DType::q4_0:
      return encode_each<DType::q4_0, encode_q4_0>(numbers, stored);
    case DType::q1_0:
      return encode_each<DType::q1_0, encode_q1_0>(numbers, stored);
    default:
      break;
  }
}

}  // namespace binllm
