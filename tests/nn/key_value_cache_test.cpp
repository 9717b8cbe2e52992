// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

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
    const auto on_host = host(read(keys.view()));
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
