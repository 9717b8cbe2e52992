// SPDX-License-Identifier: MIT
/// Weights that are a formula of each weight and of a few numbers of its group:
///   W_b,j = f(w_j; s_1 ... s_K)         s_k: statistics of the group's weights, or learned (nn/group_statistics.hpp)
/// Groups are rows, columns, runs of a row, or the whole matrix. Backward, with g = dL/dW_b:
///   dW_j  += g_j df/dw(w_j) + sum_k ds_k/dw_j A_k         A_k = sum_i g_i df/ds_k(w_i), over the group
///   ds_k  += A_k                                          where s_k is learned
/// so that a method is its equations, f and the partial derivatives of f with its estimator in place of that of sgn:
///
///     struct AdaBinFormula {
///       using Numbers = TypeList<statistic::Mean, statistic::Deviation>;
///       template <class X>
///       X value(const X& w, const X& beta, const X& alpha) const { return alpha * formula::sign(X(w - beta)) + beta; }
///       template <class X>
///       std::array<X, 3> partials(const X& w, const X& beta, const X& alpha) const;  // by w, beta, alpha
///     };
///
/// Optional in a formula: `granularity` (row unless said); `masked`: value and partials then take the mask m of a weight
/// behind it, a constant; and `const double* t`, which is made to point to the t of the pass.
/// Saves nothing: numbers are computed again in backward.
/// Cost   one pass over W for each statistic, forward and backward; one for f; in backward one for each number that a
///        gradient flows to, and one for dW.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/core/type_list.hpp>
#include <binllm/nn/group_formulas.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/policy/scale.hpp>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace binllm {

namespace detail {

/// The groups of a weight, as operands and reductions see them.
template <Granularity granularity, class Device>
struct Grouping {
  using B = Backend<Device>;
  Index count, members;  ///< groups of `members` weights each
  Shape block;           ///< the weight, with one group a row, or a column

  Grouping(const Shape& weight, Index run)
      : count(ScaleTraits{.granularity = granularity, .group = run}.shape(weight[0], weight[1]).size()),
        members(weight.size() / count),
        block(granularity == Granularity::group ? Shape{count, members} : weight) {}

  /// The number of the group that a weight belongs to.
  template <class T>
  [[nodiscard]] static auto by_group(View<T, Device> numbers) {
    if constexpr (granularity == Granularity::column) {
      return per_column(numbers);
    } else if constexpr (granularity == Granularity::tensor) {
      return uniform(numbers);
    } else {
      return per_row(numbers);
    }
  }
  /// out[group] = sum of f over its weights; that of a whole matrix row by row first, which many threads share.
  template <class T, class F, class... In>
  void sum([[maybe_unused]] Tape<Device>& tape, View<T, Device> out, F f, In... in) const {
    if constexpr (granularity == Granularity::column) {
      B::zero(out.data, static_cast<std::size_t>(count) * sizeof(T));
      B::column_reduce(out, members, f, in...);
    } else if constexpr (granularity == Granularity::tensor) {
      const Temporary<T, Device> rows(tape, Shape{1, block.rows()});
      B::template row_reduce<Sum>(rows.view().reshaped(Shape{block.rows()}), block.cols(), f, in...);
      B::template row_reduce<Sum>(out, block.rows(), formula::Identity{}, elements(rows.view()));
    } else {
      B::template row_reduce<Sum>(out, members, f, in...);
    }
  }
};

}  // namespace detail

/// The formula, reading the t of this pass where it reads one.
template <class F, class T, class Device>
[[nodiscard]] F formula_at(const Pass<T, Device>& pass, F formula = {}) {
  if constexpr (requires { formula.t; }) formula.t = pass.scalars[StepScalars<Device>::sharpness].data;
  return formula;
}

template <class F, class M, class Device, class Numbers = typename F::Numbers>
struct GroupedWeight;

/// The weight function of a formula (ops/transient_linear.hpp).
template <class F, class M, class Device, class... S>
struct GroupedWeight<F, M, Device, TypeList<S...>> {
  static constexpr std::size_t numbers = sizeof...(S), learned_numbers = (std::size_t{0} + ... + detail::is_learned<S>);
  using Groups = detail::Grouping<detail::granularity_of<F>(), Device>;
  using B = Backend<Device>;

  F formula;
  Variable<M, Device> weight;
  std::array<Variable<M, Device>, learned_numbers> learned{};  ///< in the order of the list
  View<const M, Device> mask{};                                ///< of a masked formula
  Index run = 0;                                               ///< weights in a group, where groups are runs of a row
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const {
    bool any = weight.needs_gradient();
    for (const auto& number : learned) any = any || number.needs_gradient();
    return any;
  }
  template <class T>
  void forward(Tape<Device>& tape, View<T, Device> wb) const {
    const Groups groups(shape, run);
    const Temporary<M, Device> memory(tape, room(groups));
    const auto s = compute(tape, groups, memory.view());
    std::apply([&](auto... in) { B::map(wb.reshaped(groups.block), detail::GroupedValue<F>{formula}, in...); },
               operands<numbers>(groups, s));
  }
  template <class T>
  void backward(Tape<Device>& tape, View<const T, Device> dwb) const {
    const Groups groups(shape, run);
    const Temporary<M, Device> memory(tape, room(groups)), sums(tape, room(groups));
    const auto s = compute(tape, groups, memory.view());
    const auto g = elements(dwb.reshaped(groups.block));
    Numbers a;
    each_number([&]<std::size_t k, class Number>() {
      a[k] = part(sums.view(), groups, k);
      if (!wants_sum<k, Number>()) return;
      std::apply([&](auto... in) { groups.sum(tape, a[k], detail::GroupedPartial<F, k>{formula}, g, in...); },
                 operands<numbers>(groups, s));
      if constexpr (detail::is_learned<Number>) {
        const auto ds = learned[learned_before<k>].gradient();
        B::template map<Write::accumulate>(ds.reshaped(a[k].shape), formula::Identity{}, elements(a[k]));
      }
    });
    if (!weight.needs_gradient()) return;
    const detail::GroupedGradient<F, M, TypeList<S...>> gradient{formula, static_cast<M>(groups.members)};
    std::apply(
        [&](auto... in) {
          B::template map<Write::accumulate>(weight.gradient().reshaped(groups.block), gradient, g, in...);
        },
        std::tuple_cat(operands<numbers>(groups, s), by_group(a)));
  }
  /// Calls body(s) with views of s_1 ... s_K, one number a group each, for as long as that takes.
  template <class Body>
  void with_numbers(Tape<Device>& tape, const Body& body) const {
    const Groups groups(shape, run);
    const Temporary<M, Device> memory(tape, room(groups));
    body(compute(tape, groups, memory.view()));
  }
  /// s_1 ... s_K of every group: (K, groups), for who stores the weight.
  [[nodiscard]] Tensor<M, Device> numbers_of(Tape<Device>& tape) const {
    const Groups groups(shape, run);
    Tensor<M, Device> all(room(groups));
    const auto s = compute(tape, groups, all.view());
    for (std::size_t k = 0; k < numbers; ++k) {
      const auto to = part(all.view(), groups, k);
      if (to.data != s[k].data) B::copy(to.data, s[k].data, static_cast<std::size_t>(groups.count) * sizeof(M));
    }
    return all;
  }

 private:
  /// One number of every group, for each of the list.
  using Numbers = std::array<View<M, Device>, numbers>;

  template <class Body>
  static void each_number(const Body& body) {
    [&]<std::size_t... k>(std::index_sequence<k...>) { (body.template operator()<k, S>(), ...); }
    (std::index_sequence_for<S...>{});
  }
  /// How many of the first k numbers are learned.
  template <std::size_t k>
  static constexpr std::size_t learned_before = [] {
    constexpr std::array<bool, numbers + 1> learns{detail::is_learned<S>..., false};
    return static_cast<std::size_t>(std::count(learns.begin(), learns.begin() + k, true));
  }();
  template <std::size_t k, class Number>
  [[nodiscard]] bool wants_sum() const {
    if constexpr (detail::is_learned<Number>) {
      return learned[learned_before<k>].needs_gradient();
    } else {
      return detail::is_attached<Number> && weight.needs_gradient();
    }
  }
  [[nodiscard]] static Shape room(const Groups& groups) { return {static_cast<Index>(numbers), groups.count}; }
  [[nodiscard]] static View<M, Device> part(View<M, Device> memory, const Groups& groups, std::size_t k) {
    return {memory.data + static_cast<Index>(k) * groups.count, Shape{groups.count}};
  }
  [[nodiscard]] Numbers compute(Tape<Device>& tape, const Groups& groups, View<M, Device> memory) const {
    Numbers s;
    const auto n = static_cast<M>(groups.members);
    each_number([&]<std::size_t k, class Number>() {
      if constexpr (detail::is_learned<Number>) {
        s[k] = learned[learned_before<k>].value();
      } else {
        s[k] = part(memory, groups, k);
        std::apply([&](auto... in) { groups.sum(tape, s[k], detail::StatisticTerm<Number, M>{M(1) / n}, in...); },
                   operands<k>(groups, s));
        if constexpr (requires { Number::finish(n, n); })
          B::map(s[k], detail::StatisticFinish<Number, M>{n}, elements(s[k]));
      }
    });
    return s;
  }
  /// The weights, their mask if any, and the first `count` numbers.
  template <std::size_t count>
  [[nodiscard]] auto operands(const Groups& groups, const Numbers& s) const {
    const auto w = elements(weight.value().reshaped(groups.block));
    return [&]<std::size_t... k>(std::index_sequence<k...>) {
      if constexpr (detail::is_masked<F>()) {
        return std::tuple(w, elements(mask.reshaped(groups.block)), Groups::by_group(s[k])...);
      } else {
        return std::tuple(w, Groups::by_group(s[k])...);
      }
    }
    (std::make_index_sequence<count>{});
  }
  [[nodiscard]] static auto by_group(const Numbers& s) {
    return std::apply([](const auto&... s_k) { return std::tuple(Groups::by_group(s_k)...); }, s);
  }
};

/// What a kind of linear layer holds whose formula reads W and t; kinds whose formula has learned numbers add these.
template <class F, class T, class Device>
struct LatentWeight {
  using M = master_t<T>;
  using Function = GroupedWeight<F, M, Device>;
  Parameter<M, Device> weight;

  template <class Kind>
  LatentWeight(const Kind&, const LinearShape& s) : weight({s.out, s.in}) {}
  void start(View<const M, Device> dense) {
    Backend<Device>::copy(weight.value.data, dense.data, static_cast<std::size_t>(dense.size()) * sizeof(M));
  }
  [[nodiscard]] Function effective(Pass<T, Device>& pass) const requires(Function::learned_numbers == 0) {
    return weight_function(pass, {});
  }
  [[nodiscard]] Function weight_function(Pass<T, Device>& pass,
                                         std::array<Variable<M, Device>, Function::learned_numbers> learned) const {
    return {.formula = formula_at<F>(pass), .weight = pass.tape.use(weight), .learned = learned};
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("weight", self.weight...);
  }
};

}  // namespace binllm
