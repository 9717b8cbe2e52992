// SPDX-License-Identifier: MIT
#include "example_layer.hpp"
#include "support/errors.hpp"

#include <binllm/methods/post_training/awq.hpp>

#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// One linear layer and tokens.
class LinearInput final : public ScalableInput {
 public:
  LinearInput(View<const float> weight, RowMatrix tokens)
      : layers_{{"layer", weight}}, weight_(weight.matrix().cast<double>()), tokens_(std::move(tokens)) {}
  Role role() const override { return Role::mlp_out; }
  const std::vector<NamedWeight>& layers() const override { return layers_; }
  std::string_view obstacle() const override { return obstacle_; }
  std::vector<double> mean_magnitudes() override {
    const Eigen::RowVectorXd means = tokens_.cwiseAbs().colwise().mean();
    return {means.data(), means.data() + means.size()};
  }
  double output_error(const std::vector<Tensor<float>>& weights) override {
    return ((weight_ - weights[0].view().matrix().cast<double>()) * tokens_.transpose()).squaredNorm();
  }
  void scale(View<const float> s) override { found.assign(s.data, s.data + s.size()); }

  std::vector<float> found;
  std::string_view obstacle_;

 private:
  std::vector<NamedWeight> layers_;
  RowMatrix weight_, tokens_;
};

RowMatrix tokens_of_script() {
  const Eigen::ArrayXXd size = hash_numbers("size", 1, 150).array().abs();
  return (hash_numbers("tokens", 60, 150).array().rowwise() * size.row(0)).matrix();
}
constexpr GridOptions three_bits{.bits = 3, .group = 50};

}  // namespace

TEST_CASE("awq: the scale of the script, and of AutoAWQ, a package in Python") {
  const ExampleLayer example;
  LinearInput input(example.layer().weight, tokens_of_script());
  Awq{.grid = three_bits}.scale_input(input);
  for (const char* source : {"grids", "packages"}) {
    CAPTURE(source);
    const GoldenValues golden(source);
    const auto& wanted = golden["awq-scale"];
    REQUIRE(input.found.size() == wanted.size());
    for (std::size_t j = 0; j < wanted.size(); ++j)
      CHECK(static_cast<double>(input.found[j]) == doctest::Approx(wanted[j]).epsilon(1e-6));
  }

  LinearInput fixed(example.layer().weight, tokens_of_script());
  fixed.obstacle_ = "nothing takes a scale";
  Awq{.grid = three_bits}.scale_input(fixed);
  CHECK(fixed.found.empty());
  LinearInput broken(example.layer().weight, tokens_of_script() * std::numeric_limits<double>::quiet_NaN());
  CHECK(id_of([&] { Awq{.grid = three_bits}.scale_input(broken); }) == ErrorId::value_not_finite);
}

TEST_CASE("awq: the clipped ranges of the script, but for queries and keys, one bit, and three values") {
  const ExampleLayer example;
  const GoldenValues golden("grids");
  const auto restored = [&](const auto& method, Index place) {
    CalibratedLayer layer = example.layer();
    Grid::Matrix<float, Cpu> matrix(method.form(), example.shape());
    method({layer.name, layer.block, layer.role, layer.weight, layer.inputs, place}, matrix);
    Tensor<float> w(layer.weight.shape);
    matrix.restore(w.view());
    return RowMatrix(w.view().matrix().cast<double>());
  };
  const RowMatrix clipped = restored(Awq{.grid = three_bits}, 2), nearest = restored(Rtn{.grid = three_bits}, 0);
  golden.check_matrix("awq-clip-3", clipped);
  CHECK(example.error(clipped) < example.error(nearest));
  CHECK(restored(Awq{.grid = three_bits}, 0) == nearest);
  CHECK(restored(Awq{.grid = three_bits}, 1) == nearest);
  CHECK(restored(Awq{.grid = three_bits, .search = {.clip_steps = 0}}, 2) == nearest);
  for (const double bits : {1.0, 1.58})
    CHECK(restored(Awq{.grid = {.bits = bits}}, 2) == restored(Rtn{.grid = {.bits = bits}}, 0));
}
