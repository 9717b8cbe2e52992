// SPDX-License-Identifier: MIT
/// DB-LLM's flexible dual binarisation: two bits a weight as two planes, whose scales are learned.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/methods/forms/dual_binary.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/grouped_weight.hpp>

namespace binllm {

/// W_b = a1 b1 + a2 b2,   b1 = H(w - (a1 + a2) / 2),   b2 = H(-(w - a1 b1 - a2 / 2)),   H(x) = 1 where x >= 0, else 0
/// With the identity for the derivative of H, all the way down to w, a1 and a2:
///   by w: a1 - a2 + a1 a2,   by a1: (1 + a2) (b1 - a1 / 2),   by a2: b2 - a1 / 2 + a2 (1 - a1) / 2
struct TwoPlanes {
  using Numbers = TypeList<Learned, Learned>;
  static constexpr Granularity granularity = Granularity::group;

  template <class X>
  [[nodiscard]] static constexpr X first(const X& w, const X& a1, const X& a2) {
    return formula::step(X(w - (a1 + a2) * half<X>));
  }
  template <class X>
  [[nodiscard]] static constexpr X second(const X& w, const X& a1, const X& a2) {
    return formula::step(X(a1 * first(w, a1, a2) + a2 * half<X> - w));
  }
  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& a1, const X& a2) const {
    return a1 * first(w, a1, a2) + a2 * second(w, a1, a2);
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 3> partials(const X& w, const X& a1, const X& a2) const {
    constexpr formula::lane_t<X> one(1);
    return {X(a1 - a2 + a1 * a2), X((one + a2) * (first(w, a1, a2) - a1 * half<X>)),
            X(second(w, a1, a2) - a1 * half<X> + a2 * (one - a1) * half<X>)};
  }

 private:
  template <class X>
  static constexpr formula::lane_t<X> half = formula::lane_t<X>(0.5);
};

/// Scales for each run of 64 weights of a row (or the largest divisor of a row's length below), at first those of two
/// bits, a1 = 2 s and a2 = -s with s = max|W| / 2: levels -s, 0, s, 2 s.
struct DbLlm {
  static constexpr std::string_view name = "db-llm", summary = "a1 b1 + a2 b2, two planes of bits, scales learned";
  static constexpr std::string_view source = "Chen et al., DB-LLM, ACL 2024, arXiv 2402.11960; no code is published";
  static constexpr MethodFacts facts{.weight = "a1 b1 + a2 b2, b in {0, 1}",
                                     .granularity = "group:64",
                                     .estimator = "identity",
                                     .learnable = "a1, a2",
                                     .teacher = "loss (DAD)",
                                     .bits = "2"};
  static constexpr MethodSettings published{.loss = {.distillation = 1, .ambiguity = 1}};

  template <std::floating_point>
  using kind = DbLlm;
  using Form = DualBinary;

  template <class T, class Device>
  struct Parameters : LatentWeight<TwoPlanes, T, Device> {
    using M = master_t<T>;
    Parameter<M, Device> alpha1, alpha2;

    Parameters(const DbLlm& kind, const LinearShape& s)
        : LatentWeight<TwoPlanes, T, Device>(kind, s),
          alpha1({s.out, s.in / run_length(s.in)}, ParameterRule{.decays = false, .kind = ParameterKind::vector}),
          alpha2(alpha1.shape(), alpha1.rule) {}
    void start(View<const M, Device> dense) {
      LatentWeight<TwoPlanes, T, Device>::start(dense);
      const OnHost w(dense);
      Tensor<M> s(Shape{alpha1.size()});
      s.view().flat() = w.view().reshaped({alpha1.size(), run()}).matrix().array().abs().rowwise().maxCoeff() / 2;
      s.view().flat() *= -1;
      copy_to_device(read(s.view()), alpha2.value);
      s.view().flat() *= -2;
      copy_to_device(read(s.view()), alpha1.value);
    }
    [[nodiscard]] auto effective(Pass<T, Device>& pass) const {
      auto function = this->weight_function(pass, {pass.tape.use(alpha1), pass.tape.use(alpha2)});
      function.run = run();
      return function;
    }
    /// Weights that share their scales.
    [[nodiscard]] Index run() const { return run_length(this->weight.shape().cols()); }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("alpha1", self.alpha1...);
      v("alpha2", self.alpha2...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, DualBinaryMatrix<T, Cpu>& to) {
    to.alpha1.view().flat() = from.alpha1.value.flat();
    to.alpha2.view().flat() = from.alpha2.value.flat();
    const auto w = from.weight.value;
    std::vector<T> b1(static_cast<std::size_t>(w.cols())), b2(b1.size());
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index j = 0; j < w.cols(); ++j) {
        const T a1 = to.alpha1.view().row(i)[j / from.run()], a2 = to.alpha2.view().row(i)[j / from.run()];
        const auto k = static_cast<std::size_t>(j);
        b1[k] = TwoPlanes::first(w.row(i)[j], a1, a2) - T(0.5);  // a bit is whether a number is at least 0
        b2[k] = TwoPlanes::second(w.row(i)[j], a1, a2) - T(0.5);
      }
      pack_row(View<const T>(b1.data(), Shape{w.cols()}), to.first.view().data + i * to.first.shape().cols());
      pack_row(View<const T>(b2.data(), Shape{w.cols()}), to.second.view().data + i * to.second.shape().cols());
    }
  }
};
static_assert(Method<DbLlm>);

}  // namespace binllm
