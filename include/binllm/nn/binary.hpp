// SPDX-License-Identifier: MIT
/// The quantisation-aware format of stage 2: master weights in full precision, W_b in the product.
#pragma once
#include <binllm/nn/dense.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/transient_linear.hpp>
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
  View<const double, Device> hardness;
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient() || learned.needs_gradient(); }
  template <class C>
  void forward(Tape<Device>& tape, View<C, Device> wb) const {
    const Temporary<T, Device> memory(tape, Shape{K::workspace(scale, shape)});
    K::forward(estimator, scale, read(weight.value()), read(learned.value()), hardness.data, memory.view(), wb);
  }
  template <class C>
  void backward(Tape<Device>& tape, View<const C, Device> dwb) const {
    const Temporary<T, Device> memory(tape, Shape{K::workspace(scale, shape)});
    K::backward(estimator, scale, read(weight.value()), read(learned.value()), hardness.data, dwb, memory.view(),
                weight.gradient(), learned.gradient());
  }
};

/// Binarised linear layers after a recipe. The layers use its estimator, its scale, and whether an S_t that was not
/// folded away multiplies the input; the schedule only rides along, for the trainer.
template <RecipeLike R>
struct Binary {
  static constexpr bool trainable = true;
  static constexpr std::string_view name = "binary";
  static constexpr ChannelSharing sharing = R::channel_scale::sharing;
  using recipe = R;
  using E = typename R::estimator;
  using S = typename R::scale;
  [[no_unique_address]] E estimator{};
  [[no_unique_address]] S scale{};
  [[no_unique_address]] typename R::schedule schedule{};

  template <class T, class Device>
  using Input = NoInput<T, Device>;

  template <class T, class Device>
  struct Linear {
    static_assert(std::same_as<typename R::value_type, master_t<T>>, "the recipe's scalar type must be the model's");
    Parameter<master_t<T>, Device> weight;
    Parameter<master_t<T>, Device> scale;        ///< S_l; no elements where the scale policy learns nothing
    Parameter<master_t<T>, Device> input_scale;  ///< S_t; no elements where it is folded away
    Binary format;

    Linear(const Binary& chosen, Index out, Index in)
        : weight({out, in}),
          scale(chosen.scale.traits().learned ? chosen.scale.traits().shape(out, in) : Shape{0}, false),
          input_scale(sharing == ChannelSharing::per_linear ? Shape{in} : Shape{0}, false),
          format(chosen) {}
    /// With a residual: residual + x W_b^T.
    template <class... Residual>
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&, Variable<T, Device> x,
                                                 Residual... residual) const {
      if constexpr (sharing == ChannelSharing::per_linear) x = multiply(x, pass.tape.use(input_scale));
      const BinaryWeight<E, S, Device> binary{format.estimator, format.scale, pass.tape.use(weight),
                                              pass.tape.use(scale), pass.scalars[StepScalars<Device>::hardness]};
      const auto y = transient_linear(x, binary, residual...);
      if constexpr (sharing == ChannelSharing::per_linear) forget(x);
      return y;
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("scale", self.scale...);
      v("input_scale", self.input_scale...);
    }
  };
};

}  // namespace binllm
