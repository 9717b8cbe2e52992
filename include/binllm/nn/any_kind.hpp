// SPDX-License-Identifier: MIT
/// Linear layers whose kind is known at run time alone: one virtual call a product. A program that opens any model has
/// models of this one format, so what it compiles grows with the kinds, not with kinds times families.
#pragma once
#include <binllm/nn/any_linear.hpp>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace binllm {

namespace detail {
/// Hands the leaves of a layer to the visitor of a module, read-only where the module is.
template <class V, bool constant, class T, class Device>
class LeavesTo final : public LeafVisitor<T, Device> {
 public:
  explicit LeavesTo(V& visitor) : visitor_(visitor) {}
  void parameter(const std::string& name, Parameter<master_t<T>, Device>& leaf) override { hand_on(name, leaf); }
  void tensor(const std::string& name, Tensor<master_t<T>, Device>& leaf) override { hand_on(name, leaf); }
  void tensor(const std::string& name, Tensor<std::uint8_t, Device>& leaf) override { hand_on(name, leaf); }
  void tensor(const std::string& name, Tensor<std::int32_t, Device>& leaf) override { hand_on(name, leaf); }
  void packed(const std::string& name, PackedMatrix<master_t<T>, Device>& leaf) override { hand_on(name, leaf); }

 private:
  template <class Leaf>
  void hand_on(const std::string& name, Leaf& leaf) {
    if constexpr (constant) {
      visitor_(name, std::as_const(leaf));
    } else {
      visitor_(name, leaf);
    }
  }
  V& visitor_;
};
}  // namespace detail

/// The format of such layers for models that compute in T on a device: cheap to copy.
template <class Scalar, class Where>
struct AnyKind {
  static constexpr bool trainable = true;  ///< by type; `trains()` says whether this one is
  static constexpr std::string_view name = "any", summary = "a format that is chosen while a program runs";
  std::shared_ptr<const AnyFormat<Scalar, Where>> chosen;

  // what other formats say as constants
  [[nodiscard]] bool trains() const { return chosen->trainable(); }
  [[nodiscard]] std::string_view chosen_name() const { return chosen->name(); }
  [[nodiscard]] VocabularyPrecision chosen_vocabulary() const { return chosen->vocabulary(); }
  [[nodiscard]] double sharpness(const TrainingProgress& progress) const { return chosen->sharpness(progress); }
  template <class Put>
  void describe(const Put& put) const {
    for (const auto& [key, value] : chosen->words()) put(key, value);
  }
  [[nodiscard]] bool agrees(std::string_view key, std::string_view wanted, std::string_view found) const {
    return chosen->agrees(key, wanted, found);
  }
  [[nodiscard]] bool yields(std::string_view key, std::string_view own, std::string_view said) const {
    return chosen->yields(key, own, said);
  }

  template <class T, class Device>
  using Input = NoInput<T, Device>;

  template <class T, class Device>
  struct Linear {
    static_assert(std::is_same_v<T, Scalar> && std::is_same_v<Device, Where>,
                  "a format for one scalar type and device");
    std::unique_ptr<AnyLinear<T, Device>> any;

    Linear(const AnyKind& format, const LinearShape& shape) : any(format.chosen->make(shape)) {}
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&,
                                                 Variable<T, Device> x) const {
      return any->run(pass, x, nullptr);
    }
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&, Variable<T, Device> x,
                                                 Variable<T, Device> residual) const {
      return any->run(pass, x, &residual);
    }
    template <class Layer>
    [[nodiscard]] static bool multiply_together(Pass<T, Device>& pass, Variable<T, Device> x,
                                                std::span<JointProduct<Layer, T, Device>> products) {
      std::array<JointProduct<AnyLinear<T, Device>, T, Device>, most_joint_products> erased{};
      for (std::size_t i = 0; i < products.size(); ++i) erased[i].layer = products[i].layer->any.get();
      const AnyLinear<T, Device>& first = *erased.front().layer;
      if (!first.run_together(pass, x, std::span(erased).first(products.size()))) return false;
      for (std::size_t i = 0; i < products.size(); ++i) products[i].y = erased[i].y;
      return true;
    }
    void after_update(Index step, double t) { any->after_update(step, t); }
    [[nodiscard]] bool acts_after_update() const { return any->acts_after_update(); }
    void add_progress(double t, BitProgress& sum) const { any->add_progress(t, sum); }

    template <class V, class Self>
    static void visit(V&& v, Self& self) {
      detail::LeavesTo<std::remove_reference_t<V>, std::is_const_v<Self>, T, Device> forward(v);
      self.any->visit(forward);
    }
  };
};

}  // namespace binllm
