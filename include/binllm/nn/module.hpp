// SPDX-License-Identifier: MIT
/// Modules are plain structs with public members and one list of their names.
#pragma once
#include <binllm/autodiff/parameter.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace binllm {

namespace detail {
struct AnyVisitor {
  template <class... Members>
  void operator()(const std::string&, Members&...) const {}
};
template <class T>
inline constexpr bool is_parameter = false;
template <class T, class Device>
inline constexpr bool is_parameter<Parameter<T, Device>> = true;
}  // namespace detail

/// A struct with `template <class V, class... Self> static void visit(V&& v, Self&... self)`, which calls
/// v(name, self.member...) for each member. With one module it feeds saving, loading and counting; with two it
/// zips modules of different formats. Names are Hugging Face's; nested names are joined by dots.
template <class M>
concept Module = requires(M& module) { std::remove_const_t<M>::visit(detail::AnyVisitor{}, module); };

/// Calls f(full name, leaf...) for every member that is not itself a module in all of the models.
template <class F, class First, class... Rest>
void for_each_leaf(const std::string& prefix, F&& f, First& first, Rest&... rest) {
  if constexpr (Module<First> && (Module<Rest> && ...)) {
    std::remove_const_t<First>::visit(
        [&](const std::string& name, auto&... members) { for_each_leaf(prefix.empty() ? name : prefix + "." + name, f, members...); }, first, rest...);
  } else {
    f(prefix, first, rest...);
  }
}

/// Calls f(full name, parameter) for every parameter that has elements.
template <class F, class Model>
void for_each_parameter(Model& model, F&& f) {
  for_each_leaf("", [&](const std::string& name, auto& leaf) {
    if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(leaf)>>) {
      if (leaf.size() > 0) f(name, leaf);
    }
  }, model);
}

/// Values and gradients of all parameters of a model, each in one block: those that decay first, in visit order.
/// AdamW, clipping, zeroing, copying and checkpointing are each one pass over it.
template <class T, class Device>
struct ParameterBlock {
  Tensor<T, Device> values, gradients;
  Index decayed = 0;  ///< elements [0, decayed) belong to parameters with weight decay

  /// Gives memory to every parameter of the model that has none yet. Parameters start at multiples of 64 bytes.
  template <class Model>
  void allocate(Model& model, bool with_gradients) {
    Index size = 0;
    const auto place = [&](bool decays) {
      for_each_parameter(model, [&](const std::string&, auto& parameter) {
        if (!parameter.value && parameter.decays == decays) size += aligned(parameter.size());
      });
    };
    place(true);
    decayed = size;
    place(false);
    values = Tensor<T, Device>(Shape{size});
    if (with_gradients) gradients = Tensor<T, Device>(Shape{size});
    Index next = 0;
    const auto bind = [&](bool decays) {
      for_each_parameter(model, [&](const std::string&, auto& parameter) {
        if (parameter.value || parameter.decays != decays) return;
        parameter.value.data = values.view().data + next;
        if (with_gradients) parameter.gradient.data = gradients.view().data + next;
        next += aligned(parameter.size());
      });
    };
    // Decided before binding starts: bound parameters no longer count as unplaced.
    bind(true);
    bind(false);
  }
  void zero_gradients() { Backend<Device>::zero(gradients.view().data, static_cast<std::size_t>(gradients.size()) * sizeof(T)); }

 private:
  static Index aligned(Index size) {
    constexpr Index step = 64 / static_cast<Index>(sizeof(T));
    return (size + step - 1) / step * step;
  }
};

/// Number of parameters with values, tied tensors once.
template <class Model>
[[nodiscard]] Index parameter_count(const Model& model) {
  Index count = 0;
  for_each_parameter(model, [&](const std::string&, const auto& parameter) { count += parameter.size(); });
  return count;
}

}  // namespace binllm
