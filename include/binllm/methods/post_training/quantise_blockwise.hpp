// SPDX-License-Identifier: MIT
/// A trained model quantised after training, block by block:
///
///     auto stored = quantise_blockwise(model, calibration, Gptq{.grid = {.bits = 3, .group = 128}});
///     save(stored, "gptq-3-bits");
///
/// walks over the blocks with the calibration text. For each role, in the order q/k/v, o, gate/up, down, it sums up the
/// Hessian of what enters these layers behind all that is quantised already, and lets the method quantise them one by
/// one. A layer then has the weight that its codes restore to, which later layers see.
#pragma once
#include <binllm/methods/post_training/block_input.hpp>
#include <binllm/methods/post_training/blockwise_options.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/models/walk_blocks.hpp>
#include <binllm/nn/erased_format.hpp>

#include <map>
#include <string>
#include <utility>

namespace binllm {

namespace detail {

/// The part of a method that knows its form: quantises linear layer `index` of the model, in the order of
/// `linear_layers`, and writes what it restores to.
class LayerWriter {
 public:
  virtual ~LayerWriter() = default;
  virtual void write(std::size_t index, const CalibratedLayer& layer, View<float> restored) = 0;
  /// Whether the method moves scales, and its way to do so.
  [[nodiscard]] virtual bool scales_inputs() const = 0;
  virtual void scale_input(ScalableInput& input) = 0;
};

template <PostTrainingMethod M, class StoredModel>
class WriterOf final : public LayerWriter {
 public:
  WriterOf(const M& method, StoredModel& model) : method_(method), linears_(linear_layers(model)) {}
  void write(std::size_t index, const CalibratedLayer& layer, View<float> restored) override {
    auto& to = layer_as<Stored<typename M::Form>>(*linears_[index].linear);
    typename M::Form::template Matrix<float, Cpu>& matrix = to;
    method_(layer, matrix);
    write_dense(to, restored);
  }
  bool scales_inputs() const override {
    return requires(ScalableInput & input) { method_.scale_input(input); };
  }
  void scale_input([[maybe_unused]] ScalableInput& input) override {
    if constexpr (requires { method_.scale_input(input); }) method_.scale_input(input);
  }

 private:
  const M& method_;
  decltype(linear_layers(std::declval<StoredModel&>())) linears_;
};

inline void check_finite(std::string_view layer, std::string_view what, double sum) {
  if (!std::isfinite(sum))
    throw Error(ErrorId::value_not_finite, "quantise_blockwise", layer, fmt::format("finite {}", what), "inf or NaN");
}

/// Quantises one layer of the model in place.
template <class Linear, class Device>
void quantise_layer(const NamedLinear<Linear>& named, std::size_t index, Index block, Index place,
                    const Calibration& inputs, LayerWriter& writer, QuantiseLog& log) {
  const View<float, Device> values = trained_weight(*named.linear)->value;
  const OnHost<float, Device> weight{read(values)};
  check_finite(named.name, "weights", static_cast<double>(weight.view().flat().abs().maxCoeff()));
  check_finite(named.name, "weights", static_cast<double>(weight.view().flat().sum()));
  Tensor<float> restored(values.shape);
  const CalibratedLayer layer{named.name, block, named.linear->shape.role, weight.view(), inputs, place};
  writer.write(index, layer, restored.view());
  log.layer(report_of(layer, read(restored.view())));
  copy_to_device(read(restored.view()), values);
}

/// The Hessian of the layers of a step. Errors: value_not_finite, naming the first of them.
template <class Model>
[[nodiscard]] Calibration calibrate(RoleStep<Model>& step, Index windows, CalibrationInputs which) {
  using T = typename Model::value_type;
  using Device = typename Model::device;
  HessianSum<T, Device> sum(step.linears.front().linear->shape.in);
  if (which == CalibrationInputs::present) {
    step.for_each_present_input([&](View<const T, Device> x) { sum.add(x); });
  } else {
    step.for_each_input([&](View<const T, Device> x, View<const T, Device>) { sum.add(x); });
  }
  Calibration inputs = sum.calibration(windows);
  if (!inputs.is_finite()) check_finite(step.linears.front().name, "inputs", std::nan(""));
  return inputs;
}

/// What the walk calls.
template <class Model>
class BlockwiseStep {
 public:
  using Device = typename Model::device;
  using Linear = typename RoleStep<Model>::Linear;

  BlockwiseStep(Model& model, const Shape& ids, LayerWriter& writer, const BlockwiseOptions& options, QuantiseLog& log)
      : model_(model), windows_(ids[0]), context_(ids[1]), writer_(writer), options_(options), log_(log) {
    for (const auto& [name, linear] : linear_layers(model)) index_.emplace(linear, index_.size());
  }
  void before_block(std::vector<RoleStep<Model>>& steps) {
    for (RoleStep<Model>& step : steps) {
      if (!writer_.scales_inputs()) return;
      BlockInput<Model> input(model_, step, context_);
      if (!input.obstacle().empty())
        log_.remark(input.layers().front().name, fmt::format("not scaled: {}", input.obstacle()));
      writer_.scale_input(input);
    }
  }
  void operator()(RoleStep<Model>& step) {
    const Calibration inputs = calibrate(step, windows_, options_.inputs);
    Index place = 0;
    for (const auto& named : step.linears)
      quantise_layer<Linear, Device>(named, index_.at(named.linear), step.block, place++, inputs, writer_, log_);
    const InverseFactor* const factor = inputs.factor();
    if (factor != nullptr && factor->damping > inputs.damping_asked())
      log_.remark(step.linears.front().name,
                  fmt::format("the Hessian is singular: damped by {:g} of its mean, not {:g}", factor->damping,
                              inputs.damping_asked()));
  }

 private:
  Model& model_;
  Index windows_, context_;
  LayerWriter& writer_;
  BlockwiseOptions options_;
  QuantiseLog& log_;
  std::map<const Linear*, std::size_t> index_;
};

template <class Model>
void quantise_in_place(Model& model, View<const std::int32_t> ids, LayerWriter& writer, const BlockwiseOptions& options,
                       QuantiseLog& log) {
  using Device = typename Model::device;
  static_assert(std::is_same_v<typename Model::Master, float>, "methods after training quantise weights in float");
  if (ids.size() > 0) {
    BlockwiseStep<Model> method(model, ids.shape, writer, options, log);
    return walk_blocks(model, ids, method, {.windows_at_once = options.windows_at_once});
  }
  const auto all = linear_layers(model);
  const std::size_t in_block = all.size() / static_cast<std::size_t>(model.blocks());
  for (std::size_t i = 0; i < all.size(); ++i)
    quantise_layer<typename RoleStep<Model>::Linear, Device>(all[i], i, static_cast<Index>(i / in_block), 0, {}, writer,
                                                             log);
}

/// Everything outside the weights of linear layers, from any device to the host.
template <class From, class To>
void copy_outer_to_host(const From& from, To& to) {
  const auto copy = [](const auto& one, auto& other) {
    if (one.size() == 0) return;
    const OnHost<float, typename From::device> values(read(one.value));
    Backend<Cpu>::copy(other.value.data, values.view().data, static_cast<std::size_t>(one.size()) * sizeof(float));
  };
  for_each_outer(copy, from, to);
  for_each_linear([&](const auto& one, auto& other) { copy(one.bias, other.bias); }, from, to);
}

/// All of a model, into a stored one whose linear layers the writer knows.
template <class From, class To>
void quantise_model(From& model, To& stored, View<const std::int32_t> ids, std::string_view method, bool calibrated,
                    LayerWriter& writer, const BlockwiseOptions& options, QuantiseLog* log) {
  if (calibrated && ids.size() == 0)
    throw Error(ErrorId::text_too_short, method, "calibration", "windows of tokens", "none");
  QuantiseLog silent;
  quantise_in_place(model, ids, writer, options, log != nullptr ? *log : silent);
  copy_outer_to_host(model, stored);
}

}  // namespace detail

/// Quantises a full-precision model of any family and device; `ids` (windows, tokens) are the calibration text, or empty
/// for a method that looks at weights alone: then nothing is known of the errors of outputs. The result runs, and is
/// saved and loaded like any other; the model itself is left with the weights that it restores to.
/// Memory beside both: one block, hidden states of all windows twice, one Hessian (8 in^2 bytes) and its factor.
/// Errors: those of the method's options and of walk_blocks; value_not_finite naming the layer whose weights or inputs
/// are not finite; text_too_short without a calibration text where the method needs one.
template <class A, class T, class Device, PostTrainingMethod M>
[[nodiscard]] CausalLm<A, float, Cpu, Stored<typename M::Form>> quantise_blockwise(
    CausalLm<A, T, Device, FullPrecisionFormat>& model, View<const std::int32_t> ids, const M& method,
    const BlockwiseOptions& options = {}, QuantiseLog* log = nullptr) {
  check_options(M::name, method);
  using To = CausalLm<A, float, Cpu, Stored<typename M::Form>>;
  To stored(model.config, {method.form()});
  detail::WriterOf<M, To> writer(method, stored);
  detail::quantise_model(model, stored, ids, M::name, is_calibrated<M>(), writer, options, log);
  return stored;
}

}  // namespace binllm
