// SPDX-License-Identifier: MIT
/// A post-training method that the library does not know: GPTQ (Frantar et al., arXiv 2210.17323), three bits a weight,
/// fitted to what a layer gives in full precision with the inputs that it will really have.
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>
#include <Eigen/Cholesky>

namespace user {

using namespace binllm;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

[[nodiscard]] inline Matrix matrix_of(View<const float> x) {
  return Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(x.data, x.rows(),
                                                                                                 x.cols())
      .cast<double>();
}

/// The nearest of eight multiples of a row's step.
struct ThreeBits {
  double step;
  explicit ThreeBits(double largest) : step(largest / 3.5) {}
  [[nodiscard]] double operator()(double w) const { return step * std::clamp(std::round(w / step), -4.0, 3.0); }
};
[[nodiscard]] inline Matrix rounded(Matrix w) {
  for (Index i = 0; i < w.rows(); ++i) w.row(i) = w.row(i).unaryExpr(ThreeBits(w.row(i).cwiseAbs().maxCoeff()));
  return w;
}

/// Of all V that have three bits a weight one with a small
///
///   sum over tokens | W x - V x' |^2          x: inputs in full precision,   x': behind what is quantised already
///
/// V* = W C H^-1 is the best one without rounding, C = sum x x'^T, H = sum x' x'^T. Its columns are rounded one by one,
/// and the later ones make up for the error:   v_k -= (v_j - round v_j) U_jk / U_jj,  k > j,   H^-1 = U^T U.
struct Gptq {
  double damping = 0.01;
  double error = 0, error_of_rounding = 0;  ///< of all layers, here and with V = round W

  template <class Step>
  void operator()(Step& step) {
    const Index in = step.linears.front().linear->weight.shape().cols();
    Matrix full = Matrix::Zero(in, in), cross = full, h = full;
    step.for_each_input([&](View<const float> x_full, View<const float> x_present) {
      const Matrix x = matrix_of(x_full), y = matrix_of(x_present);
      full += x.transpose() * x, cross += x.transpose() * y, h += y.transpose() * y;
    });
    const Matrix damped = h + damping * h.diagonal().mean() * Matrix::Identity(in, in);
    const Matrix inverse = damped.llt().solve(Matrix::Identity(in, in));
    const Matrix u = inverse.llt().matrixU();
    for (auto& [name, linear] : step.linears) {
      const Matrix w = matrix_of(read(linear->weight.value));
      Matrix v = w * (cross + damped - h) * inverse;
      for (Index i = 0; i < v.rows(); ++i) {
        const ThreeBits round(v.row(i).cwiseAbs().maxCoeff());
        for (Index j = 0; j < in; ++j) {
          const double left = v(i, j) - round(v(i, j));
          v(i, j) -= left;
          for (Index k = j + 1; k < in; ++k) v(i, k) -= left * u(j, k) / u(j, j);
        }
      }
      const auto error_of = [&](const Matrix& q) {
        return (w * full * w.transpose() - 2 * w * cross * q.transpose() + q * h * q.transpose()).trace();
      };
      error += error_of(v), error_of_rounding += error_of(rounded(w));
      for (Index i = 0; i < v.rows(); ++i) linear->weight.value.row(i) = v.row(i).array().transpose().cast<float>();
    }
  }
};

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

template <class Model>
void quantise_by_gptq(Model& model, View<const std::int32_t> ids) {
  user::Gptq method;
  walk_blocks(model, ids, method);
  MESSAGE("error ", method.error, ", of rounding alone ", method.error_of_rounding);
  CHECK(method.error < 0.8 * method.error_of_rounding);
  for (const auto& [name, linear] : linear_layers(model)) {
    const auto w = linear->weight.value;
    for (Index i = 0; i < w.rows(); ++i) {
      std::vector<float> values(w.row(i).data(), w.row(i).data() + w.cols());
      std::sort(values.begin(), values.end());
      CHECK(std::unique(values.begin(), values.end()) - values.begin() <= 8);
    }
  }
}

}  // namespace

TEST_CASE("post-training: errors of a random model are smaller than those of rounding") {
  Llama<float> model(tiny_config());
  initialise(model, 3, 0.3);
  const auto ids = random_ids({12, 16}, 37, 1);
  quantise_by_gptq(model, read(ids.view()));
}

TEST_CASE("post-training: stories260K in three bits is nearer to itself than rounded; saved, loaded, run") {
  auto real = stories260k();
  if (!real) return;
  Llama<float>& model = real->model;
  const auto tokens = real->corpus.tokens();
  const TokenStream unseen = TokenStream::from_tokens({tokens.begin() + 32 * 128, tokens.end()});
  const auto loss = [&] { return evaluate_perplexity(model, unseen, {.context = 64, .max_windows = 16}).nll; };
  const double before = loss();
  const Tensor<float> original = host(model.block.values.view());
  for_each_linear(
      [](auto& linear) {
        const user::Matrix v = user::rounded(user::matrix_of(read(linear.weight.value)));
        for (Index i = 0; i < v.rows(); ++i)
          linear.weight.value.row(i) = v.row(i).array().transpose().template cast<float>();
      },
      model);
  const double of_rounding = loss();
  copy_to_device(read(original.view()), model.block.values.view());
  quantise_by_gptq(model, {tokens.data(), Shape{32, 128}});
  MESSAGE("loss ", before, ", rounded ", of_rounding, ", fitted ", loss());
  CHECK(loss() - before < 0.7 * (of_rounding - before));

  const TemporaryFolder folder;
  save(model, folder.path(), {.tokenizer = &real->tokenizer});
  const auto [loaded, tokenizer] = load_pretrained<Llama<float>>(folder.path());
  CHECK(tensors_of(loaded) == tensors_of(model));
  CHECK(generate(loaded, tokenizer, "Once", {.max_tokens = 5}).size() > 4);
}
