// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/ops/cached_attention.hpp>

#include <array>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index sequences = 4, capacity = 300;
constexpr std::array<Index, sequences> lengths{0, 130, 299, 256};
constexpr std::array<Index, 3> chosen{3, 0, 1};

struct Heads {
  Index heads, kv_heads, dim;
};
constexpr std::array<Heads, 3> shapes{{{4, 2, 6}, {9, 3, 64}, {2, 2, 3}}};

/// A cache, queries, and what a kernel makes of them.
template <class Device>
struct Round {
  Tensor<float, Device> q, keys, values;
  CachedAttention a;

  Round(const Heads& h, Index queries)
      : q(on_device<Device>(normal_tensor<float>({3, queries, h.heads * h.dim}, 1))),
        keys(on_device<Device>(normal_tensor<float>({sequences, h.kv_heads, capacity, h.dim}, 2))),
        values(on_device<Device>(normal_tensor<float>({sequences, h.kv_heads, capacity, h.dim}, 3))),
        a{3, queries, h.heads, h.kv_heads, h.dim, capacity, chosen.data(), lengths.data()} {}
  [[nodiscard]] Tensor<float> result() {
    Tape<Device> tape;
    return host(cached_attention(a, tape.borrow(q.view()), read(keys.view()), read(values.view())).value());
  }
};

/// Row b by attention itself.
Tensor<float> row_alone(Round<Cpu>& round, Index b) {
  const CachedAttention& a = round.a;
  const Index used = a.keys(b), sequence = a.sequence[b];
  Tensor<float> k({1, used, a.kv_heads * a.head_dim}), v(k.shape());
  for (Index j = 0; j < used; ++j) {
    for (Index kv = 0; kv < a.kv_heads; ++kv) {
      const Index from = ((sequence * a.kv_heads + kv) * capacity + j) * a.head_dim;
      const Index to = (j * a.kv_heads + kv) * a.head_dim;
      std::copy_n(round.keys.view().data + from, a.head_dim, k.view().data + to);
      std::copy_n(round.values.view().data + from, a.head_dim, v.view().data + to);
    }
  }
  Tape<> tape;
  const auto q = tape.borrow(round.q.view().middle_rows(b * a.queries, a.queries));
  const Shape shape{1, a.queries, a.heads * a.head_dim};
  const auto y = attention(q.reshaped(shape), tape.borrow(k.view()), tape.borrow(v.view()), a.heads, a.kv_heads);
  return host(y.value());
}

}  // namespace

TEST_CASE("cached attention: a row is the attention of its own sequence") {
  for (const Heads& h : shapes) {
    for (const Index queries : {1, 3, 4, 5, 44}) {
      CAPTURE(queries);
      Round<Cpu> round(h, queries);
      const auto found = round.result();
      for (Index b = 0; b < 3; ++b) {
        const auto wanted = row_alone(round, b);
        CHECK(largest_difference(found.view().middle_rows(b * queries, queries), wanted.view()) < 2e-5);
      }
      CHECK(largest_difference(found.view(), Round<Plain>(h, queries).result().view()) < 2e-5);
    }
  }
}

TEST_CASE("cached attention: the same bits beside other rows and at any number of threads") {
  for (const Heads& h : shapes) {
    for (const Index queries : {1, 3, 20}) {
      Round<Cpu> round(h, queries);
      const auto together = round.result();
      {
        const Threads two(2);
        CHECK(same_bits(round.result().view(), together.view()));
      }
      const Tensor<float> all = host(round.q.view());
      for (Index b = 0; b < 3; ++b) {
        round.a.rows = 1;
        round.a.sequence = chosen.data() + b;
        round.q = Tensor<float>({1, queries, h.heads * h.dim});
        std::copy_n(all.view().data + b * round.q.size(), round.q.size(), round.q.view().data);
        CHECK(same_bits(round.result().view(), together.view().middle_rows(b * queries, queries)));
      }
    }
  }
}

TEST_CASE("cached attention: errors") {
  Round<Cpu> round(shapes[0], 2);
  const auto id = [&] { return id_of([&] { (void)round.result(); }); };
  round.a.queries = 3;
  CHECK(id() == ErrorId::shape_mismatch);
  round.a.queries = 2;
  round.a.capacity = 299;
  CHECK(id() == ErrorId::shape_mismatch);
  round.a.capacity = 300;
  round.values = Tensor<float>({1, 2, 300, 6});
  CHECK(id() == ErrorId::shape_mismatch);
  round.values = Tensor<float>(round.keys.shape());
  constexpr std::array<Index, 3> full{2, 0, 1};  // 299 tokens before two more
  round.a.sequence = full.data();
  CHECK(id() == ErrorId::index_out_of_range);
}
