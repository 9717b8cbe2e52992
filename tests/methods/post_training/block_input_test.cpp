// SPDX-License-Identifier: MIT
#include "support/any_model.hpp"
#include "support/tensors.hpp"

#include <binllm/methods/post_training/awq.hpp>
#include <binllm/methods/post_training/quantise_blockwise.hpp>
#include <binllm/models/gpt_neox.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/models/opt.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Weights as they are: what is wrong is then due to the scales alone.
struct WholeForm {
  static constexpr std::string_view name = "whole";
  [[maybe_unused]] static constexpr std::string_view summary = "weights as they are";

  template <class T, class Device>
  struct Matrix {
    Tensor<T, Device> weight;
    Matrix(const WholeForm&, const LinearShape& s) : weight(Shape{s.out, s.in}) {}
    void restore(View<T, Device> w) const { w.flat() = weight.view().flat(); }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("whole", self.weight...);
    }
  };
};
struct Scaled {
  static constexpr std::string_view name = "scaled", summary = "scales at random", source = "none";
  using Form = WholeForm;
  std::vector<std::string>* obstacles = nullptr;

  [[nodiscard]] WholeForm form() const { return {}; }
  void scale_input(ScalableInput& input) const {
    if (!input.obstacle().empty()) return obstacles->push_back(std::string(input.obstacle()));
    const auto magnitudes = input.mean_magnitudes();
    CHECK(magnitudes.size() == static_cast<std::size_t>(input.layers().front().weight.cols()));
    std::vector<Tensor<float>> same, other;
    for (const auto& layer : input.layers()) {
      same.push_back(host(layer.weight));
      other.push_back(host(layer.weight));
    }
    other.back().view().flat() *= 1.5F;
    CHECK(input.output_error(same) == doctest::Approx(0).epsilon(1e-9));
    CHECK(input.output_error(other) > 0);
    Tensor<float> s = normal_tensor<float>({static_cast<Index>(magnitudes.size())}, 4);
    s.view().flat() = (s.view().flat() * 0.5F).exp();
    input.scale(s.view());
  }
  void operator()(const CalibratedLayer& layer, WholeForm::Matrix<float, Cpu>& to) const {
    to.weight.view().flat() = layer.weight.flat();
  }
  template <class V, class Self>
  static void visit(V&&, Self&) {}
};

/// Names of what could not be scaled, once for each block.
template <class Model>
std::vector<std::string> obstacles_in(Index key_value_heads) {
  ModelConfig config = tiny_config();
  config.num_key_value_heads = key_value_heads;
  Model model(config);
  initialise(model, 3, 0.3);
  disturb(model);
  const auto ids = random_ids({3, 8}, 37, 1);
  const Tensor<float> before = logits_of(model, read(ids.view()));
  std::vector<std::string> obstacles;
  const auto stored = quantise_blockwise(model, read(ids.view()), Scaled{&obstacles});
  CHECK(largest_difference(logits_of(stored, read(ids.view())).view(), before.view()) < 2e-4);
  return obstacles;
}

}  // namespace

TEST_CASE("scaled inputs: the model computes what it did; where nothing takes a scale, nothing is scaled") {
  CHECK(obstacles_in<Llama<float>>(4).empty());
  CHECK(obstacles_in<Llama<float>>(2) == std::vector<std::string>(2, "query heads share a value head"));
  CHECK(obstacles_in<Opt<float>>(4).empty());
  CHECK(obstacles_in<GptNeox<float>>(4) == std::vector<std::string>(2, "what makes this input takes no scale"));
}
