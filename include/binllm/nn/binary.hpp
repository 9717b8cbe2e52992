// SPDX-License-Identifier: MIT
/// The kind of weight of BinaryLLM: W_b = S_l S_a E(W / S_a, t), by the policies of a recipe.             (Eq. 4, 9)
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/nn/bit_progress.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/nn/quantised.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/policy/names.hpp>
#include <binllm/policy/recipe.hpp>

namespace binllm {

/// W_b of a master weight and its learned scale, as a weight function of transient_linear.
template <Estimator E, Scale S, class Device>
struct BinaryWeight {
  using T = typename E::value_type;
  using K = Kernel<Binarize<E, S>, Device>;
  E estimator;
  S scale;
  Variable<T, Device> weight, learned;
  View<const double, Device> sharpness;
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient() || learned.needs_gradient(); }
  template <class C>
  void forward(Tape<Device>& tape, View<C, Device> wb) const {
    const Temporary<T, Device> memory(tape, Shape{K::workspace(scale, shape)});
    K::forward(estimator, scale, read(weight.value()), read(learned.value()), sharpness.data, memory.view(), wb);
  }
  template <class C>
  void backward(Tape<Device>& tape, View<const C, Device> dwb) const {
    const Temporary<T, Device> memory(tape, Shape{K::workspace(scale, shape)});
    K::backward(estimator, scale, read(weight.value()), read(learned.value()), sharpness.data, dwb, memory.view(),
                weight.gradient(), learned.gradient());
  }
};

/// The kind uses a recipe's estimator, its scale, and whether an S_t that was not folded away multiplies the input; the
/// schedule only rides along, for the trainer.
template <RecipeLike R>
struct BinaryKind {
  static constexpr std::string_view name = "binary", summary = "S_l S_a E(W / S_a, t), one bit a weight in the end";
  static constexpr ChannelSharing sharing = R::channel_scale::sharing;
  using recipe = R;
  using E = typename R::estimator;
  using S = typename R::scale;
  using Form = PackedSigns<>;
  [[no_unique_address]] E estimator{};
  [[no_unique_address]] S scale{};
  [[no_unique_address]] typename R::schedule schedule{};

  /// W / S_a does not change when a row of W is multiplied, and S_a takes the factor.
  [[nodiscard]] bool absorbs_row_scale() const { return scale.traits().granularity == Granularity::row; }

  /// The words of config.json.
  template <class Put>
  void describe(const Put& put) const {
    put("estimator", estimator_name(estimator));
    put("scale", scale_name(scale));
    put("granularity", granularity_name(scale.traits()));
    put("channel_scale", to_string(sharing));
    put("schedule", schedule_name(schedule));
  }
  /// The kind of such words: run-time policies by name, compile-time ones as they are. Errors: unknown_name.
  template <class Get>
  [[nodiscard]] static BinaryKind named(const Get& get) {
    BinaryKind kind;
    if constexpr (requires { E::named(get("")); }) kind.estimator = E::named(get("estimator"));
    if constexpr (requires { S::named(get(""), get("")); }) kind.scale = S::named(get("scale"), get("granularity"));
    if constexpr (requires { R::schedule::named(get("")); }) {
      const std::string_view name = get("schedule");
      if (name != custom_policy) kind.schedule = R::schedule::named(name);
    }
    return kind;
  }
  /// A schedule decides no tensor and no forward pass, so another one is welcome. "none" and "shared" store the same
  /// tensors: S_t is folded away. A policy without a name is taken on trust.
  [[nodiscard]] static bool agrees(std::string_view key, std::string_view wanted, std::string_view found) {
    if (key == "schedule" || wanted == found || wanted == custom_policy || found == custom_policy) return true;
    if (key != "channel_scale") return false;
    return (channel_sharing_named(wanted) == ChannelSharing::per_linear) ==
           (channel_sharing_named(found) == ChannelSharing::per_linear);
  }
  /// Whether the word of who saves stands in place of the kind's own: for a policy without a name, and because only who
  /// saves knows that stage 1 never ran.
  [[nodiscard]] static bool yields(std::string_view key, std::string_view own, std::string_view said) {
    return own == custom_policy || (key == "channel_scale" && own == to_string(ChannelSharing::shared) &&
                                    said == to_string(ChannelSharing::none));
  }

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    static_assert(std::same_as<typename R::value_type, M>, "the recipe's scalar type must be the model's");
    Parameter<M, Device> weight;
    Parameter<M, Device> scale;        ///< S_l; no elements where the scale policy learns nothing
    Parameter<M, Device> input_scale;  ///< S_t; no elements where it is folded away
    BinaryKind kind;

    Parameters(const BinaryKind& chosen, const LinearShape& s)
        : weight({s.out, s.in}),
          scale(chosen.scale.traits().learned ? chosen.scale.traits().shape(s.out, s.in) : Shape{0}, false),
          input_scale(chosen.keeps_input_scale(s) ? Shape{s.in} : Shape{0}, false),
          kind(chosen) {}

    /// W; S_t = 1; S_l as `start_scale` says.
    void start(View<const M, Device> dense) {
      Backend<Device>::copy(weight.value.data, dense.data, static_cast<std::size_t>(dense.size()) * sizeof(M));
      if (input_scale.size() > 0)
        Kernel<Fill, Device>::forward(M(1), Gradient<M, Device>(input_scale.value, true));
      start_scale();
    }
    /// S_l as training starts from it: 1 beside an analytic scale, mean |W| alone.
    void start_scale() {
      const ScaleTraits traits = kind.scale.traits();
      if (!traits.learned) return;
      if (traits.analytic) return Kernel<Fill, Device>::forward(M(1), Gradient<M, Device>(scale.value, true));
      Kernel<MeanMagnitude, Device>::forward(traits, read(weight.value), scale.value);
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return input_scale.size() > 0 ? multiply(x, pass.tape.use(input_scale)) : x;
    }
    [[nodiscard]] BinaryWeight<E, S, Device> effective(Pass<T, Device>& pass) const {
      return {kind.estimator, kind.scale, pass.tape.use(weight), pass.tape.use(scale),
              pass.scalars[StepScalars<Device>::sharpness]};
    }
    /// Adds the weights of this layer that F has made nearly +-S at t.
    void add_progress(double t, BitProgress& sum) const {
      const ScaleTraits traits = kind.scale.traits();
      const OnHost w(read(weight.value)), learned(read(scale.value));
      sum.saturated += saturated_weights<S>(traits, prepared(kind.estimator, static_cast<M>(t)), w.view(),
                                            learned.view());
      sum.weights += w.view().size();
      if (traits.learned && traits.analytic)
        sum.scale_drift += static_cast<double>((learned.view().flat() - M(1)).abs().sum());
      sum.scales += scale.size();
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("scale", self.scale...);
      v("input_scale", self.input_scale...);
    }
  };

  /// F becomes sgn, S = S_l S_a is merged (Eq. 10). Row and tensor scales go to the rows, column scales and an explicit
  /// S_t to the input. Errors: config_inconsistent for group scales chosen at run time (static ones do not compile).
  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    static_assert(MergeableScale<S>, "only a MergeableScale can be packed: one for a row, a column or the tensor");
    const ScaleTraits traits = from.kind.scale.traits();
    if (traits.granularity == Granularity::group)
      throw Error(ErrorId::config_inconsistent, "pack", "granularity", "row, column or tensor", "group");
    const auto w = from.weight.value;
    const GroupedBlock<Cpu, S> grouped(traits, w.shape);
    Tensor<T> merged(Shape{grouped.groups});
    if (traits.analytic) {
      Kernel<MeanMagnitude, Cpu>::forward(traits, read(w), merged.view());
      if (traits.learned) merged.view().flat() *= from.scale.value.flat();
    } else {
      merged.view().flat() = from.scale.value.flat().abs();  // S sgn(W / S) = |S| sgn(W)
    }
    to.weight.set_signs(read(w));
    const bool explicit_input = from.input_scale.size() > 0;
    if (grouped.by_column || explicit_input) to.weight.input_scale = Tensor<T>(Shape{w.cols()});
    if (explicit_input) to.weight.input_scale.view().flat() = from.input_scale.value.flat();
    if (grouped.by_column && explicit_input) to.weight.input_scale.view().flat() *= merged.view().flat();
    if (grouped.by_column && !explicit_input) to.weight.input_scale.view().flat() = merged.view().flat();
    for (Index i = 0; i < w.rows(); ++i)
      to.weight.scale.view().data[i] =
          grouped.by_column ? T(1) : merged.view().data[traits.granularity == Granularity::tensor ? 0 : i];
  }

 private:
  [[nodiscard]] static constexpr bool keeps_input_scale(const LinearShape& s) {
    return sharing == ChannelSharing::per_linear || (sharing == ChannelSharing::shared && s.keeps_input_scale);
  }
};

/// Binarised linear layers after a recipe.
template <RecipeLike R>
using Binary = Quantised<BinaryKind<R>>;

}  // namespace binllm
