// SPDX-License-Identifier: MIT
/// Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon) for the weights of linear layers, AdamW for all other
/// parameters. For a weight of r rows and c columns:
///
///     g' = clip g
///     m  = b m + (1 - b) g'
///     u  = b m + (1 - b) g'                                      Nesterov's look ahead
///     X  = u / |u|,  then `steps` times                          Newton-Schulz: U V^T of u = U S V^T, nearly
///         A = X X^T,   X = 3.4445 X + (-4.7750 A + 2.0315 A A) X
///     w -= lr rate ( 0.2 sqrt(max(r, c)) X + decay w )
///
/// Of r > c the products stand on the other side: A = X^T X. The factor 0.2 sqrt(max(r, c)) makes an update as large as
/// AdamW's, so that rates and decay of AdamW serve (Liu et al., arXiv 2502.16982). What PyTorch's optim.Muon computes with
/// adjust_lr_fn = "match_rms_adamw".
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/core/counts.hpp>
#include <binllm/optim/adamw.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace binllm {

template <class T, class Device>
class Muon;

struct MuonOptions {
  double rate = 1, momentum = 0.95;
  Index steps = 5;
  AdamWOptions others{};  ///< of the parameters that AdamW trains; decay and its target are those of all

  template <class T, class Device>
  using Optimiser = Muon<T, Device>;
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("muon_rate", self.rate, "Muon's learning rate over that of the step", above(0));
    v("muon_momentum", self.momentum, "Muon's memory of gradients", between(0, AdamWOptions::below_one));
    v("muon_steps", self.steps, "Newton-Schulz steps of Muon", count_from(1));
  }
};

/// What the products of the iteration are computed in: they need few digits, and a GPU has fast ones.
template <class T, class Device>
struct MuonPrecision {
  using type = T;
};
template <>
struct MuonPrecision<float, Cuda> {
  using type = bf16;
};

struct MuonUpdate {
  /// Numbers of the step, in device memory.
  struct Step {
    const double *clip, *learning_rate;
  };
  template <class T>
  struct Momentum {  // m and u after the step
    T momentum;
    const double* clip;
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& m, const X& g) const {
      const X fresh = (T(1) - momentum) * (static_cast<T>(*clip) * g);
      const X kept = momentum * m + fresh;
      return {kept, momentum * kept + fresh};
    }
  };
  struct Square {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& u) const {
      return u * u;
    }
  };
  struct Normalise {  // of u and |u|^2
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& u, const X& squares) const {
      return u / formula::max(formula::sqrt(squares), formula::lane_t<X>(1e-7));
    }
  };
  /// The iteration's polynomial, x (3.4445 - 4.7750 x^2 + 2.0315 x^4) of each singular value x.
  static constexpr double linear = 3.4445, cubic = -4.7750, quintic = 2.0315;
  struct GramTerms {  // the cubic and the quintic part of A
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a) const {
      using T = formula::lane_t<X>;
      return {T(cubic) * a, T(quintic) * a};
    }
  };
  struct LinearTerm {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x) const {
      return formula::lane_t<X>(linear) * x;
    }
  };
  template <class T>
  struct Apply {  // w after the step
    T decay, rate, size;
    const double* learning_rate;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& x) const {
      return w - static_cast<T>(*learning_rate) * rate * (size * x + decay * w);
    }
  };
};

/// Working memory, as large as the largest matrix wants it.
template <class T, class Device>
struct MuonMemory {
  using C = typename MuonPrecision<T, Device>::type;
  View<T, Device> update, sums;    // u; a number a row, and their sum
  View<C, Device> x, next, gram, terms, squares;
};

template <>
inline constexpr bool cuda::shipped<MuonUpdate> = true;
template <class Device>
struct GenericKernel<MuonUpdate, Device> {
  using B = Backend<Device>;

  template <class T>
  static void update(const MuonOptions& o, const ParameterRule& rule, const MuonUpdate::Step& step,
                     View<const T, Device> g, View<T, Device> w, View<T, Device> m,
                     const MuonMemory<T, Device>& memory) {
    using C = typename MuonMemory<T, Device>::C;
    const Index rows = w.rows(), cols = w.cols();
    const View<T, Device> u = part(memory.update, rows, cols), sums = part(memory.sums, rows, 1),
                          total(memory.sums.data + rows, Shape{1});
    B::map(std::array{Target<T>(m), Target<T>(u)}, MuonUpdate::Momentum<T>{static_cast<T>(o.momentum), step.clip},
           elements(read(m)), elements(g));
    B::template row_reduce<Sum>(sums, cols, MuonUpdate::Square{}, elements(read(u)));
    B::template row_reduce<Sum>(total, rows, formula::Identity{}, Elements<T>{sums.data, rows});
    View<C, Device> x = part(memory.x, rows, cols), next = part(memory.next, rows, cols);
    B::map(x, MuonUpdate::Normalise{}, elements(read(u)), uniform(read(total)));
    for (Index i = 0; i < o.steps; ++i) {
      iterate<C>(memory, x, next);
      std::swap(x, next);
    }
    const double size = 0.2 * std::sqrt(static_cast<double>(std::max(rows, cols)));
    const double decay = rule.decays ? o.others.weight_decay : 0;
    B::map(w,
           MuonUpdate::Apply<T>{static_cast<T>(decay), static_cast<T>(rule.rate), static_cast<T>(size),
                                step.learning_rate},
           elements(read(w)), elements(read(x)));
  }

 private:
  template <class X>
  [[nodiscard]] static View<X, Device> part(View<X, Device> memory, Index rows, Index cols) {
    return {memory.data, Shape{rows, cols}};
  }
  /// next = 3.4445 x + (-4.7750 A + 2.0315 A A) x
  template <class C, class Memory>
  static void iterate(const Memory& memory, View<C, Device> x, View<C, Device> next) {
    const bool wide = x.rows() <= x.cols();
    const Index n = std::min(x.rows(), x.cols());
    const View<C, Device> gram = part(memory.gram, n, n), terms = part(memory.terms, n, n),
                          squares = part(memory.squares, n, n);
    B::gemm(wide ? Product::nt : Product::tn, read(x), read(x), gram);
    B::map(std::array{Target<C>(terms), Target<C>(squares)}, MuonUpdate::GramTerms{}, elements(read(gram)));
    B::gemm(Product::nn, read(squares), read(gram), terms, Write::accumulate);
    B::map(next, MuonUpdate::LinearTerm{}, elements(read(x)));
    if (wide) {
      B::gemm(Product::nn, read(terms), read(x), next, Write::accumulate);
    } else {
      B::gemm(Product::nn, read(x), read(terms), next, Write::accumulate);
    }
  }
};

/// Used as AdamW is. Momentum lies where AdamW keeps the first moment; the second moment of these weights stays zero.
template <class T, class Device = Cpu>
class Muon : public AdamWBase<Muon<T, Device>, T, Device> {
  using Base = AdamWBase<Muon<T, Device>, T, Device>;

 public:
  using Options = MuonOptions;

  Muon(ParameterBlock<T, Device>& block, StepScalars<Device>& scalars, const MuonOptions& options = {})
      : Muon(trained_ranges(block), &scalars, options) {}
  /// The parameters must outlive it.
  explicit Muon(const std::vector<const Parameter<T, Device>*>& parameters, const MuonOptions& options = {})
      : Muon(trained_ranges(parameters), nullptr, options) {}

  void update() {
    this->decay_to_signs();
    const AdamWUpdate::Step step = this->numbers();
    for (const auto& matrix : this->trained_.matrices) {
      ParameterRule rule = this->left_to_the_step(matrix.rule);
      rule.rate *= options_.rate;
      Kernel<MuonUpdate, Device>::update(options_, rule, MuonUpdate::Step{step.clip, step.learning_rate},
                                         read(matrix.gradient), matrix.value, this->first_moment(matrix), memory_);
    }
    for (const auto& range : others_) this->update_range(range, step);
  }

 private:
  Muon(TrainedRanges<T, Device> trained, StepScalars<Device>* scalars, const MuonOptions& options)
      : Base(std::move(trained), scalars, options.others), options_(options) {
    for (const auto& range : this->trained_.ranges)
      if (range.rule.kind != ParameterKind::linear) others_.push_back(range);
    Index size = 0, rows = 0, side = 0;
    for (const auto& matrix : this->trained_.matrices) {
      size = std::max(size, matrix.value.size());
      rows = std::max(rows, matrix.value.rows());
      side = std::max(side, std::min(matrix.value.rows(), matrix.value.cols()));
    }
    floats_ = Tensor<T, Device>(Shape{Block::aligned(size) + rows + 1});
    const std::array sizes{size, size, side * side, side * side, side * side};
    for (std::size_t i = 0; i < sizes.size(); ++i) numbers_.at(i) = Tensor<C, Device>(Shape{sizes.at(i)});
    memory_ = {floats_.view(),     View<T, Device>(floats_.view().data + Block::aligned(size), Shape{rows + 1}),
               numbers_[0].view(), numbers_[1].view(),
               numbers_[2].view(), numbers_[3].view(),
               numbers_[4].view()};
  }

  using Block = ParameterBlock<T, Device>;
  using C = typename MuonMemory<T, Device>::C;
  MuonOptions options_;
  std::vector<TrainedRange<T, Device>> others_;
  Tensor<T, Device> floats_;
  std::array<Tensor<C, Device>, 5> numbers_;
  MuonMemory<T, Device> memory_;
};

}  // namespace binllm
