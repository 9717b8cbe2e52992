// SPDX-License-Identifier: MIT
/// QuEST at one bit a weight: rounding after a rotation, and gradients only where the rounding can be trusted.
#pragma once
#include <binllm/methods/forms/signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/ops/hadamard.hpp>

#include <cmath>

namespace binllm {

/// R = W H,   W_b,ij = S_i sgn(R_ij),   S_i = sqrt(2 / pi) ( rms of row i of R  +  1e-8 )
/// dW = (dW_b where |R| <= 1.25 S, else 0) H
/// H is the Hadamard transform of blocks of a row (ops/hadamard.hpp), S a constant for the gradient. sqrt(2 / pi)
/// times the deviation is the scale of the least squared error where weights are normal.
template <class M, class Device>
struct RotatedSign {
  static constexpr double optimal = 0.7978845608028654, trusted = 1.25;  // sqrt(2 / pi)
  struct MeanSquare {
    M share;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w) const {
      return share * formula::square(w);
    }
  };
  struct Scale {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& square) const {
      return static_cast<M>(optimal) * (formula::sqrt(square) + M(1e-8));
    }
  };
  struct Value {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& rotated, const X& scale) const {
      return scale * formula::sign(rotated);
    }
  };
  struct Trusted {  // g where |r| <= 1.25 S
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& rotated, const X& g, const X& scale) const {
      return g * formula::step(X(static_cast<M>(trusted) * scale - formula::abs(rotated)));
    }
  };
  using B = Backend<Device>;
  using Rotation = Kernel<Hadamard, Device>;

  /// R and S, in memory of workspace(w) numbers.
  struct Rotated {
    View<M, Device> weight, scale, rest;
    Rotated(View<const M, Device> w, View<M, Device> memory)
        : weight(memory.data, w.shape),
          scale(memory.data + w.size(), Shape{w.rows()}),
          rest(memory.data + w.size() + w.rows(), Shape{memory.size() - w.size() - w.rows()}) {
      Rotation::forward(w, hadamard_block(w.cols()), rest, weight);
      B::template row_reduce<Sum>(scale, w.cols(), MeanSquare{M(1) / static_cast<M>(w.cols())}, elements(weight));
      B::map(scale, Scale{}, elements(scale));
    }
    static Shape workspace(const Shape& w) {
      return Shape{w.size() + w.rows() + Rotation::workspace(hadamard_block(w.cols()))};
    }
  };

  Variable<M, Device> weight;
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient(); }
  template <class T>
  void forward(Tape<Device>& tape, View<T, Device> wb) const {
    const Temporary<M, Device> memory(tape, Rotated::workspace(shape));
    const Rotated rotated(read(weight.value()), memory.view());
    B::map(wb, Value{}, elements(rotated.weight), per_row(rotated.scale));
  }
  template <class T>
  void backward(Tape<Device>& tape, View<const T, Device> dwb) const {
    const Temporary<M, Device> memory(tape, Rotated::workspace(shape));
    const Rotated rotated(read(weight.value()), memory.view());
    B::map(rotated.weight, Trusted{}, elements(rotated.weight), elements(dwb), per_row(rotated.scale));
    Rotation::backward(read(rotated.weight), hadamard_block(shape.cols()), rotated.rest,
                       Gradient<M, Device>(weight.gradient()));
  }
};

/// What runs: packed signs with a scale a row, behind the rotation of the input.
struct QuestForm {
  static constexpr std::string_view name = "quest-stored", summary = "signs and a scale a row, behind a rotation";
  static constexpr std::string_view layout = packed_layout;

  template <class T, class Device>
  struct Matrix : PackedSignsMatrix<FloatActivations, T, Device> {
    using Signs = PackedSignsMatrix<FloatActivations, T, Device>;
    using Signs::Signs;
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>&, Variable<T, Device> x) const {
      return hadamard(x, hadamard_block(this->weight.cols));
    }
    /// W_b H, which rotates no input.
    void dense(View<T, Device> w) const {
      const Index block = hadamard_block(w.cols());
      Tensor<T, Device> rotated(w.shape), memory(Shape{Kernel<Hadamard, Device>::workspace(block)});
      Signs::dense(rotated.view());
      Kernel<Hadamard, Device>::forward(read(rotated.view()), block, memory.view(), w);
    }
  };
};

/// y = W_b (x H): both rotations cancel, but for what rounding adds.
struct QuestKind {
  static constexpr std::string_view name = "quest", summary = "S sgn(W H) (x H), gradient where |W H| <= 1.25 S";
  using Form = QuestForm;

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight;

    Parameters(const QuestKind&, const LinearShape& s) : weight({s.out, s.in}) {}
    void start(View<const M, Device> dense) {
      Backend<Device>::copy(weight.value.data, dense.data, static_cast<std::size_t>(dense.size()) * sizeof(M));
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>&, Variable<T, Device> x) const {
      return hadamard(x, hadamard_block(x.shape().cols()));
    }
    [[nodiscard]] RotatedSign<M, Device> effective(Pass<T, Device>& pass) const { return {pass.tape.use(weight)}; }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, QuestForm::Matrix<T, Cpu>& to) {
    using Rotated = typename RotatedSign<T, Cpu>::Rotated;
    const View<const T> w = read(from.weight.value);
    Tensor<T> memory(Rotated::workspace(w.shape));
    const Rotated rotated(w, memory.view());
    to.weight.set_signs(read(rotated.weight));
    to.weight.scale.view().flat() = rotated.scale.flat();
  }
};
static_assert(LinearKind<QuestKind> && StoredForm<QuestForm>);

struct Quest {
  static constexpr std::string_view name = QuestKind::name, summary = QuestKind::summary;
  static constexpr std::string_view source = "Panferov et al., QuEST, ICML 2025, arXiv 2502.05003";
  static constexpr MethodFacts facts{
      .weight = "S sgn(W H)", .granularity = "row", .estimator = "trust: 1 where |W H| <= 1.25 S"};
  static constexpr MethodSettings published{.optimiser = {.learning_rate = 1.2e-3, .last_learning_rate = 0}};

  template <std::floating_point T>
  using kind = QuestKind;
};
static_assert(Method<Quest>);

}  // namespace binllm
