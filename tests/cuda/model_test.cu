// SPDX-License-Identifier: MIT
// Whole models on the GPU: gradients, perplexity, and where weights come from.
#include "cuda/models.hpp"

using namespace binllm;
using namespace binllm::test;

namespace {

/// The gradients of all parameters, in one backward pass at a sharpness.
template <class Model>
std::vector<Tensor<double>> gradients(Model& model, double sharpness) {
  using T = typename Model::value_type;
  using D = typename Model::device;
  const auto ids = on_device<D>(random_ids({2, 13}, 97, 1)), targets = on_device<D>(random_ids({2, 13}, 97, 2));
  StepScalars<D> scalars;
  scalars.set(StepScalars<D>::sharpness, sharpness);
  Tape<D> tape;
  Pass<T, D> pass{tape, scalars};
  model.block.zero_gradients();
  tape.backward(model.loss(pass, ids.view(), targets.view()));
  std::vector<Tensor<double>> result;
  for (const auto& [name, parameter] : named_parameters(model)) result.push_back(in_double(parameter->gradient));
  return result;
}

/// The same model in double.
template <class To, class From>
void copy_numbers(const From& from, To& to) {
  const auto a = named_parameters(from);
  const auto b = named_parameters(to);
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto source = a[i].parameter->value;
    for (Index j = 0; j < source.size(); ++j) b[i].parameter->value.data[j] = static_cast<double>(source.data[j]);
  }
}

/// The gradients of every parameter against those of the CPU in double.
template <class T, class Model, class Exact>
void check_gradients(const Model& start, Exact& exact, double sharpness, double allowed) {
  copy_numbers(start, exact);
  auto model = on_device<Cuda, T>(start);
  const auto wanted = gradients(exact, sharpness), found = gradients(model, sharpness);
  const auto names = named_parameters(start);
  REQUIRE(found.size() == wanted.size());
  double largest = 0;
  for (const auto& gradient : wanted) largest = std::max(largest, norm(gradient));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(names[i].name);
    CAPTURE(sharpness);
    CHECK(relative_distance(found[i], wanted[i], 0.01 * largest) < allowed);
  }
}

}  // namespace

TEST_CASE("cuda models: gradients of a whole Llama, in full precision and binary") {
  if (!gpu()) return;
  const auto dense = dense_start();
  Llama<double> exact(gpu_config());
  check_gradients<float>(dense, exact, 0, 1e-4);
  check_gradients<bf16>(dense, exact, 0, 5e-2);

  const auto binary = binary_start();
  Llama<double, Cpu, Binary<PaperRecipe<double>>> exact_binary(gpu_config());
  for (const double t : {0.0, 2.6}) {
    check_gradients<float>(binary, exact_binary, t, 1e-4);
    check_gradients<bf16>(binary, exact_binary, t, 5e-2);
  }
}

TEST_CASE("cuda models: perplexity is the CPU's") {
  if (!gpu()) return;
  const PerplexityOptions options{.context = 31, .batch = 3, .max_windows = 10};
  const auto check = [&](auto model) {
    auto on_gpu = on_device<Cuda, float>(model);
    auto in_bf16 = on_device<Cuda, bf16>(model);
    const double wanted = evaluate_perplexity(model, gpu_corpus(), options).nll;
    CHECK(evaluate_perplexity(on_gpu, gpu_corpus(), options).nll == doctest::Approx(wanted).epsilon(1e-4));
    CHECK(evaluate_perplexity(in_bf16, gpu_corpus(), options).nll == doctest::Approx(wanted).epsilon(2e-2));
  };
  check(dense_start());
  check(binary_start());
}

TEST_CASE("cuda models: initialise and binarize on the GPU are those of the CPU") {
  if (!gpu()) return;
  Llama<float, Cuda> model(gpu_config());
  initialise(model, 1, 0.1);
  CHECK(weight_distance(model, in_double(dense_start().block.values.view())) < 1e-6);
  const auto binary = binarize<PaperRecipe<float>>(model);
  CHECK(weight_distance(binary, in_double(binary_start().block.values.view())) < 1e-6);
}
