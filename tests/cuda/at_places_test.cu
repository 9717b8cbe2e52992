// SPDX-License-Identifier: MIT
// One token of each sequence, at places that the device knows: positions, the cache, and attention with divided keys.
#include "cuda/gpu.hpp"
#include "support/tensors.hpp"

#include <binllm/ops/at_places.hpp>
#include <binllm/ops/rotary.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

Tensor<Place, Cuda> on_gpu(const std::vector<Place>& places) {
  Tensor<Place, Cuda> there(Shape{static_cast<Index>(places.size())});
  Backend<Cuda>::copy(there.view().data, places.data(), places.size() * sizeof(Place));
  return there;
}
/// Numbers as T holds them.
template <class T>
Tensor<T> numbers(Shape shape, std::uint64_t seed) {
  const auto exact = normal_tensor<float>(shape, seed);
  Tensor<T> held(shape);
  for (Index i = 0; i < held.size(); ++i) held.view().data[i] = T(exact.view().data[i]);
  return held;
}

struct Case {
  Index heads, kv_heads, head_dim, capacity;
  std::vector<Place> places;
};
/// One head and several to a key head, head sizes of every width of a lane, one that fits none, first tokens, last ones.
const std::vector<Case> cases{{4, 2, 16, 48, {{1, 0}, {0, 47}}},      {9, 3, 64, 700, {{0, 699}, {2, 130}, {1, 0}}},
                              {32, 8, 64, 2048, {{0, 1000}}},         {6, 1, 128, 1500, {{1, 1499}, {0, 2}}},
                              {5, 5, 80, 300, {{0, 129}, {1, 299}}},  {2, 1, 256, 600, {{0, 599}}},
                              {3, 1, 33, 300, {{0, 17}, {1, 299}}}};

/// Attention of a row of queries to what its sequence has, the new token behind it.
double by_definition(const Case& c, const float* q, const float* keys, const float* values, Index seen, Index d) {
  std::vector<double> score(static_cast<std::size_t>(seen));
  for (Index j = 0; j < seen; ++j) {
    double sum = 0;
    for (Index i = 0; i < c.head_dim; ++i) sum += double(q[i]) * keys[j * c.head_dim + i];
    score[static_cast<std::size_t>(j)] = sum / std::sqrt(double(c.head_dim));
  }
  const double most = *std::max_element(score.begin(), score.end());
  double total = 0, y = 0;
  for (Index j = 0; j < seen; ++j) {
    const double p = std::exp(score[static_cast<std::size_t>(j)] - most);
    total += p;
    y += p * values[j * c.head_dim + d];
  }
  return y / total;
}

template <class T>
void check_attention(const Case& c, double allowed) {
  CAPTURE(c.heads);
  CAPTURE(c.head_dim);
  const auto rows = static_cast<Index>(c.places.size());
  const Index sequences = 3, of_token = c.kv_heads * c.head_dim;
  const auto q = numbers<T>({rows, 1, c.heads * c.head_dim}, 1), k = numbers<T>({rows, 1, of_token}, 2),
             v = numbers<T>({rows, 1, of_token}, 3);
  auto keys = numbers<T>({sequences, c.kv_heads, c.capacity, c.head_dim}, 4),
       values = numbers<T>({sequences, c.kv_heads, c.capacity, c.head_dim}, 5);
  auto gpu_keys = on_device<Cuda>(keys), gpu_values = on_device<Cuda>(values);
  const auto places = on_gpu(c.places);
  Tape<Cuda> tape;
  const NoGrad<Cuda> pause(tape);
  const AttentionAtPlaces a{rows, c.heads, c.kv_heads, c.head_dim, c.capacity};
  const auto y = host(attention_at_places(a, tape.constant(read(q.view())), tape.constant(read(k.view())),
                                          tape.constant(read(v.view())), gpu_keys.view(), gpu_values.view(),
                                          places.view().data)
                          .value());
  for (Index b = 0; b < rows; ++b) {
    const Place place = c.places[static_cast<std::size_t>(b)];
    for (Index h = 0; h < c.kv_heads; ++h) {
      const Index to = ((place.sequence * c.kv_heads + h) * c.capacity + place.length) * c.head_dim;
      std::copy_n(k.view().data + b * of_token + h * c.head_dim, c.head_dim, keys.view().data + to);
      std::copy_n(v.view().data + b * of_token + h * c.head_dim, c.head_dim, values.view().data + to);
    }
  }
  const auto kept_keys = host(read(gpu_keys.view())), kept_values = host(read(gpu_values.view()));
  const auto floats = [](const Tensor<T>& x) { return std::vector<float>(x.view().data, x.view().data + x.size()); };
  CHECK(floats(kept_keys) == floats(keys));
  CHECK(floats(kept_values) == floats(values));

  const auto fq = floats(q), fk = floats(keys), fv = floats(values), fy = floats(y);
  double worst = 0;
  for (Index b = 0; b < rows; ++b) {
    const Place place = c.places[static_cast<std::size_t>(b)];
    for (Index h = 0; h < c.heads; ++h) {
      const Index head = (place.sequence * c.kv_heads + h / (c.heads / c.kv_heads)) * c.capacity * c.head_dim;
      const Index at = (b * c.heads + h) * c.head_dim;
      for (const Index d : {Index{0}, c.head_dim / 2, c.head_dim - 1})
        worst = std::max(worst, std::abs(fy[static_cast<std::size_t>(at + d)] -
                                         by_definition(c, fq.data() + at, fk.data() + head, fv.data() + head,
                                                       place.length + 1, d)));
    }
  }
  CHECK(worst < allowed);
}

}  // namespace

TEST_CASE("cuda at places: attention writes to the cache and reads all of it, divided among blocks or not") {
  if (!gpu()) return;
  for (const Case& c : cases) {
    check_attention<float>(c, 1e-5);
    check_attention<bf16>(c, 2e-2);
  }
}

TEST_CASE("cuda at places: rows turn by the angles of their own positions") {
  if (!gpu()) return;
  const std::vector<Place> where{{0, 5}, {2, 0}, {1, 31}};
  const std::vector<double> frequencies{1.0, 0.3, 0.05};
  const Index heads = 3, head_dim = 8;  // dimensions 6 and 7 pass through
  const RotaryTable<float, Cuda> table(32, frequencies);
  const RotaryTable<float, Cpu> own(32, frequencies);
  const auto x = numbers<float>({3, 1, heads * head_dim}, 7);
  const auto places = on_gpu(where);
  Tape<Cuda> tape;
  const auto y = host(rotary_at_places(tape.constant(read(x.view())), table, places.view().data, head_dim).value());
  for (Index b = 0; b < 3; ++b) {
    Tensor<float> wanted({1, 1, heads * head_dim});
    Kernel<Rotary, Cpu>::forward(read(x.view().slice(b)).reshaped(wanted.shape()), own.cosine.view(), own.sine.view(),
                                 Index{where[static_cast<std::size_t>(b)].length}, head_dim, wanted.view());
    for (Index i = 0; i < wanted.size(); ++i)
      CHECK(y.view().data[b * wanted.size() + i] == doctest::Approx(wanted.view().data[i]).epsilon(1e-6));
  }
}
