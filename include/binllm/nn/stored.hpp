// SPDX-License-Identifier: MIT
/// The one format of models that only run, over any stored form of weights.
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/nn/vocabulary_precision.hpp>
#include <binllm/ops/transient_linear.hpp>

namespace binllm {

/// A stored form: a struct with
///   name, summary
///   Matrix<T, D>          what one linear layer holds, built from (form, LinearShape). A module whose leaves are
///                         tensors (names and values are what files hold) or describe their own tensors; and
///     restore(w)              writes the weight (out,in) that the layer multiplies with; or
///     product(pass, x)        y = x W^T without making W
///     multiply_together(pass, x, products)      optional: of several layers with one input (nn/joint_products.hpp)
///     before(pass, x), after(pass, y) or after(pass, y, x)      optional, as of its kind
///     dense(w)                writes one weight that does all of this, or throws config_inconsistent where none does;
///                             optional where restore(w) is that weight
///   one_weight            optional: false where a layer does more than multiply with a weight, so that dense refuses
///   multiplies_on<D>      optional: whether a device other than the host has `product`
///   layout                optional: the name of the layout of its tensors in files, with a version
///   describe(put), named(get)            optional, as of a kind: the words of config.json, and the form of them
template <class S>
concept StoredForm = requires {
  { S::name } -> std::convertible_to<std::string_view>;
  typename S::template Matrix<float, Cpu>;
};

/// The same stored form where its products take activations of another sort; of most forms there is one alone.
template <class S, class Activations>
struct FormWith {
  using type = S;
};

namespace detail {
/// The form in which a kind's weights are stored: what the kind says, where it holds settings that the form needs.
template <class S, class K>
[[nodiscard]] S form_of([[maybe_unused]] const K& kind) {
  if constexpr (requires {
                  { kind.form() } -> std::convertible_to<S>;
                }) {
    return kind.form();
  } else {
    return {};
  }
}

/// The one weight (out,in) that does what a stored linear layer does.
template <class Matrix, class T, class Device>
void write_dense(const Matrix& matrix, View<T, Device> w) {
  if constexpr (requires { matrix.dense(w); }) {
    matrix.dense(w);
  } else {
    static_assert(
        !requires { &Matrix::before; } && !requires { &Matrix::after; },
        "a stored form with before or after says dense(w)");
    matrix.restore(w);
  }
}

/// A stored weight as it was, for as long as it multiplies.
template <class T, class Device, class Matrix>
struct RestoredWeight {
  const Matrix* matrix;
  Shape shape;
  [[nodiscard]] bool needs_gradient() const { return false; }
  void forward(Tape<Device>&, View<T, Device> w) const { matrix->restore(w); }
  void backward(Tape<Device>&, View<const T, Device>) const {}
};
}  // namespace detail

/// Not trainable: trainers refuse it at compile time.
template <StoredForm S>
struct Stored : S {
  static constexpr bool trainable = false;
  static constexpr VocabularyPrecision vocabulary = VocabularyPrecision::bfloat16;
  using form = S;

  template <class T, class Device>
  using Input = NoInput<T, Device>;

  template <class T, class Device>
  struct Linear : S::template Matrix<T, Device> {
    using Matrix = typename S::template Matrix<T, Device>;
    Shape weight_shape;

    Linear(const Stored& format, const LinearShape& shape)
        : Matrix(static_cast<const S&>(format), shape), weight_shape{shape.out, shape.in} {}
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&,
                                                 Variable<T, Device> x) const {
      const Matrix& own = *this;
      Stage<Device> stage(pass.tape);
      const Variable<T, Device> input = x;
      if constexpr (requires { own.before(pass, x); }) x = own.before(pass, x);
      const auto y = [&] {
        if constexpr (requires { own.product(pass, x); }) {
          return own.product(pass, x);
        } else {
          return transient_linear(x, detail::RestoredWeight<T, Device, Matrix>{&own, weight_shape});
        }
      }();
      if constexpr (requires { own.after(pass, y, input); }) {
        return stage.keep(own.after(pass, y, input));
      } else if constexpr (requires { own.after(pass, y); }) {
        return stage.keep(own.after(pass, y));
      } else {
        return stage.keep(y);
      }
    }
  };
};

}  // namespace binllm
