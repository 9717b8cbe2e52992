// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/device/meta.hpp>
#include <binllm/nn/key_value_cache.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("a sequence goes on from a copy of another, or from its first tokens") {
  on_each_device([]<class Device>(Device) {
    KeyValueCache<float, Device> cache(1, 3, 5, 2, 2);
    CHECK(cache.fresh());
    const auto numbers = on_device<Device>(list<float>({1, 2, 3, 4, 5, 6, 7, 8}));
    const auto fresh = read(numbers.view()).reshaped({1, 2, 4});
    auto& keys = cache.layer(0).keys;
    const std::array<Index, 1> first{0}, last{2};
    cache.activate(first);
    cache.append(keys, fresh);
    cache.append(cache.layer(0).values, fresh);
    cache.advance(2);
    CHECK(!cache.fresh());
    cache.copy(0, 2);
    CHECK(cache.length(2) == 2);
    const auto on_host = host(keys.view());
    for (Index head = 0; head < 2; ++head)
      for (Index i = 0; i < 4; ++i)
        CHECK(on_host.view().data[(2 * 2 + head) * 10 + i] == on_host.view().data[head * 10 + i]);
    cache.keep(2, 1);
    CHECK(cache.length(2) == 1);
    CHECK(cache.length(0) == 2);
    cache.activate(last);
    CHECK(!cache.fresh());
    cache.copy(1, 2);  // one that has seen nothing
    CHECK(cache.fresh());
  });
}

TEST_CASE("a cache in fewer bits keeps rounded keys and values, and takes as much less memory") {
  const auto numbers = normal_tensor<float>({1, 3, 2 * 64}, 5);
  for (const CachePrecision precision : {CachePrecision::bfloat16, CachePrecision::int8}) {
    KeyValueCache<float, Cpu> cache(2, 2, 8, 2, 64, precision);
    const auto in_float = KeyValueCache<float, Cpu>(2, 2, 8, 2, 64).bytes();
    CHECK(cache.bytes() * 2 <= in_float);
    if (precision == CachePrecision::int8)
      CHECK(static_cast<double>(cache.bytes()) < 0.27 * static_cast<double>(in_float));
    CHECK(!cache.fresh());  // attention reads what is kept, also at the beginning
    auto& keys = cache.layer(1).keys;
    cache.append(keys, read(numbers.view()));
    cache.advance(3);
    cache.copy(0, 1, 2);
    CHECK(cache.length(1) == 2);
    const auto at = [&](Index sequence, Index head, Index token, Index d) {
      const Index row = (sequence * 2 + head) * 8 + token;
      if (precision == CachePrecision::bfloat16) return widened(keys.halves().numbers.data[row * 64 + d]);
      return keys.integers().scale.data[row] * widened(keys.integers().numbers.data[row * 64 + d]);
    };
    for (Index token = 0; token < 3; ++token) {
      for (Index head = 0; head < 2; ++head) {
        for (Index d = 0; d < 64; ++d) {
          const float exact = numbers.view().data[(token * 2 + head) * 64 + d];
          CHECK(std::abs(at(0, head, token, d) - exact) <= (precision == CachePrecision::int8 ? 0.02 : 0.016));
          if (token < 2) CHECK(at(1, head, token, d) == at(0, head, token, d));
        }
      }
    }
  }
}

TEST_CASE("fewer bits are for devices whose memory the host reads") {
  CHECK(id_of([] { KeyValueCache<float, Meta>(1, 1, 4, 1, 2, CachePrecision::int8); }) == ErrorId::option_out_of_range);
}
