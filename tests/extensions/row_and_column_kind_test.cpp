// SPDX-License-Identifier: MIT
/// A kind of linear layer that the library does not know: one bit a weight, with a vector for the rows and one for the
/// columns (Xu et al., OneBit, arXiv 2402.11295).
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace user {

using namespace binllm;

/// B = sgn(W);   backward takes 1.001 - tanh^2(w) for the derivative of sgn
struct SignOf {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w) const {
    return formula::sign(w);
  }
};
struct SignSlope {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w, const X& g) const {
    return g * (formula::lane_t<X>(1.001) - formula::square(formula::tanh(w)));
  }
};
template <class M, class Device>
struct SignWeight {
  Variable<M, Device> weight;
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient(); }
  template <class T>
  void forward(Tape<Device>&, View<T, Device> b) const {
    Backend<Device>::map(b, SignOf{}, elements(weight.value()));
  }
  template <class T>
  void backward(Tape<Device>&, View<const T, Device> db) const {
    Backend<Device>::template map<Write::accumulate>(weight.gradient(), SignSlope{}, elements(weight.value()),
                                                     elements(db));
  }
};

/// |W| ~ a b^T with the least squared error: |W| has no negative number, so power iteration finds the leading pair.
template <class M>
void nearest_outer_product(View<const M> w, View<M> a, View<M> b) {
  b.flat().setConstant(1);
  for (int i = 0; i < 30; ++i) {
    a.flat().setZero();
    for (Index r = 0; r < w.rows(); ++r) a.data[r] = (w.row(r).abs() * b.flat()).sum() / b.flat().square().sum();
    b.flat().setZero();
    for (Index r = 0; r < w.rows(); ++r) b.flat() += w.row(r).abs() * (a.data[r] / a.flat().square().sum());
  }
}

/// What runs: the signs as bits, h and g.
struct OneBitForm {
  static constexpr std::string_view name = "one-bit-stored", summary = "signs, a vector for rows, one for columns";
  static constexpr std::string_view layout = packed_layout;

  template <class T, class Device>
  struct Matrix {
    Tensor<std::uint8_t, Device> signs;
    Tensor<T, Device> row, column;
    Index cols;

    Matrix(const OneBitForm&, const LinearShape& s)
        : signs(Shape{s.out, sign_row_bytes(s.in)}), row(Shape{s.out}), column(Shape{s.in}), cols(s.in) {}
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return multiply(x, pass.tape.borrow(column.view()));
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return multiply(y, pass.tape.borrow(row.view()));
    }
    void restore(View<T, Device> b) const {
      for (Index i = 0; i < b.rows(); ++i)
        unpack_row(signs.view().data + i * signs.shape().cols(), View<T>(b.row(i).data(), Shape{cols}));
    }
    void dense(View<T, Device> w) const {
      restore(w);
      for (Index i = 0; i < w.rows(); ++i) w.row(i) *= row.view().data[i] * column.view().flat();
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("signs", self.signs...);
      v("row", self.row...);
      v("column", self.column...);
    }
  };
};

/// y = h * ( sgn(W) (g * x) )
struct OneBit {
  static constexpr std::string_view name = "one-bit", summary = "h sgn(W) g, a vector for rows and one for columns";
  using Form = OneBitForm;

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight, row, column;  ///< W, h, g

    Parameters(const OneBit&, const LinearShape& s)
        : weight({s.out, s.in}), row({s.out}, false), column({s.in}, false) {}
    /// W, h and g of |W| ~ h g^T.
    void start(View<const M, Device> dense) {
      const OnHost w(dense);
      Tensor<M> h(row.shape()), g(column.shape());
      nearest_outer_product(w.view(), h.view(), g.view());
      copy_to_device(w.view(), weight.value);
      copy_to_device(read(h.view()), row.value);
      copy_to_device(read(g.view()), column.value);
    }
    /// sgn W, h and g: what the stored form holds.
    void restore(const OneBitForm::Matrix<M, Device>& from) {
      from.restore(weight.value);
      row.value.flat() = from.row.view().flat();
      column.value.flat() = from.column.view().flat();
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return multiply(x, pass.tape.use(column));
    }
    [[nodiscard]] SignWeight<M, Device> effective(Pass<T, Device>& pass) const { return {pass.tape.use(weight)}; }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return multiply(y, pass.tape.use(row));
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("row", self.row...);
      v("column", self.column...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, OneBitForm::Matrix<T, Cpu>& to) {
    for (Index i = 0; i < from.weight.shape().rows(); ++i)
      pack_row(View<const T>(from.weight.value.row(i).data(), Shape{to.cols}),
               to.signs.view().data + i * to.signs.shape().cols());
    to.row.view().flat() = from.row.value.flat();
    to.column.view().flat() = from.column.value.flat();
  }
};
static_assert(LinearKind<OneBit> && StoredForm<OneBitForm>);

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

template <class T>
using Trained = Llama<T, Cpu, Quantised<user::OneBit>>;
using Runs = Llama<float, Cpu, Stored<user::OneBitForm>>;

template <class T>
Trained<T> tiny() {
  Llama<T> dense(tiny_config());
  initialise(dense, 3, 0.3);
  auto model = quantise<user::OneBit>(dense);
  disturb(model);
  return model;
}

}  // namespace

TEST_CASE("rows and columns: the start is the nearest outer product of the magnitudes") {
  Tensor<double> a = normal_tensor({5}, 1), b = normal_tensor({7}, 2), w(Shape{5, 7});
  for (Index i = 0; i < 35; ++i)
    w.view().data[i] = (i % 3 == 0 ? -1 : 1) * std::abs(a.view().data[i / 7] * b.view().data[i % 7]);
  Tensor<double> h(Shape{5}), g(Shape{7});
  user::nearest_outer_product(read(w.view()), h.view(), g.view());
  for (Index i = 0; i < 35; ++i)
    CHECK(h.view().data[i / 7] * g.view().data[i % 7] == doctest::Approx(std::abs(w.view().data[i])));
}

TEST_CASE("rows and columns: gradients of everything but W are those of finite differences") {
  auto model = tiny<double>();
  check_gradients(model, 0, [](const std::string& name) { return !name.ends_with("_proj.weight"); });
}

TEST_CASE("rows and columns: the gradient of W is that of sgn W times 1.001 - tanh^2 w") {
  const Tensor<double> x = normal_tensor({3, 6}, 1), values = normal_tensor({4, 6}, 2), out = normal_tensor({3, 4}, 3);
  Tape<> tape;
  const auto w = tape.variable(values.view());
  const auto y = transient_linear(tape.constant(x.view()), user::SignWeight<double, Cpu>{w});
  tape.backward(sum(multiply(y, tape.constant(out.view()))));
  for (Index i = 0; i < 4; ++i) {
    for (Index j = 0; j < 6; ++j) {
      double g = 0;
      for (Index n = 0; n < 3; ++n) g += out.view().row(n)[i] * x.view().row(n)[j];
      const double t = std::tanh(values.view().row(i)[j]);
      CHECK(w.gradient().row(i)[j] == doctest::Approx(g * (1.001 - t * t)));
    }
  }
}

TEST_CASE("rows and columns: saved, loaded, stored, and run, bit for bit") {
  const TemporaryFolder folder;
  const auto model = tiny<float>();
  const auto ids = random_ids({1, 9}, 37, 4);
  const auto logits = logits_of(model, ids.view());
  save(model, folder / "trained");
  const auto again = load_model<Trained<float>>(folder / "trained");
  CHECK(tensors_of(again) == tensors_of(model));
  CHECK(same_bits(logits_of(again, ids.view()).view(), logits.view()));

  const auto stored = store(model);
  save(stored, folder / "stored");
  const auto runs = load_model<Runs>(folder / "stored");
  CHECK(tensors_of(runs) == tensors_of(stored));
  CHECK(same_bits(logits_of(runs, ids.view()).view(), logits.view()));
  CHECK(largest_difference(decoded_logits(runs, ids.view()), logits) < 1e-5);
  CHECK(largest_difference(logits_of(unpack(runs), ids.view()), logits) < 1e-5);
  CHECK(same_bits(logits_of(restore<user::OneBit>(runs), ids.view()).view(), logits.view()));

  const BitCounts bits = bit_counts(folder / "stored", known_of<Runs>());
  CHECK(bits.signs_only == 1);
  const Index out = 4 * 4 + 2 * 8 + 12 + 2 * 20 + 12, in = 3 * 12 + 16 + 2 * 12 + 20;  // of the seven linear layers
  const Index rounded_up = 16 * 16 + 2 * 8 * 16 + 12 * 16 + 2 * 20 * 16 + 12 * 24,
              weights = 12 * (16 + 8 + 8 + 16 + 60);
  CHECK(bits.block_linears_with_scales == doctest::Approx(double(rounded_up + 32 * (out + in)) / double(weights)));
}

TEST_CASE("rows and columns: stories260K trains, and its stored form writes the same text") {
  auto real = stories260k();
  if (!real) return;
  auto model = quantise<user::OneBit>(real->model);
  const auto losses = short_training(model, real->corpus, 24, 2e-3);
  CHECK(fall(losses) < 0.9);
  const auto runs = store(model);
  const GenerateOptions options{.max_tokens = 8, .vocabulary = VocabularyPrecision::float32};
  CHECK(generate(runs, real->tokenizer, "Once upon a time", options) ==
        generate(model, real->tokenizer, "Once upon a time", options));
}
