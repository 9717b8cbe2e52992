// SPDX-License-Identifier: MIT
/// The inputs of a model's block as methods that move scales see them (scalable_input.hpp), of any family and device.
/// Memory: the weights of one role, and where its part of the block is more than one linear layer what enters and
/// leaves that part in all windows.
#pragma once
#include <binllm/methods/post_training/gram_sum.hpp>
#include <binllm/methods/post_training/report.hpp>
#include <binllm/methods/post_training/scalable_input.hpp>
#include <binllm/models/channel_search.hpp>
#include <binllm/models/walk_blocks.hpp>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace binllm::detail {

template <class Model>
class BlockInput final : public ScalableInput {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using A = typename Model::architecture;

  BlockInput(Model& model, RoleStep<Model>& step, Index context)
      : model_(model), layer_(model.layers[static_cast<std::size_t>(step.block)]), step_(step), context_(context) {
    for (const auto& [name, linear] : step.linears) {
      const OnHost<float, Device> weight(read(trained_weight(*linear)->value));
      Backend<Cpu>::copy(own_.emplace_back(weight.view().shape).view().data, weight.view().data,
                         static_cast<std::size_t>(weight.view().size()) * sizeof(float));
      layers_.push_back({name, own_.back().view()});
    }
  }

  Role role() const override { return step_.role; }
  const std::vector<NamedWeight>& layers() const override { return layers_; }
  std::string_view obstacle() const override {
    if (!folds<A>(role())) return "what makes this input takes no scale";
    if (role() == Role::attention_out && layer_.attention.v_proj.shape.out != layer_.attention.o_proj.shape.in)
      return "query heads share a value head";
    return {};
  }
  std::vector<double> mean_magnitudes() override {
    const Index channels = layers_.front().weight.cols();
    std::vector<double> sums(static_cast<std::size_t>(channels));
    HessianSum<T, Device> hessian(is_part() ? 0 : channels);
    Index tokens = 0;
    step_.for_each_present_input([&](View<const T, Device> x) {
      const OnHost<T, Device> values(x);
      for (Index i = 0; i < x.rows(); ++i) {
        for (Index j = 0; j < channels; ++j)
          sums[static_cast<std::size_t>(j)] += std::abs(static_cast<double>(values.view().data[i * channels + j]));
      }
      tokens += x.rows();
      if (!is_part()) return hessian.add(x);
      inputs_.push_back(copy_of(x, Shape{x.rows() / context_, context_, channels}));
      outputs_.push_back(through(inputs_.back()));
    });
    for (double& sum : sums) sum /= static_cast<double>(tokens);
    if (!is_part()) hessian_ = hessian.take(tokens);
    return sums;
  }
  double output_error(const std::vector<Tensor<float>>& weights) override {
    if (!is_part()) {
      const View<const float> w = layers_.front().weight, q = weights.front().view();
      return quadratic(w.rows(), read(hessian_.view()), [&](Index i, Index j) {
        return static_cast<double>(w.data[i * w.cols() + j]) - static_cast<double>(q.data[i * w.cols() + j]);
      });
    }
    put(weights);
    double sum = 0;
    for (std::size_t window = 0; window < inputs_.size(); ++window) {
      const Tensor<T, Device> found = through(inputs_[window]);
      const OnHost<T, Device> now(found.view()), before(read(outputs_[window].view()));
      for (Index k = 0; k < found.size(); ++k) {
        const double d = static_cast<double>(now.view().data[k]) - static_cast<double>(before.view().data[k]);
        sum += d * d;
      }
    }
    put(own_);
    return sum;
  }
  void scale(View<const float> s) override {
    Tensor<float> inverse_log(s.shape);
    inverse_log.view().flat() = -s.flat().log();
    Tensor<float, Device> u(s.shape);
    copy_to_device(read(inverse_log.view()), u.view());
    for (const auto& [name, linear] : step_.linears)
      Kernel<DivideColumns, Device>::forward(read(u.view()), trained_weight(*linear)->value);
    multiply_source<A>(layer_, role(), read(u.view()));
  }

 private:
  /// Whether the block's part is more than the one linear layer.
  [[nodiscard]] bool is_part() const { return layers_.size() > 1; }
  [[nodiscard]] static Tensor<T, Device> copy_of(View<const T, Device> x, const Shape& shape) {
    Tensor<T, Device> copy(shape);
    Backend<Device>::copy(copy.view().data, x.data, static_cast<std::size_t>(x.size()) * sizeof(T));
    return copy;
  }
  /// What the part gives, beside the input, which stands for the residual.
  [[nodiscard]] Tensor<T, Device> through(Tensor<T, Device>& input) {
    tape_.reset();
    const NoGrad<Device> pause(tape_);
    Pass<T, Device> pass{tape_, scalars_};
    const auto x = tape_.borrow(input.view());
    const auto y = role() == Role::attention_in ? layer_.attention(pass, model_.positions, step_.block, x, x)
                                                : layer_.mlp(pass, step_.block, x, x);
    return copy_of(read(y.value()), y.shape());
  }
  void put(const std::vector<Tensor<float>>& weights) {
    for (std::size_t i = 0; i < weights.size(); ++i)
      copy_to_device(read(weights[i].view()), trained_weight(*step_.linears[i].linear)->value);
  }

  Model& model_;
  std::remove_reference_t<decltype(std::declval<Model&>().layers[0])>& layer_;
  RoleStep<Model>& step_;
  Index context_;
  std::vector<Tensor<float>> own_;
  std::vector<NamedWeight> layers_;
  std::vector<Tensor<T, Device>> inputs_, outputs_;
  Tensor<double> hessian_;
  StepScalars<Device> scalars_;
  Tape<Device> tape_;
};

}  // namespace binllm::detail
