// SPDX-License-Identifier: MIT
/// Products of several linear layers with one input:   y_i = layer_i(x)
/// A format whose layers can make them at once says so with
///   static bool multiply_together(pass, x, products)      of its Linear
/// which makes the y of each product as the layer alone would, bit for bit, or makes none and returns false. It is asked
/// only while nothing is recorded. Layers of other formats multiply one by one.
#pragma once
#include <binllm/nn/pass.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace binllm {

/// A layer, and its product with the common input once that is made.
template <class Layer, class T, class Device>
struct JointProduct {
  const Layer* layer = nullptr;
  std::optional<Variable<T, Device>> y{};
};

/// Layers that share an input, at most.
inline constexpr std::size_t most_joint_products = 4;

/// The products of some layers with x: made at once where their format can, else each when it is asked for, so that one
/// can serve before the next needs memory.
template <class Layer, class Site, class T, class Device, std::size_t count>
class ProductsOfInput {
  static_assert(count <= most_joint_products);
  using Product = JointProduct<Layer, T, Device>;

 public:
  /// `site` is what stands at the input, which x has passed.
  ProductsOfInput(Pass<T, Device>& pass, const Site& site, Variable<T, Device> x,
                  const std::array<const Layer*, count>& layers)
      : pass_(pass), site_(site), x_(x) {
    for (std::size_t i = 0; i < count; ++i) products_[i].layer = layers[i];
    if constexpr (requires { Layer::multiply_together(pass, x, std::span<Product>(products_)); }) {
      made_ = !pass.tape.recording() && Layer::multiply_together(pass, x, std::span<Product>(products_));
    }
  }
  [[nodiscard]] bool at_once() const noexcept { return made_; }
  /// Asked for once.
  [[nodiscard]] Variable<T, Device> operator()(std::size_t i) const {
    const Product& one = products_[i];
    return made_ ? one.layer->biased(pass_, *one.y) : (*one.layer)(pass_, site_, x_);
  }

 private:
  Pass<T, Device>& pass_;
  const Site& site_;
  Variable<T, Device> x_;
  std::array<Product, count> products_{};
  bool made_ = false;
};

template <class T, class Device, class Site, class Layer, class... Layers>
[[nodiscard]] auto products_of_input(Pass<T, Device>& pass, const Site& site, Variable<T, Device> x, const Layer& first,
                                     const Layers&... others) {
  constexpr std::size_t count = 1 + sizeof...(others);
  return ProductsOfInput<Layer, Site, T, Device, count>(pass, site, x,
                                                        std::array<const Layer*, count>{&first, &others...});
}

}  // namespace binllm
