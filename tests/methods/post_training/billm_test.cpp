// SPDX-License-Identifier: MIT
#include "methods/post_training/example_layer.hpp"
#include "support/errors.hpp"

#include <binllm/methods/post_training/billm.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

BiLlm billm(const std::string& metric, Index block = 64) {
  return {.planes = {.block = block, .magnitudes = metric == "magnitude"}};
}
/// A row's scale and sign at one bit, S = mean |W|.
RowMatrix rounded_to_signs(const RowMatrix& w) {
  const Eigen::VectorXd scale = w.cwiseAbs().rowwise().mean();
  return scale.asDiagonal() * w.cwiseSign();
}

}  // namespace

TEST_CASE("billm: what the code of its authors finds") {
  const GoldenValues golden("billm");
  const ExampleLayer example;
  for (const std::string metric : {"hessian", "magnitude"}) {
    const RowMatrix q = example.quantised(billm(metric));
    golden.check_matrix(metric, q);
    CHECK(example.error(q) == doctest::Approx(golden[metric + "_error"][0]).epsilon(1e-6));
  }
  const ExampleLayer plain(ExampleLayer::weight_of_script(), RowMatrix::Identity(150, 150));
  golden.check_matrix("identity_hessian", plain.quantised(billm("hessian")));
}

TEST_CASE("billm: which columns are salient is stored") {
  const GoldenValues golden("billm");
  const ExampleLayer example;
  const BiLlm method = billm("hessian");
  SignPlanes::Matrix<float, Cpu> matrix(method.form(), example.shape());
  method(example.layer(), matrix);
  std::vector<double> salient;
  for (Index j = 0; j < 150; ++j) {
    if ((matrix.columns.view().data[j / 8] >> (j % 8)) & 1) salient.push_back(static_cast<double>(j));
  }
  CHECK(salient == golden["hessian_salient"]);
  CHECK(matrix.residual_signs.shape() == Shape{static_cast<Index>(salient.size()), 1});
}

TEST_CASE("billm: independent inputs leave nothing to make up for") {
  const ExampleLayer plain(ExampleLayer::weight_of_script(), RowMatrix::Identity(150, 150));
  const RowMatrix q = plain.quantised(billm("magnitude"));
  for (Index first = 0; first < 150; first += 64) {
    const BlockRows w = plain.weight().middleCols(first, std::min<Index>(64, 150 - first)).array();
    const PlanesBlock alone = planes_by_row(w, find_groups(w, SalientColumns::of(w), false), ResidualSigns{});
    CHECK((q.middleCols(first, w.cols()).array() - alone.restored()).abs().maxCoeff() < 1e-12);
  }
}

TEST_CASE("billm: later columns make up for what is lost, and the outputs' error is below that of signs alone") {
  const ExampleLayer example;
  const double signs = example.error(rounded_to_signs(example.weight()));
  const double whole = example.error(example.quantised(billm("magnitude", 150)));
  const double blocks = example.error(example.quantised(billm("magnitude", 32)));
  CHECK(whole < signs);
  CHECK(blocks < whole);
}

TEST_CASE("billm: layers of few rows and columns, of zeros, and without some of the inputs") {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {3, 2}, {1, 70}, {9, 5}}) {
    const ExampleLayer small(hash_numbers("small", rows, cols), RowMatrix::Identity(cols, cols));
    const RowMatrix q = small.quantised(billm("hessian", 4));
    CHECK(q.allFinite());
    CHECK(small.error(q) <= small.error(RowMatrix::Zero(rows, cols)));
  }
  const ExampleLayer zeros(RowMatrix::Zero(4, 70), RowMatrix::Identity(70, 70));
  CHECK(zeros.quantised(billm("hessian")).isZero());

  RowMatrix hessian = ExampleLayer::hessian_of_script();
  for (const Index dead : {0, 5, 149}) hessian.row(dead).setZero(), hessian.col(dead).setZero();
  const ExampleLayer example(ExampleLayer::weight_of_script(), hessian);
  const RowMatrix q = example.quantised(billm("hessian"));
  CHECK(q.allFinite());
  CHECK(example.error(q) < example.error(RowMatrix::Zero(8, 150)));
}

TEST_CASE("billm: blocks of no columns are refused") {
  const ExampleLayer example;
  CHECK(id_of([&] { static_cast<void>(example.quantised(billm("hessian", 0))); }) == ErrorId::option_out_of_range);
}
