// SPDX-License-Identifier: MIT
/// A kind of linear layer that the library does not know: three values a weight (Ma et al., BitNet b1.58,
/// arXiv 2402.17764).
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace user {

using namespace binllm;

/// W_b = G q,   q = clamp(round(W / G), -1, 1),   G = mean |W|;      backward takes the identity: dW = dW_b
template <class M>
struct Ternary {
  M scale;
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w) const {  // rounded to +-1 from G / 2 on
    const X half = formula::splat<X>(scale / 2);
    return half * (formula::sign(X(w - half)) + formula::sign(X(w + half)));
  }
};
template <class M>
[[nodiscard]] M mean_magnitude(View<const M> w) {
  return std::max(w.flat().abs().mean(), M(1e-5));
}

template <class M, class Device>
struct TernaryWeight {
  Variable<M, Device> weight;
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient(); }
  template <class T>
  void forward(Tape<Device>&, View<T, Device> wb) const {
    Backend<Device>::map(wb, Ternary<M>{mean_magnitude(read(weight.value()))}, elements(weight.value()));
  }
  template <class T>
  void backward(Tape<Device>&, View<const T, Device> dwb) const {
    Kernel<Accumulate, Device>::forward(dwb, Gradient<T, Device>(weight.gradient()));
  }
};

/// What runs: codes q + 1 = 0, 1, 2, five of them a byte in base 3, and G. 1.6 bits a weight.
struct TernaryForm {
  static constexpr std::string_view name = "ternary-stored", summary = "five weights a byte, one scale";

  template <class T, class Device>
  struct Matrix {
    Tensor<std::uint8_t, Device> codes;
    Tensor<T, Device> scale;

    Matrix(const TernaryForm&, const LinearShape& s) : codes(Shape{s.out, (s.in + 4) / 5}), scale(Shape{1}) {}
    void restore(View<T, Device> w) const {
      for (Index i = 0; i < w.rows(); ++i) {
        const std::uint8_t* row = codes.view().data + i * codes.shape().cols();
        int left = 0;
        for (Index j = 0; j < w.cols(); ++j, left /= 3) {
          if (j % 5 == 0) left = row[j / 5];
          w.row(i)[j] = scale.view().data[0] * static_cast<T>(left % 3 - 1);
        }
      }
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("codes", self.codes...);
      v("scale", self.scale...);
    }
  };
};

struct TernaryKind {
  static constexpr std::string_view name = "ternary", summary = "G clamp(round(W / G), -1, 1), G = mean |W|";
  using Form = TernaryForm;

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight;

    Parameters(const TernaryKind&, const LinearShape& s) : weight({s.out, s.in}) {}
    void start(View<const M, Device> dense) { copy_to_device(OnHost(dense).view(), weight.value); }
    [[nodiscard]] TernaryWeight<M, Device> effective(Pass<T, Device>& pass) const { return {pass.tape.use(weight)}; }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, TernaryForm::Matrix<T, Cpu>& to) {
    const auto w = from.weight.value;
    const T g = to.scale.view().data[0] = mean_magnitude(read(w));
    for (Index i = 0; i < w.rows(); ++i) {
      std::uint8_t* row = to.codes.view().data + i * to.codes.shape().cols();
      for (Index j = w.cols() - 1; j >= 0; --j) {
        const int q = static_cast<int>(std::lround(Ternary<T>{g}(w.row(i)[j]) / g));
        row[j / 5] = static_cast<std::uint8_t>(3 * row[j / 5] + q + 1);
      }
    }
  }
};
static_assert(LinearKind<TernaryKind> && StoredForm<TernaryForm>);

}  // namespace user

using namespace binllm;
using namespace binllm::test;

TEST_CASE("ternary: the nearest of -G, 0, G, and the identity backward") {
  Tape<> tape;
  const auto w = tape.variable<double>({{-3, -0.4, 0.1, 0.9}, {0.6, 0, -1, 2}});  // G = 1
  const auto x = tape.constant<double>({{1, 2, 3, 4}});
  const user::TernaryWeight<double, Cpu> ternary{w};
  Tensor<double> wb(Shape{2, 4});
  ternary.forward(tape, wb.view());
  CHECK(largest_difference(wb.view(), {-1, 0, 0, 1, 1, 0, -1, 1}) < 1e-12);
  tape.backward(sum(transient_linear(x, ternary)));
  CHECK(largest_difference(w.gradient(), {1, 2, 3, 4, 1, 2, 3, 4}) < 1e-12);
}

TEST_CASE("ternary: stories260K trains, is saved in both forms, loaded, and runs at 1.6 bits a weight") {
  auto real = stories260k();
  if (!real) return;
  auto model = quantise<user::TernaryKind>(real->model);
  CHECK(fall(short_training(model, real->corpus, 24, 1e-3)) < 0.9);
  const TemporaryFolder folder;
  save(model, folder / "trained");
  CHECK(tensors_of(load_model<decltype(model)>(folder / "trained")) == tensors_of(model));

  const auto runs = store(model);
  using Runs = Llama<float, Cpu, Stored<user::TernaryForm>>;
  save(runs, folder / "stored", {.tokenizer = &real->tokenizer});
  const auto [loaded, tokenizer] = load_pretrained<Runs>(folder / "stored");
  CHECK(tensors_of(loaded) == tensors_of(runs));
  const View<const std::int32_t> ids(real->corpus.tokens().data(), Shape{1, 20});
  CHECK(largest_difference(logits_of(loaded, ids), logits_of(model, ids)) < 1e-4);
  CHECK(largest_difference(decoded_logits(loaded, ids), logits_of(loaded, ids)) < 1e-4);
  CHECK(bit_counts(folder / "stored", known_of<Runs>()).block_linears_with_scales < 1.75);
  CHECK(generate(loaded, tokenizer, "Once", {.max_tokens = 5}).size() > 4);
}
