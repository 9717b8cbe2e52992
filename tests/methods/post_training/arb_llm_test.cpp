// SPDX-License-Identifier: MIT
#include "methods/post_training/example_layer.hpp"

#include <binllm/methods/post_training/arb_llm.hpp>
#include <binllm/methods/post_training/billm.hpp>

#include <array>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class Method>
Method method(bool column_groups) {
  return {.arb = {.planes = {.block = 64}, .column_groups = column_groups}};
}
template <class Method>
void check_golden(const GoldenValues& golden, const ExampleLayer& example) {
  for (const bool groups : {false, true}) {
    const std::string key = std::string(Method::name) + (groups ? "_cgb" : "");
    const RowMatrix q = example.quantised(method<Method>(groups));
    golden.check_matrix(key, q);
    CHECK(example.error(q) == doctest::Approx(golden[key + "_error"][0]).epsilon(1e-6));
  }
}

/// Some numbers, and room for their signs.
struct Numbers {
  Eigen::ArrayXd x, s, t;
  std::vector<Index> columns;

  explicit Numbers(const std::string& name, Index n) : x(hash_numbers(name, 1, n).transpose().array()), s(n), t(n) {
    x = x * x * x + 0.1 * x;
    for (Index j = 0; j < n; ++j) columns.push_back(n - 1 - j);
  }
  [[nodiscard]] RowPart part(int order) {
    return {{x.data(), x.size()}, order, {s.data(), s.size()}, {t.data(), t.size()}, columns};
  }
};

}  // namespace

TEST_CASE("arb: what the code of its authors finds") { check_golden<Arb>(GoldenValues("arb_llm"), ExampleLayer()); }
TEST_CASE("arb-x: what the code of its authors finds") { check_golden<ArbX>(GoldenValues("arb_llm"), ExampleLayer()); }
TEST_CASE("arb-rc: what the code of its authors finds") {
  check_golden<ArbRc>(GoldenValues("arb_llm"), ExampleLayer());
}

TEST_CASE("arb: no round increases the error, and the signs of order 2 are the nearest of four levels") {
  for (const int order : {1, 2}) {
    Numbers numbers("arb", 57);
    RowPart part = numbers.part(order);
    SignFit fit = ResidualSigns{}(part);
    double before = (part.x - fit.value(part)).square().sum();
    const double start = before;
    for (int round = 0; round < 15; ++round) {
      AlternatingSigns::improve(part, fit);
      const double error = (part.x - fit.value(part)).square().sum();
      CHECK(error <= before * (1 + 1e-12));
      before = error;
    }
    CHECK(before < start);
    for (Index j = 0; j < part.x.size(); ++j) {
      for (const double s : {-1, 1}) {
        for (const double t : {-1, 1}) {
          const double other = fit.mean + s * fit.scale + t * fit.residual_scale;
          CHECK(std::abs(part.x[j] - fit.value(part)[j]) <= std::abs(part.x[j] - other) + 1e-12);
        }
      }
    }
  }
}

TEST_CASE("arb-x: the error that the inputs make of it falls; where there are no inputs all stays") {
  constexpr Index n = 31;
  const RowMatrix x = hash_numbers("x", 60, n) + hash_numbers("common", 60, 1) * hash_numbers("mix", 1, n);
  const RowMatrix s = x.transpose() * x, nothing = RowMatrix::Zero(n, n);
  for (const int order : {1, 2}) {
    Numbers numbers("arb-x", n);
    const RowPart part = numbers.part(order);
    const auto error_of = [&](const SignFit& fit) {
      Eigen::VectorXd left(n);
      for (Index j = 0; j < n; ++j) left[numbers.columns[static_cast<std::size_t>(j)]] = part.x[j] - fit.value(part)[j];
      return left.dot(s * left);
    };
    double before = error_of(AlternatingSigns{}(part));
    for (const Index rounds : {1, 2, 15}) {
      const double error = error_of(CalibratedSigns{{}, {s.data(), Shape{n, n}}, rounds}(part));
      CHECK(error <= before * (1 + 1e-12));
      before = error;
    }
    const SignFit same = CalibratedSigns{{}, {nothing.data(), Shape{n, n}}}(part), start = AlternatingSigns{}(part);
    CHECK(same.mean == start.mean);
    CHECK(same.scale == start.scale);
  }
}

TEST_CASE("arb-rc: exact where |W| is of rank 1; no round increases the error") {
  const BlockRows signs = hash_numbers("signs", 7, 20).array().sign();
  const BlockRows rank_one =
      (hash_numbers("rows", 7, 1).cwiseAbs() * hash_numbers("columns", 1, 20).cwiseAbs()).array() * signs;
  const PlanesBlock exact = RowColumnSigns{}(rank_one, BlockGroups::Zero(7, 20));
  CHECK((exact.restored() - rank_one).abs().maxCoeff() < 1e-12);

  const BlockRows w = hash_numbers("weight", 7, 20).array().cube();
  for (const int group : {0, 2}) {
    double before = std::numeric_limits<double>::infinity();
    for (Index rounds = 0; rounds < 16; ++rounds) {
      const BlockRows q =
          RowColumnSigns{rounds}(w, BlockGroups::Constant(7, 20, static_cast<std::uint8_t>(group))).restored();
      const double error = (w - q).square().sum();
      CHECK(error <= before * (1 + 1e-12));
      before = error;
    }
  }
}

TEST_CASE("arb: below billm, and the column-group bitmap below arb; the inputs decide for arb-x") {
  const ExampleLayer example;
  const double billm = example.error(example.quantised(BiLlm{.planes = {.block = 64}}));
  const auto errors = [&]<class Method>(std::type_identity<Method>) {
    return std::array{example.error(example.quantised(method<Method>(false))),
                      example.error(example.quantised(method<Method>(true)))};
  };
  for (const auto& [plain, grouped] :
       {errors(std::type_identity<Arb>()), errors(std::type_identity<ArbX>()), errors(std::type_identity<ArbRc>())}) {
    CHECK(plain < billm);
    CHECK(grouped < plain);
  }
}

TEST_CASE("arb: a weight that is multiplied gives a result that is multiplied") {
  const ExampleLayer one, eight(8 * ExampleLayer::weight_of_script(), ExampleLayer::hessian_of_script());
  const auto check = [&](const auto& chosen) {
    const RowMatrix wanted = 8 * one.quantised(chosen);
    CHECK((eight.quantised(chosen) - wanted).cwiseAbs().maxCoeff() < 1e-9 * wanted.cwiseAbs().maxCoeff());
  };
  check(method<Arb>(true)), check(method<ArbX>(true)), check(method<ArbRc>(true));
}
