// SPDX-License-Identifier: MIT
/// Incremental network quantisation: the largest weights are rounded and frozen, the others train on to make up for it,
/// share after share.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/methods/two_valued_rows.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/training_progress.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace binllm {

/// One bit: W_b = S_i (+-1), with S_i = mean |W| of the row when training starts, as INQ fixes its levels once.
struct SignLevels {
  static constexpr std::string_view name = "inq", summary = "signs frozen share by share, the largest first";
  static constexpr std::string_view weight = "S sgn(W) where frozen, else W", granularity = "row", bits = "1";

  /// One number a row.
  template <class T>
  static void start(View<const T> w, View<T> levels) {
    levels.flat() = w.matrix().array().abs().rowwise().mean();
  }
  template <class T>
  [[nodiscard]] static T nearest(T w, T level) {
    return std::copysign(level, w == T(0) ? T(1) : w);
  }
};

/// Powers of two and zero, in b bits: P = {0, +-2^n2, ..., +-2^n1},
///   n1 = floor(log2(4 max|W| / 3)),   n2 = n1 + 1 - 2^(b-1) / 2
/// of the weights when training starts. With neighbours p < q of P, |w| in [(p + q) / 2, 3 q / 2) goes to q.
template <int b>
struct PowersOfTwo {
  static_assert(b >= 2 && b <= 8);
  static constexpr std::string_view name = "inq-powers", summary = "powers of two frozen share by share, as published";
  static constexpr std::string_view weight = "+-2^n or 0 where frozen, else W", granularity = "tensor";
  static constexpr char digits[]{static_cast<char>('0' + b), '\0'};
  static constexpr std::string_view bits{digits, 1};
  static constexpr int powers = (1 << (b - 1)) / 2;  ///< of each sign

  template <class T>
  static void start(View<const T> w, View<T> levels) {
    levels.flat().setConstant(std::exp2(std::floor(std::log2(4 * w.flat().abs().maxCoeff() / 3))));
  }
  template <class T>
  [[nodiscard]] static T nearest(T w, T largest) {
    const T least = std::ldexp(largest, 1 - powers), size = std::abs(w);
    if (size < least / 2) return 0;
    // from 3/4 of a power on the power itself, which 4/3 of the size does not fall short of
    const T power = std::exp2(std::floor(std::log2(4 * size / 3)));
    return std::copysign(std::clamp(power, least, largest), w);
  }
};

/// W_b = W;   dW = dW_b where W is free, else 0.
struct FreeWeights {
  using Numbers = TypeList<>;
  static constexpr bool masked = true;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X&) const {
    return w;
  }
  /// `held` is infinity while a weight is free.
  template <class X>
  [[nodiscard]] constexpr std::array<X, 1> partials(const X&, const X& held) const {
    return {formula::step(X(formula::abs(held) - std::numeric_limits<formula::lane_t<X>>::max()))};
  }
};
/// The value at which a weight is held, or the weight.
struct HeldOrFree {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w, const X& held) const {
    constexpr auto most = std::numeric_limits<formula::lane_t<X>>::max();
    if constexpr (formula::is_pack<X>) {
      return (held <= most).select(held, w);
    } else {
      return held <= most ? held : w;
    }
  }
};

/// Shares of the weights of a layer that are frozen: 0.5 when training starts, 0.75, 0.875 and 1 after each quarter of
/// the steps. The share is the t of the pass. A frozen weight stays as it is: no gradient, no decay, no momentum.
template <class Levels>
struct InqOf {
  static constexpr std::string_view name = Levels::name, summary = Levels::summary;
  static constexpr std::string_view source = "Zhou et al., INQ, ICLR 2017, arXiv 1702.03044";
  static constexpr MethodFacts facts{
      .weight = Levels::weight, .granularity = Levels::granularity, .estimator = "none", .bits = Levels::bits};
  static constexpr MethodSettings published{};
  static constexpr std::array shares{0.5, 0.75, 0.875, 1.0};

  template <std::floating_point>
  using kind = InqOf;

  [[nodiscard]] double sharpness(const TrainingProgress& progress) const {
    return shares[static_cast<std::size_t>(4 * progress.share())];
  }

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight;
    Tensor<M, Device> levels;  ///< what a row may be rounded to, fixed once
    Tensor<M, Device> held;    ///< the value of a weight that is frozen; infinity while it is free

    Parameters(const InqOf&, const LinearShape& s)
        : weight({s.out, s.in}), levels(Shape{s.out}), held(weight.shape()) {}
    void start(View<const M, Device> dense) {
      const OnHost w(dense);
      Tensor<M> first(levels.shape()), free(held.shape());
      Levels::start(w.view(), first.view());
      free.view().flat().setConstant(std::numeric_limits<M>::infinity());
      copy_to_device(w.view(), weight.value);
      copy_to_device(read(first.view()), levels.view());
      copy_to_device(read(free.view()), held.view());
      freeze(shares[0]);
    }
    [[nodiscard]] GroupedWeight<FreeWeights, M, Device> effective(Pass<T, Device>& pass) const {
      return {.formula = {}, .weight = pass.tape.use(weight), .mask = read(held.view())};
    }
    void after_update(Index, double share) {
      Backend<Device>::map(weight.value, HeldOrFree{}, elements(weight.value), elements(read(held.view())));
      if (share > frozen_) freeze(share);
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("levels", self.levels...);
      v("held", self.held...);
    }

   private:
    /// Freezes the largest of the free weights, until a share of all are frozen.
    void freeze(double share) {
      frozen_ = share;
      const OnHost now(read(weight.value)), of_rows(read(levels.view())), before(read(held.view()));
      Tensor<M> w(held.shape()), values(held.shape());
      w.view().flat() = now.view().flat();
      values.view().flat() = before.view().flat();
      std::vector<Index> free;
      for (Index i = 0; i < w.size(); ++i) {
        if (std::isinf(values.view().data[i])) free.push_back(i);
      }
      const auto wanted = static_cast<Index>(std::lround(share * static_cast<double>(w.size())));
      const Index more = wanted - (w.size() - static_cast<Index>(free.size()));
      if (more <= 0) return;
      const auto larger = [&](Index a, Index b) {
        const M x = std::abs(w.view().data[a]), y = std::abs(w.view().data[b]);
        return x > y || (x == y && a < b);
      };
      const auto end = free.begin() + std::min<std::ptrdiff_t>(more, std::ssize(free));
      std::nth_element(free.begin(), end - 1, free.end(), larger);
      for (auto i = free.begin(); i != end; ++i) {
        const M value = Levels::nearest(w.view().data[*i], of_rows.view().data[*i / w.shape().cols()]);
        w.view().data[*i] = values.view().data[*i] = value;
      }
      copy_to_device(read(w.view()), weight.value);
      copy_to_device(read(values.view()), held.view());
    }
    double frozen_ = shares[0];  ///< at least this share is
  };
};

using InqPowersOfTwo = InqOf<PowersOfTwo<5>>;
struct Inq : InqOf<SignLevels> {
  using Form = PackedSigns<>;
  template <std::floating_point>
  using kind = Inq;
  /// Weights that are free still are rounded as they will be.
  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    to.weight.set_signs(read(from.weight.value));
    to.weight.scale.view().flat() = from.levels.view().flat();
  }
};
static_assert(Method<Inq> && Method<InqPowersOfTwo>);

}  // namespace binllm
