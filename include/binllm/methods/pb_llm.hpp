// SPDX-License-Identifier: MIT
/// PB-LLM's quantisation-aware training: salient weights keep eight bits and stand still, the others are signs.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/methods/forms/salient.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/effective_weight.hpp>
#include <binllm/nn/grouped_weight.hpp>

#include <algorithm>
#include <vector>

namespace binllm {

/// n over the number of weights that are not salient.
struct InverseOrdinaryShare {
  static constexpr bool detached = true;
  template <class X>
  [[nodiscard]] static constexpr X term(const X&, const X& m) {
    return formula::lane_t<X>(1) - m;
  }
  template <class X>
  [[nodiscard]] static constexpr X finish(const X& share, formula::lane_t<X>) {
    return reciprocal_scale(share);
  }
};
/// S = mean |W| of these.
struct OrdinaryMagnitude {
  static constexpr bool detached = true;
  template <class X>
  [[nodiscard]] static constexpr X term(const X& w, const X& m, const X& inverse_share) {
    return (formula::lane_t<X>(1) - m) * formula::abs(w) * inverse_share;
  }
};

/// W_b = m W + (1 - m) S sgn(W);   by W: (1 - m) S, so a salient weight gets no gradient, and none flows through S.
struct PartlyBinary {
  using Numbers = TypeList<InverseOrdinaryShare, OrdinaryMagnitude>;
  static constexpr Granularity granularity = Granularity::tensor;
  static constexpr bool masked = true;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& m, const X&, const X& s) const {
    return m * w + (formula::lane_t<X>(1) - m) * s * formula::sign(w);
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 3> partials(const X&, const X& m, const X&, const X& s) const {
    const X zero = formula::splat<X>(0);
    return {X((formula::lane_t<X>(1) - m) * s), zero, zero};
  }
};

/// Salient are the weights below the share/2 quantile of W or above the 1 - share/2 quantile, of all of the matrix, when
/// training starts. Then, too, W is rounded to 256 levels from the least to the largest weight of each row.
struct PbLlm {
  static constexpr std::string_view name = "pb-llm", summary = "a tenth in 8 bits and still, S sgn(W) elsewhere";
  static constexpr std::string_view source = "Shang et al., PB-LLM, ICLR 2024, arXiv 2310.00034; its training";
  static constexpr MethodFacts facts{
      .weight = "salient ? W : S sgn(W)", .granularity = "tensor", .estimator = "identity", .bits = "1.7"};
  static constexpr MethodSettings published{
      .optimiser = {.last_learning_rate = 0, .warmup = 500, .beta2 = 0.999, .weight_decay = 0}};
  static constexpr double share = 0.1;

  template <std::floating_point>
  using kind = PbLlm;
  using Form = Salient;
  [[nodiscard]] Salient form() const { return {share}; }

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight;
    Tensor<M, Device> mask;       ///< 1 where a weight is salient
    Tensor<M, Device> low, step;  ///< the levels of a row: low + step (0 ... 255)

    Parameters(const PbLlm&, const LinearShape& s)
        : weight({s.out, s.in}), mask(weight.shape()), low(Shape{s.out}), step(Shape{s.out}) {}
    void start(View<const M, Device> dense) {
      const OnHost host(dense);
      const auto w = host.view();
      Tensor<M> rounded(w.shape), salient(w.shape), first(low.shape()), between(step.shape());
      mark_salient(w, salient.view());
      for (Index i = 0; i < w.rows(); ++i) {
        const M least = w.row(i).minCoeff(), s = (w.row(i).maxCoeff() - least) / 255;
        first.view().data[i] = least, between.view().data[i] = s;
        rounded.view().row(i) = least + s * ((w.row(i) - least) * reciprocal_scale(s)).rint();
      }
      copy_to_device(read(rounded.view()), weight.value);
      copy_to_device(read(salient.view()), mask.view());
      copy_to_device(read(first.view()), low.view());
      copy_to_device(read(between.view()), step.view());
    }
    [[nodiscard]] GroupedWeight<PartlyBinary, M, Device> effective(Pass<T, Device>& pass) const {
      return {.formula = {}, .weight = pass.tape.use(weight), .mask = read(mask.view())};
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("mask", self.mask...);
      v("low", self.low...);
      v("step", self.step...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, SalientMatrix<T, Cpu>& to) {
    to.low.view().flat() = from.low.view().flat();
    to.step.view().flat() = from.step.view().flat();
    to.scale.view().flat().setConstant(group_numbers<T>(from).view().data[1]);
    to.set(read(from.weight.value), read(from.mask.view()));
  }

 private:
  /// Quantiles as the k-th least number, k = floor(n share / 2) and floor(n (1 - share / 2)).
  template <class M>
  static void mark_salient(View<const M> w, View<M> salient) {
    std::vector<M> sorted(w.data, w.data + w.size());
    const auto n = static_cast<double>(w.size());
    const auto quantile = [&](double rank, M otherwise) {
      const auto k = static_cast<std::ptrdiff_t>(rank);
      if (k < 1) return otherwise;
      std::nth_element(sorted.begin(), sorted.begin() + k - 1, sorted.end());
      return sorted[static_cast<std::size_t>(k - 1)];
    };
    const M lower = quantile(n * share / 2, w.flat().minCoeff());
    const M upper = quantile(n * (1 - share / 2), w.flat().maxCoeff());
    for (Index i = 0; i < w.size(); ++i) salient.data[i] = w.data[i] < lower || w.data[i] > upper ? M(1) : M(0);
  }
};
static_assert(Method<PbLlm>);

}  // namespace binllm
