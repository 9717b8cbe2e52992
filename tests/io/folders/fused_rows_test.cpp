// SPDX-License-Identifier: MIT
/// Query, key and value in one tensor of a file, and apart.
#include "model_folders.hpp"

#include <binllm/io/folders/model.hpp>

#include <limits>
#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

const std::string layer = "gpt_neox.layers.1.attention.", fused = layer + "query_key_value.";

GptNeox<float> tiny() {
  ModelConfig c = folder_config(false);
  c.hidden_size = 24;
  c.num_key_value_heads = c.num_attention_heads;
  c.rotary_share = 1.0 / 3;
  GptNeox<float> model(c);
  initialise(model, 5, 0.4);
  return model;
}

/// Heads are six rows wide: query, key and value of head 0, then of head 1.
float row_of(const Parameter<float, Cpu>& weight, Index row) { return weight.value.row(row)[3]; }

}  // namespace

TEST_CASE("full precision: rows stand head by head in one tensor, and come back") {
  const TemporaryFolder folder;
  auto model = tiny();
  save(model, folder.path());
  const SafetensorsFile file(folder / "model.safetensors");
  CHECK(file.find(layer + "query.weight") == nullptr);
  REQUIRE(file.find(fused + "weight") != nullptr);
  REQUIRE(file.find(fused + "bias") != nullptr);
  CHECK(file.find(fused + "weight")->shape == Shape{72, 24});
  CHECK(file.find(fused + "bias")->shape == Shape{72});
  std::vector<float> rows(72 * 24);
  file.read(*file.find(fused + "weight"), rows);
  const auto& own = model.layers[1].attention;
  const auto at = [&](std::size_t row) { return rows[row * 24 + 3]; };
  CHECK(at(0) == row_of(own.q_proj.weight, 0));
  CHECK(at(6) == row_of(own.k_proj.weight, 0));
  CHECK(at(12) == row_of(own.v_proj.weight, 0));
  CHECK(at(18 + 5) == row_of(own.q_proj.weight, 11));
  CHECK(at(54 + 12 + 2) == row_of(own.v_proj.weight, 20));
  CHECK(same_tensors(load_model<GptNeox<float>>(folder.path()), model));
}

TEST_CASE("full precision: numbers of any width, one by one, with masks that other programs store") {
  const TemporaryFolder folder;
  auto model = tiny();
  for_each_parameter(model, [](const std::string&, auto& p) {  // values that all types hold
    for (Index i = 0; i < p.size(); ++i) p.value.data[i] = static_cast<float>(i % 13 - 6) / 8;
  });
  save(model, folder.path());
  const EditedTensors whole(folder.path());
  for (const DType dtype : {DType::f64, DType::bf16, DType::f16}) {
    EditedTensors(whole).convert(dtype).write(folder.path());
    CHECK(same_tensors(load_model<GptNeox<float>>(folder.path()), model));
  }
  EditedTensors(whole)
      .add(layer + "bias", DType::u8, {1, 1, 16, 16})
      .add(layer + "masked_bias", DType::f32, {})
      .add(layer + "rotary_emb.inv_freq", DType::f32, {1})
      .write(folder.path());
  CHECK(same_tensors(load_model<GptNeox<float>>(folder.path()), model));

  const auto& own = model.layers[1].attention;
  EditedTensors apart(whole);
  const auto put = [&](const std::string& name, View<float> values) {
    apart.add(layer + name, DType::f32, values.shape);
    for (Index i = 0; i < values.size(); ++i) apart.set(layer + name, static_cast<std::size_t>(i), values.data[i]);
  };
  for (const auto& [name, linear] : {std::pair{"query", &own.q_proj}, {"key", &own.k_proj}, {"value", &own.v_proj}}) {
    put(std::string(name) + ".weight", linear->weight.value);
    put(std::string(name) + ".bias", linear->bias.value);
  }
  apart.remove(fused + "weight").remove(fused + "bias").write(folder.path());
  CHECK(same_tensors(load_model<GptNeox<float>>(folder.path()), model));
}

TEST_CASE("a fused tensor that is missing, of another shape, beside its parts, or not finite") {
  const TemporaryFolder folder;
  save(tiny(), folder.path());
  const EditedTensors good(folder.path());
  const auto refused = [&](EditedTensors& changed, ErrorId id) {
    changed.write(folder.path());
    const Error error = error_of([&] { static_cast<void>(load_model<GptNeox<float>>(folder.path())); });
    CHECK(error.id() == id);
    return error.argument() + error.found();
  };
  EditedTensors missing(good), narrow(good), twice(good), bad(good);
  CHECK(contains(refused(missing.remove(fused + "weight"), ErrorId::tensors_mismatched),
                 "1 that differ: " + fused + "weight: wanted (72, 24), found none"));
  CHECK(contains(
      refused(narrow.remove(fused + "bias").add(fused + "bias", DType::f32, {71}), ErrorId::tensors_mismatched),
      fused + "bias: wanted (72)"));
  CHECK(contains(refused(twice.add(layer + "key.bias", DType::f32, {24}), ErrorId::tensors_mismatched),
                 layer + "key.bias: wanted none"));
  CHECK(contains(refused(bad.set(fused + "weight", 24 * 55 + 2, std::numeric_limits<float>::infinity()),
                         ErrorId::value_not_finite),
                 "inf at index 1322"));
}
