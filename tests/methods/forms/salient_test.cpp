// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"
#include "support/errors.hpp"

#include <binllm/methods/pb_llm.hpp>

#include <string_view>

using namespace binllm;
using namespace binllm::test;

namespace {

using Matrix = Salient::Matrix<double, Cpu>;

Salient named(std::string_view share) {
  return Salient::named([&](std::string_view) { return share; });
}

}  // namespace

TEST_CASE("salient: codes of the salient weights in the order of the rows, signs about the mean elsewhere") {
  Matrix matrix(Salient{0.4}, LinearShape{.out = 2, .in = 5});
  CHECK(matrix.codes.size() == 4);
  matrix.low.view().flat() = list<double>({-1, 0}).view().flat();
  matrix.step.view().flat() = list<double>({0.01, 0.5}).view().flat();
  matrix.scale.view().flat() = list<double>({2, 3}).view().flat();
  matrix.mean.view().flat() = list<double>({0.5, 0}).view().flat();
  const Tensor<double> w = list<double>({0.4, -0.296, 0.6, 0.5, 9, 60, -1, 0, 1.7, 200}),
                       salient = list<double>({0, 1, 0, 0, 1, 0, 0, 0, 1, 1});
  matrix.set(read(w.view()).reshaped({2, 5}), read(salient.view()).reshaped({2, 5}));
  Tensor<double> found(Shape{2, 5});
  matrix.restore(found.view());
  CHECK(largest_difference(found.view(), {-1.5, -0.3, 2.5, 2.5, 1.55, 3, -3, 3, 1.5, 127.5}) < 1e-12);
}

TEST_CASE("salient: a mask of more weights than there are codes is refused, when it is set and when it is read") {
  Matrix matrix(Salient{0.2}, LinearShape{.out = 1, .in = 10});
  Tensor<double> w(Shape{1, 10}), salient(Shape{1, 10});
  salient.view().flat().head(3).setConstant(1);
  CHECK(id_of([&] { matrix.set(read(w.view()), read(salient.view())); }) == ErrorId::config_inconsistent);
  matrix.mask.view().data[0] = 0xff;
  CHECK(id_of([&] { matrix.restore(w.view()); }) == ErrorId::config_inconsistent);
}

TEST_CASE("salient: its share is a word of config.json") {
  std::string key, word;
  Salient{0.05}.describe([&](std::string_view k, std::string_view v) { key = k, word = v; });
  CHECK(key == "salient");
  CHECK(named(word).share == 0.05);
  for (const std::string_view bad : {"", "much", "0.1x", "-0.1", "1.5", "nan"})
    CHECK(id_of([&] { (void)named(bad); }) == ErrorId::config_invalid);
}

TEST_CASE("salient: what PB-LLM stores is the weight that it trains with") {
  LoneLayer<PbLlm> lone(7, 45);
  lone.layer.start(read(normal_tensor({7, 45}, 1).view()));
  CHECK(lone.layer.mask.view().flat().sum() == 14 + 16);  // below the 15th of 315, above the 299th
  Matrix matrix(PbLlm{}.form(), LinearShape{.out = 7, .in = 45});
  PbLlm::store(static_cast<const PbLlm::Parameters<double, Cpu>&>(lone.layer), matrix);
  Tensor<double> found(Shape{7, 45});
  matrix.restore(found.view());
  CHECK(largest_difference(found.view(), effective_weight<double>(lone.layer).view()) < 1e-14);
}
