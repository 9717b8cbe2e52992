// SPDX-License-Identifier: MIT
/// Linear layers whose kind is known at run time alone: one virtual call a product. A program that opens any model has
/// models of this one format, so what it compiles grows with the kinds, not with kinds times families.
#pragma once
#include <binllm/nn/bit_progress.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/nn/vocabulary_precision.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace binllm {

/// Hears of the leaves of a layer, by name: what a module's visit would be given.
template <class T, class Device>
class LeafVisitor {
 public:
  using M = master_t<T>;
  virtual ~LeafVisitor() = default;
  virtual void parameter(const std::string& name, Parameter<M, Device>& leaf) = 0;
  virtual void tensor(const std::string& name, Tensor<M, Device>& leaf) = 0;
  virtual void tensor(const std::string& name, Tensor<std::uint8_t, Device>& leaf) = 0;
  virtual void tensor(const std::string& name, Tensor<std::int32_t, Device>& leaf) = 0;
  virtual void packed(const std::string& name, PackedMatrix<M, Device>& leaf) = 0;
};

/// A linear layer of some format.
template <class T, class Device>
class AnyLinear {
 public:
  using M = master_t<T>;
  virtual ~AnyLinear() = default;
  /// The layer's product; `residual` may be null.
  [[nodiscard]] virtual Variable<T, Device> run(Pass<T, Device>& pass, Variable<T, Device> x,
                                                const Variable<T, Device>* residual) const = 0;
  virtual void visit(LeafVisitor<T, Device>& visitor) = 0;

  // What a format does not have does nothing.
  /// Values from those of a dense weight (out,in).
  virtual void start(View<const M, Device> /*dense*/) {}
  /// Fills a layer of the stored form.
  virtual void store(AnyLinear& /*to*/) const {}
  /// Writes the weight (out,in) that does what a stored layer does.
  virtual void restore(View<M, Device> /*dense*/) const {}
  /// Takes its values from a layer of the stored form; false where there is no way back.
  [[nodiscard]] virtual bool restore_from(const AnyLinear& /*stored*/) { return false; }
  virtual void after_update(Index /*step*/, double /*t*/) {}
  virtual void add_progress(double /*t*/, BitProgress&) const {}
  /// The weight (out,in) that training changes; null where there is none.
  [[nodiscard]] virtual Parameter<M, Device>* weight() { return nullptr; }
};

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

/// Makes the linear layers of some format, and says what is asked of the format.
template <class T, class Device>
class AnyFormat {
 public:
  using Words = std::vector<std::pair<std::string, std::string>>;
  virtual ~AnyFormat() = default;
  [[nodiscard]] virtual std::unique_ptr<AnyLinear<T, Device>> make(const LinearShape& shape) const = 0;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual bool trainable() const = 0;
  [[nodiscard]] virtual VocabularyPrecision vocabulary() const = 0;
  /// Whether its weights are a quantised kind's.
  [[nodiscard]] virtual bool quantised() const = 0;
  /// What config.json keeps of it.
  [[nodiscard]] virtual Words words() const = 0;
  /// Name and words of the stored form of its kind; an empty name where there is none.
  [[nodiscard]] virtual std::string_view stored_name() const = 0;
  [[nodiscard]] virtual Words stored_words() const = 0;
  /// Of a stored form: whether each layer multiplies with a weight and does no more.
  [[nodiscard]] virtual bool one_weight() const = 0;
  [[nodiscard]] virtual bool agrees(std::string_view key, std::string_view wanted, std::string_view found) const = 0;
  [[nodiscard]] virtual bool yields(std::string_view key, std::string_view own, std::string_view said) const = 0;
  /// t of a step; 0 where layers read no such number.
  [[nodiscard]] virtual double sharpness(const TrainingProgress& progress) const = 0;
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
    void after_update(Index step, double t) { any->after_update(step, t); }
    void add_progress(double t, BitProgress& sum) const { any->add_progress(t, sum); }

    template <class V, class Self>
    static void visit(V&& v, Self& self) {
      detail::LeavesTo<std::remove_reference_t<V>, std::is_const_v<Self>, T, Device> forward(v);
      self.any->visit(forward);
    }
  };
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
