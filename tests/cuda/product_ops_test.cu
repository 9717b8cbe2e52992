// SPDX-License-Identifier: MIT
// Ops around matrix products: linear layers, embedding, vocabulary head, attention.
#include "cuda/ops.hpp"

using namespace binllm;
using namespace binllm::test;

namespace {

struct Extents {
  Index rows, in, out;
};
constexpr std::array<Extents, 6> extents{
    {{1, 1, 1}, {7, 13, 5}, {33, 65, 17}, {1, 64, 31}, {130, 576, 192}, {64, 24, 7}}};

double unit(Index terms) { return 1 / std::sqrt(static_cast<double>(terms)); }

}  // namespace

TEST_CASE("cuda ops: linear and matmul") {
  if (!gpu()) return;
  for (const auto& [rows, in, out] : extents) {
    CAPTURE(in);
    check_op([](auto&, auto x, auto w) { return linear(x, w); }, activation({rows, in}, 1),
             weight({out, in}, 2, unit(in)));
    check_op([](auto&, auto a, auto b) { return matmul(a, b); }, activation({rows, in}, 1),
             activation({in, out}, 2, unit(in)));
  }
  check_op([](auto&, auto x, auto w) { return linear(x, w); }, activation({2, 3, 20}, 1), weight({9, 20}, 2));
  check_op([](auto&, auto a) { return matmul(a, a); }, activation({21, 21}, 1));
}

TEST_CASE("cuda ops: linear and transient_linear that add a term") {
  if (!gpu()) return;
  for (const auto& [rows, in, out] : extents) {
    CAPTURE(in);
    const auto x = activation({rows, in}, 1), term = activation({rows, out}, 4);
    const auto w = weight({out, in}, 2, unit(in));
    check_op([](auto&, auto a, auto b, auto r) { return linear(a, b, r); }, x, w, term);
    check_op([](auto&, auto a, auto b, auto r) { return multiply(linear(a, b, r), r); }, x, w, term);
    const auto frozen = normal_tensor({out, in}, 3, unit(in));
    const auto op = [&](auto& round, auto a, auto u, auto r) {
      using R = std::remove_reference_t<decltype(round)>;
      using Sign = SignWeightOf<typename R::Scalar, typename R::Device>;
      return transient_linear(a, Sign(round.master_data(frozen), u), r);
    };
    check_op(op, x, weight({in}, 2, 0.3), term);
  }
  check_op([](auto&, auto a, auto b) { return linear(a, b, a); }, activation({9, 21}, 1),
           weight({21, 21}, 2, unit(21)));
}

TEST_CASE("cuda ops: transient_linear through the signs of a frozen weight") {
  if (!gpu()) return;
  for (const auto& [rows, in, out] : extents) {
    CAPTURE(in);
    const auto frozen = normal_tensor({out, in}, 3, unit(in));
    const auto op = [&](auto& round, auto x, auto u) {
      using R = std::remove_reference_t<decltype(round)>;
      using Sign = SignWeightOf<typename R::Scalar, typename R::Device>;
      return transient_linear(x, Sign(round.master_data(frozen), u));
    };
    check_op(op, activation({rows, in}, 1), weight({in}, 2, 0.3));
  }
}

TEST_CASE("cuda ops: embedding, with ids that come again and again") {
  if (!gpu()) return;
  struct Case {
    Shape ids;
    Index words, cols;
  };
  for (const Case& c : {Case{{1}, 1, 1}, Case{{2, 7}, 5, 13}, Case{{700}, 3, 65}, Case{{3, 43}, 1003, 576},
                        Case{{1, 2049}, 97, 64}, Case{{9}, 50000, 8}}) {
    CAPTURE(to_string(c.ids));
    const auto ids = random_ids(c.ids, c.words, 4);
    const auto op = [&](auto& round, auto table) {
      return embedding<typename std::remove_reference_t<decltype(round)>::Scalar>(round.data(ids), table);
    };
    check_op(op, weight({c.words, c.cols}, 1));
  }
}

TEST_CASE("cuda ops: cross_entropy, in chunks, its value asked for before and after backward") {
  if (!gpu()) return;
  struct Case {
    Index rows, words, cols;
  };
  for (const Case& c : {Case{1, 2, 1}, Case{7, 13, 5}, Case{33, 97, 64}, Case{130, 1003, 48}, Case{1100, 65, 24},
                        Case{40, 32000, 16}}) {
    CAPTURE(c.rows);
    CAPTURE(c.words);
    const auto targets = random_ids({c.rows}, c.words, 4);
    const auto op = [&](auto& round, auto h, auto w) { return cross_entropy(h, w, round.data(targets)); };
    const auto h = activation({c.rows, c.cols}, 1);
    const auto w = weight({c.words, c.cols}, 2, unit(c.cols));
    check_op(op, h, w);
    check_op_in<bf16>(Asked::before, op, h, w);
    check_op_in<float>(Asked::before, op, h, w);
  }
}

TEST_CASE("cuda ops: distillation, from a teacher and from what one said") {
  if (!gpu()) return;
  struct Case {
    Index rows, words, cols, top;
  };
  for (const Case& c : {Case{1, 2, 1, 1}, Case{7, 13, 5, 13}, Case{130, 1003, 48, 33}, Case{1100, 65, 24, 8}}) {
    CAPTURE(c.rows);
    CAPTURE(c.words);
    const auto targets = random_ids({c.rows}, c.words, 4);
    const auto h = activation({c.rows, c.cols}, 1);
    const auto w = weight({c.words, c.cols}, 2, unit(c.cols));
    const auto g = normal_tensor({c.rows, 6}, 5), u = normal_tensor({c.words, 6}, 6);
    const auto learn = [&](auto& round, auto x, auto head) {
      using R = std::remove_reference_t<decltype(round)>;
      using T = typename R::Scalar;
      using M = typename R::Master;
      const TeacherRows<T, typename R::Device> teacher{round.tape.constant(read(typed<T, bf16>(g).view())),
                                                       round.tape.constant(read(typed<M, bf16>(u).view()))};
      return distillation(x, head, round.data(targets), teacher, {2, 0.75, 1.5, 0.5});
    };
    check_op(learn, h, w);

    Tensor<std::int32_t> top_words(Shape{c.rows, c.top});
    Tensor<float> log_p(Shape{c.rows, c.top}), rest(Shape{c.rows});
    for (Index n = 0; n < c.rows; ++n) {
      for (Index i = 0; i < c.top; ++i) {
        top_words.view().row(n)[i] = static_cast<std::int32_t>(i * c.words / c.top);
        log_p.view().row(n)[i] = std::log(0.75f / static_cast<float>(c.top));
      }
      rest.view().data[n] = std::log(0.25f);
    }
    const auto look_up = [&](auto& round, auto x, auto head) {
      using D = typename std::remove_reference_t<decltype(round)>::Device;
      const TopPredictions<D> top{round.data(top_words), round.data(log_p), round.data(rest)};
      return top_distillation(x, head, round.data(targets), top, {{2, 0.75, 1.5, 0.5}});
    };
    if (c.top < c.words) check_op(look_up, h, w);
  }
}

TEST_CASE("cuda ops: attention") {
  if (!gpu()) return;
  struct Case {
    Index batch, queries, keys, heads, kv_heads, dim;
  };
  for (const Case& c :
       {Case{1, 1, 1, 1, 1, 8}, Case{2, 5, 5, 2, 1, 8}, Case{1, 9, 9, 3, 3, 3}, Case{1, 33, 40, 4, 2, 6},
        Case{2, 64, 64, 4, 2, 16}, Case{1, 130, 130, 3, 1, 64}, Case{2, 65, 65, 9, 3, 64}, Case{1, 1, 77, 6, 2, 64},
        Case{1, 200, 200, 2, 2, 128}, Case{1, 37, 131, 4, 4, 48}}) {
    CAPTURE(c.queries);
    CAPTURE(c.keys);
    CAPTURE(c.dim);
    const auto op = [&](auto&, auto q, auto k, auto v) { return attention(q, k, v, c.heads, c.kv_heads); };
    const Shape of_keys{c.batch, c.keys, c.kv_heads * c.dim};
    check_op(op, activation({c.batch, c.queries, c.heads * c.dim}, 1), activation(of_keys, 2), activation(of_keys, 3));
  }
}

TEST_CASE("cuda ops: attention of one variable to itself") {
  if (!gpu()) return;
  check_op([](auto&, auto x) { return attention(x, x, x, 2, 2); }, activation({2, 21, 16}, 1));
}

TEST_CASE("cuda ops: attention of large scores") {
  if (!gpu()) return;
  check_op_in_each<float, double>([](auto&, auto q, auto k, auto v) { return attention(q, k, v, 2, 1); },
                                  activation({1, 40, 64}, 1, 6), activation({1, 40, 32}, 2, 6),
                                  activation({1, 40, 32}, 3));
}

TEST_CASE("cuda ops: cached_attention") {
  if (!gpu()) return;
  constexpr Index sequences = 4, capacity = 140;
  constexpr std::array<Index, sequences> lengths{0, 70, 139, 100};
  constexpr std::array<Index, 3> chosen{3, 0, 1};
  struct Case {
    Index queries, heads, kv_heads, dim;
  };
  for (const Case& c : {Case{1, 4, 2, 6}, Case{3, 9, 3, 64}, Case{20, 2, 2, 3}}) {
    CAPTURE(c.queries);
    const CachedAttention a{3, c.queries, c.heads, c.kv_heads, c.dim, capacity, chosen.data(), lengths.data()};
    const auto op = [&](auto&, auto q, auto keys, auto values) {
      return cached_attention(a, q, read(keys.value()), read(values.value()));
    };
    const Shape cache{sequences, c.kv_heads, capacity, c.dim};
    check_op(op, activation({3, c.queries, c.heads * c.dim}, 1), activation(cache, 2), activation(cache, 3));
  }
}

TEST_CASE("cuda ops: recompute") {
  if (!gpu()) return;
  const auto op = [](auto&, auto x, auto w) {
    return recompute([w](auto inner) { return silu(linear(inner, w)); }, binllm::tanh(x));
  };
  check_op(op, activation({33, 65}, 1), weight({17, 65}, 2, unit(65)));
}

TEST_CASE("cuda ops: hadamard") {
  if (!gpu()) return;
  for (const Index block : {1, 4, 32, 128})
    check_op([block](auto&, auto x) { return hadamard(x, block); }, activation({5, 3 * block}, 1));
}
