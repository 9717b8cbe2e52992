// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/ops/reduced_cached_attention.hpp>
#include <binllm/packed/activations.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index sequences = 4, capacity = 300;
constexpr std::array<Index, sequences> lengths{0, 130, 299, 256};
constexpr std::array<Index, 3> chosen{3, 0, 1};

/// Keys or values in fewer bits, and what they stand for.
template <class Stored>
struct Rows {
  Tensor<Stored> numbers;
  Tensor<float> scale, wide;

  explicit Rows(const Tensor<float>& exact)
      : numbers(exact.shape()),
        scale(Shape{exact.shape()[0], exact.shape()[1], exact.shape()[2]}),
        wide(exact.shape()) {
    const Index dim = exact.shape()[3];
    for (Index row = 0; row < scale.size(); ++row) {
      const float* const from = exact.view().data + row * dim;
      Stored* const to = numbers.view().data + row * dim;
      float& factor = scale.view().data[row] = 1;
      if constexpr (std::is_same_v<Stored, std::int8_t>) {
        factor = Int8Activations::load(from, dim, to);
      } else {
        for (Index d = 0; d < dim; ++d) to[d] = bf16_from_float(from[d]);
      }
      for (Index d = 0; d < dim; ++d) wide.view().data[row * dim + d] = factor * widened(to[d]);
    }
  }
  template <class Device>
  [[nodiscard]] ReducedRows<Stored, Device> view(const Tensor<Stored, Device>& n,
                                                 const Tensor<float, Device>& s) const {
    return {read(n.view()), std::is_same_v<Stored, std::int8_t> ? read(s.view()) : View<const float, Device>()};
  }
};

template <class Stored>
struct Round {
  Tensor<float> q;
  Rows<Stored> keys, values;
  CachedAttention a;

  Round(Index heads, Index kv_heads, Index dim, Index queries)
      : q(normal_tensor<float>({3, queries, heads * dim}, 1)),
        keys(normal_tensor<float>({sequences, kv_heads, capacity, dim}, 2)),
        values(normal_tensor<float>({sequences, kv_heads, capacity, dim}, 3)),
        a{3, queries, heads, kv_heads, dim, capacity, chosen.data(), lengths.data()} {}

  template <class Device>
  [[nodiscard]] Tensor<float> result() {
    const auto on_q = on_device<Device>(q);
    const auto k = on_device<Device>(keys.numbers), v = on_device<Device>(values.numbers);
    const auto k_scale = on_device<Device>(keys.scale), v_scale = on_device<Device>(values.scale);
    Tape<Device> tape;
    const auto y = cached_attention(a, tape.borrow(read(on_q.view())), keys.view(k, k_scale), values.view(v, v_scale));
    return host(y.value());
  }
  /// With the numbers that stand for the stored ones.
  [[nodiscard]] Tensor<float> wanted() {
    Tape<> tape;
    return host(cached_attention(a, tape.borrow(q.view()), read(keys.wide.view()), read(values.wide.view())).value());
  }
};

template <class Check>
void on_each(const Check& check) {
  for (const auto& [heads, kv_heads, dim] : {std::array<Index, 3>{4, 2, 6}, {9, 3, 64}, {2, 2, 35}}) {
    for (const Index queries : {1, 4, 5, 44}) {
      CAPTURE(queries);
      CAPTURE(dim);
      check(Round<std::uint16_t>(heads, kv_heads, dim, queries));
      check(Round<std::int8_t>(heads, kv_heads, dim, queries));
    }
  }
}

}  // namespace

TEST_CASE("attention to a cache in fewer bits is attention to what it stands for") {
  on_each([](auto round) {
    const auto wanted = round.wanted();
    CHECK(largest_difference(round.template result<Cpu>().view(), wanted.view()) < 2e-5);
    CHECK(largest_difference(round.template result<Plain>().view(), wanted.view()) < 2e-5);
  });
}

TEST_CASE("in fewer bits: the same at any number of threads, and a few queries what each alone gets") {
  on_each([](auto round) {
    const auto one = round.template result<Cpu>();
    const Threads two(2);
    CHECK(same_bits(round.template result<Cpu>().view(), one.view()));
  });
  Round<std::int8_t> four(9, 3, 64, 4);
  const auto together = four.result<Cpu>();
  for (Index t = 0; t < 4; ++t) {
    Round<std::int8_t> alone(9, 3, 64, 1);
    std::array<Index, sequences> before = lengths;
    for (Index& length : before) length += t;
    alone.a.length = before.data();
    for (Index b = 0; b < 3; ++b)
      std::copy_n(four.q.view().data + (b * 4 + t) * 576, 576, alone.q.view().data + b * 576);
    const auto y = alone.result<Cpu>();
    for (Index b = 0; b < 3; ++b)
      CHECK(same_bits(y.view().middle_rows(b, 1), together.view().middle_rows(b * 4 + t, 1)));
  }
}

TEST_CASE("in fewer bits: errors") {
  Round<std::uint16_t> round(4, 2, 6, 2);
  const auto id = [&] { return id_of([&] { static_cast<void>(round.result<Cpu>()); }); };
  round.a.queries = 3;
  CHECK(id() == ErrorId::shape_mismatch);
  round.a.queries = 2;
  constexpr std::array<Index, 3> full{2, 0, 1};
  round.a.sequence = full.data();
  CHECK(id() == ErrorId::index_out_of_range);
}
