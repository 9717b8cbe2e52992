// SPDX-License-Identifier: MIT
/// A format F, and a linear layer of it, behind the interfaces of nn/any_linear.hpp: what a kind does not have is left out.
#pragma once
#include <binllm/nn/any_kind.hpp>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace binllm {

/// The layer of a format F behind the interface. Whoever knows F finds it again: `layer`.
template <class F, class T, class Device>
class LinearOf final : public AnyLinear<T, Device> {
 public:
  using Layer = typename F::template Linear<T, Device>;
  using Site = typename F::template Input<T, Device>;
  using M = master_t<T>;
  static_assert(std::is_same_v<Site, NoInput<T, Device>>,
                "linear layers that share an input cannot be erased one by one");
  Layer layer;

  LinearOf(const F& format, const LinearShape& shape) : layer(format, shape) {}
  Variable<T, Device> run(Pass<T, Device>& pass, Variable<T, Device> x,
                          const Variable<T, Device>* residual) const override {
    if (residual == nullptr) return layer(pass, Site(), x);
    if constexpr (requires { layer(pass, Site(), x, *residual); }) {
      return layer(pass, Site(), x, *residual);
    } else {
      return add(*residual, layer(pass, Site(), x));
    }
  }
  bool run_together([[maybe_unused]] Pass<T, Device>& pass, [[maybe_unused]] Variable<T, Device> x,
                    [[maybe_unused]] std::span<JointProduct<AnyLinear<T, Device>, T, Device>> products) const override {
    using Own = JointProduct<Layer, T, Device>;
    if constexpr (requires(std::span<Own> own) { Layer::multiply_together(pass, x, own); }) {
      std::array<Own, most_joint_products> own{};
      for (std::size_t i = 0; i < products.size(); ++i) {
        const auto* const alike = dynamic_cast<const LinearOf*>(products[i].layer);
        if (alike == nullptr) return false;
        own[i].layer = &alike->layer;
      }
      if (!Layer::multiply_together(pass, x, std::span(own).first(products.size()))) return false;
      for (std::size_t i = 0; i < products.size(); ++i) products[i].y = own[i].y;
      return true;
    } else {
      return false;
    }
  }
  void visit(LeafVisitor<T, Device>& visitor) override {
    for_each_leaf(
        "",
        [&](const std::string& name, auto& leaf) {
          using Leaf = std::remove_cvref_t<decltype(leaf)>;
          if constexpr (detail::is_parameter<Leaf>) {
            visitor.parameter(name, leaf);
          } else if constexpr (detail::is_tensor<Leaf>) {
            visitor.tensor(name, leaf);
          } else {
            visitor.packed(name, leaf);
          }
        },
        layer);
  }
  void start([[maybe_unused]] View<const M, Device> dense) override {
    if constexpr (requires { layer.start(dense); }) layer.start(dense);
  }
  void store([[maybe_unused]] AnyLinear<T, Device>& to) const override {
    if constexpr (stores) {
      using Form = typename F::kind::Form;
      const auto in = [&]<class S>(std::type_identity<S>) {
        auto* const stored = dynamic_cast<LinearOf<Stored<S>, T, Device>*>(&to);
        if (stored != nullptr)
          F::kind::store(parameters(), static_cast<typename S::template Matrix<T, Device>&>(stored->layer));
        return stored != nullptr;
      };
      if (!in(std::type_identity<Form>{})) in(std::type_identity<typename FormWith<Form, FloatActivations>::type>{});
    }
  }
  void restore([[maybe_unused]] View<M, Device> dense) const override {
    if constexpr (on_host && requires { typename F::form; }) {
      const typename Layer::Matrix& matrix = layer;
      detail::write_dense(matrix, dense);
    }
  }
  bool restore_from([[maybe_unused]] const AnyLinear<T, Device>& from) override {
    if constexpr (stores) {
      using Form = typename F::kind::Form;
      if constexpr (requires(const typename Form::template Matrix<T, Device>& matrix) { layer.restore(matrix); }) {
        if (const auto* const stored = dynamic_cast<const LinearOf<Stored<Form>, T, Device>*>(&from)) {
          layer.restore(static_cast<const typename Form::template Matrix<T, Device>&>(stored->layer));
          return true;
        }
      }
    }
    return false;
  }
  void after_update([[maybe_unused]] Index step, [[maybe_unused]] double t) override {
    if constexpr (requires { layer.after_update(step, t); }) layer.after_update(step, t);
  }
  [[nodiscard]] bool acts_after_update() const override {
    return requires(decltype(layer) & acting) { acting.after_update(Index{}, 0.0); };
  }
  void add_progress([[maybe_unused]] double t, [[maybe_unused]] BitProgress& sum) const override {
    if constexpr (requires { layer.add_progress(t, sum); }) layer.add_progress(t, sum);
  }
  Parameter<M, Device>* weight() override {
    if constexpr (requires { layer.weight.gradient; }) {
      return &layer.weight;
    } else {
      return nullptr;
    }
  }

 private:
  static constexpr bool on_host = std::is_same_v<Device, Cpu> && std::is_same_v<T, M>;
  static constexpr bool stores = on_host && requires { typename F::kind::Form; };
  [[nodiscard]] const auto& parameters() const { return static_cast<const typename Layer::Parameters&>(layer); }
};

template <class F, class T, class Device>
class FormatOf final : public AnyFormat<T, Device> {
 public:
  using Words = typename AnyFormat<T, Device>::Words;
  F format;

  explicit FormatOf(const F& chosen) : format(chosen) {}
  std::unique_ptr<AnyLinear<T, Device>> make(const LinearShape& shape) const override {
    return std::make_unique<LinearOf<F, T, Device>>(format, shape);
  }
  std::string_view name() const override { return F::name; }
  bool trainable() const override { return F::trainable; }
  VocabularyPrecision vocabulary() const override {
    if constexpr (requires { F::vocabulary; }) return F::vocabulary;
    return VocabularyPrecision::float32;
  }
  bool quantised() const override {
    return requires { typename F::kind; };
  }
  Words words() const override { return words_of(format); }
  std::string_view stored_name() const override {
    if constexpr (requires { typename F::kind::Form; }) return Stored<typename F::kind::Form>::name;
    return {};
  }
  Words stored_words() const override {
    if constexpr (requires { typename F::kind::Form; }) {
      using Form = typename F::kind::Form;
      return words_of(Stored<Form>{detail::form_of<Form>(format)});
    }
    return {};
  }
  bool multiplies_on_gpus() const override {
    if constexpr (requires { F::template multiplies_on<Cuda>; }) return F::template multiplies_on<Cuda>;
    return false;
  }
  bool one_weight() const override {
    if constexpr (requires { F::one_weight; }) return F::one_weight;
    return true;
  }
  bool agrees(std::string_view key, std::string_view wanted, std::string_view found) const override {
    return words_agree(format, key, wanted, found);
  }
  bool yields(std::string_view key, std::string_view own, std::string_view said) const override {
    return word_yields(format, key, own, said);
  }
  double sharpness(const TrainingProgress& progress) const override { return sharpness_at(format, progress); }

 private:
  template <class Other>
  [[nodiscard]] static Words words_of(const Other& other) {
    Words words;
    put_words(other, [&](std::string_view key, std::string_view value) { words.emplace_back(key, value); });
    return words;
  }
};

/// The format F, erased.
template <class T, class Device, class F>
[[nodiscard]] AnyKind<T, Device> any_kind(const F& format) {
  return {std::make_shared<const FormatOf<F, T, Device>>(format)};
}

/// The layer of format F that a linear layer is: itself, or what stands behind the interface of one whose format is F.
template <class F, class Linear>
[[nodiscard]] auto& layer_as(Linear& linear) {
  if constexpr (requires { linear.any; }) {
    using Any = std::remove_reference_t<decltype(*linear.any)>;
    return []<class T, class Device>(AnyLinear<T, Device> & any) -> auto& {
      return static_cast<LinearOf<F, T, Device>&>(any).layer;
    }
    (static_cast<Any&>(*linear.any));
  } else {
    return linear;
  }
}
/// The weight that training changes; null where a layer has none of that name.
template <class T, class Device, class F>
[[nodiscard]] const Parameter<master_t<T>, Device>* trained_weight(const LinearLayer<T, Device, F>& linear) {
  if constexpr (requires { linear.any; }) {
    return linear.any->weight();
  } else if constexpr (requires { linear.weight.gradient; }) {
    return &linear.weight;
  } else {
    return nullptr;
  }
}

}  // namespace binllm
