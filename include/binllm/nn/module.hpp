// SPDX-License-Identifier: MIT
/// Modules are plain structs with public members and one list of their names.
#pragma once
#include <binllm/autodiff/parameter.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace binllm {

namespace detail {
struct AnyVisitor {
  template <class... Members>
  void operator()(const std::string&, Members&...) const {}
};
[[nodiscard]] inline std::string joined_name(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name;
}
template <class T>
inline constexpr bool is_parameter = false;
template <class T, class Device>
inline constexpr bool is_parameter<Parameter<T, Device>> = true;
template <class T>
inline constexpr bool is_tensor = false;
template <class T, class Device>
inline constexpr bool is_tensor<Tensor<T, Device>> = true;
}  // namespace detail

/// A struct with `template <class V, class... Self> static void visit(V&& v, Self&... self)`, which calls
/// v(name, self.member...) for each member. With one module it feeds saving, loading and counting; with two it
/// zips modules of different formats. Names are Hugging Face's; nested names are joined by dots.
template <class M>
concept Module = requires(M& module) {
  std::remove_const_t<M>::visit(detail::AnyVisitor{}, module);
};

/// Calls f(full name, leaf...) for every member that is not itself a module in all of the models.
template <class F, class First, class... Rest>
void for_each_leaf(const std::string& prefix, F&& f, First& first, Rest&... rest) {
  if constexpr (Module<First> && (Module<Rest> && ...)) {
    std::remove_const_t<First>::visit(
        [&](const std::string& name, auto&... members) {
          for_each_leaf(detail::joined_name(prefix, name), f, members...);
        },
        first, rest...);
  } else {
    f(prefix, first, rest...);
  }
}

template <class T, class Device>
struct NamedParameter {
  std::string name;
  const Parameter<T, Device>* parameter;
};

/// Every parameter of a model that has elements, in visit order. All loops over parameters start from this list, so
/// that the walk through the modules is compiled once a model and not once a loop.
template <class Model>
[[nodiscard]] auto named_parameters(const Model& model) {
  std::vector<NamedParameter<typename Model::Master, typename Model::device>> list;
  for_each_leaf(
      "",
      [&](const std::string& name, const auto& leaf) {
        if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(leaf)>>) {
          if (leaf.size() > 0) list.push_back({name, &leaf});
        }
      },
      model);
  return list;
}

/// Calls f(full name, parameter) for every parameter that has elements.
template <class F, class Model>
void for_each_parameter(Model& model, F&& f) {
  for (const auto& [name, parameter] : named_parameters(model)) {
    if constexpr (std::is_const_v<Model>) {
      f(name, *parameter);
    } else {
      f(name, const_cast<std::remove_cvref_t<decltype(*parameter)>&>(
                  *parameter));  // a member of the model, which is writable
    }
  }
}

/// A tensor of a trainable module that is kept and not trained, such as a mask.
struct NamedBuffer {
  std::string name;
  void* data;
  std::size_t bytes;
};

/// Every buffer of a model that has elements, in visit order.
template <class Model>
[[nodiscard]] std::vector<NamedBuffer> buffers(const Model& model) {
  std::vector<NamedBuffer> list;
  for_each_leaf(
      "",
      [&](const std::string& name, const auto& leaf) {
        if constexpr (detail::is_tensor<std::remove_cvref_t<decltype(leaf)>>) {
          using X = std::remove_const_t<std::remove_pointer_t<decltype(leaf.view().data)>>;
          if (leaf.size() > 0)
            list.push_back({name, const_cast<X*>(leaf.view().data), static_cast<std::size_t>(leaf.size()) * sizeof(X)});
        }
      },
      model);
  return list;
}

/// Number of parameters with values, tied tensors once.
template <class Model>
[[nodiscard]] Index parameter_count(const Model& model) {
  Index count = 0;
  for_each_parameter(model, [&](const std::string&, const auto& parameter) { count += parameter.size(); });
  return count;
}

}  // namespace binllm
