// SPDX-License-Identifier: MIT
/// What is asked of a linear layer, and of a format of such layers, whose kind is known at run time alone.
#pragma once
#include <binllm/nn/bit_progress.hpp>
#include <binllm/nn/joint_products.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/nn/vocabulary_precision.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
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
  /// The products of this layer and others that share its input, at once: nn/joint_products.hpp.
  [[nodiscard]] virtual bool run_together(Pass<T, Device>& /*pass*/, Variable<T, Device> /*x*/,
                                          std::span<JointProduct<AnyLinear, T, Device>> /*products*/) const {
    return false;
  }

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
  [[nodiscard]] virtual bool acts_after_update() const { return false; }
  virtual void add_progress(double /*t*/, BitProgress&) const {}
  /// The weight (out,in) that training changes; null where there is none.
  [[nodiscard]] virtual Parameter<M, Device>* weight() { return nullptr; }
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
  /// Of a stored form: whether a GPU has its product.
  [[nodiscard]] virtual bool multiplies_on_gpus() const = 0;
  /// Of a stored form: whether each layer multiplies with a weight and does no more.
  [[nodiscard]] virtual bool one_weight() const = 0;
  [[nodiscard]] virtual bool agrees(std::string_view key, std::string_view wanted, std::string_view found) const = 0;
  [[nodiscard]] virtual bool yields(std::string_view key, std::string_view own, std::string_view said) const = 0;
  /// t of a step; 0 where layers read no such number.
  [[nodiscard]] virtual double sharpness(const TrainingProgress& progress) const = 0;
};

}  // namespace binllm
