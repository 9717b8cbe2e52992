// SPDX-License-Identifier: MIT
/// The same for models and methods that are known at run time alone: no method is compiled for a family.
#pragma once
#include <binllm/methods/post_training/any_method.hpp>
#include <binllm/methods/post_training/quantise_blockwise.hpp>
#include <binllm/models/erased.hpp>

namespace binllm {

namespace detail {
template <class StoredModel>
class ErasedWriter final : public LayerWriter {
 public:
  ErasedWriter(const AnyPostTrainingMethod& method, StoredModel& model)
      : method_(method), linears_(linear_layers(model)) {}
  void write(std::size_t index, const CalibratedLayer& layer, View<float> restored) override {
    method_.quantise(layer, *linears_[index].linear->any, restored);
  }
  bool scales_inputs() const override { return method_.scales_inputs(); }
  void scale_input(ScalableInput& input) override { method_.scale_input(input); }

 private:
  const AnyPostTrainingMethod& method_;
  decltype(linear_layers(std::declval<StoredModel&>())) linears_;
};
}  // namespace detail

/// A full-precision model in the stored form of a method; `form` is the format of that name and those words.
/// Errors: as above.
template <class A, class T, class Device>
[[nodiscard]] ErasedModel<A, float, Cpu> quantise_blockwise(
    ErasedModel<A, T, Device>& model, View<const std::int32_t> ids, const AnyPostTrainingMethod& method,
    const AnyKind<float, Cpu>& form, const BlockwiseOptions& options = {}, QuantiseLog* log = nullptr) {
  ErasedModel<A, float, Cpu> stored(model.config, form);
  detail::ErasedWriter<ErasedModel<A, float, Cpu>> writer(method, stored);
  detail::quantise_model(model, stored, ids, method.name(), method.calibrated(), writer, options, log);
  return stored;
}

}  // namespace binllm
