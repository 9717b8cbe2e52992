// SPDX-License-Identifier: MIT
#include "../model_folders.hpp"

#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/convert.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

using DefaultBinary =
    Binary<Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>>;

/// Rows of 128 but for one role: Q1_0 and Q4_0.
LlamaConfig wide_config() {
  LlamaConfig c = folder_config(false);
  c.hidden_size = 128;
  c.intermediate_size = 96;
  c.num_attention_heads = 2, c.num_key_value_heads = 1, c.head_dim = 64;
  return c;
}

Llama<float> wide_model() {
  Llama<float> model(wide_config());
  initialise(model, 5, 0.4);
  return model;
}

/// Scales that half precision holds, so that nothing is lost.
template <class Model>
void round_scales(Model& packed) {
  for (const auto& [name, linear] : linear_layers(packed)) {
    auto& scale = linear->weight.scale;
    for (Index i = 0; i < scale.size(); ++i) {
      scale.view().data[i] = float_from_f16(f16_from_float(scale.view().data[i]));
    }
  }
}

}  // namespace

TEST_CASE("gguf: a full-precision model in F32 comes back bit for bit, from the file and from a folder made of it") {
  for (const bool tied : {true, false}) {
    const TemporaryFolder folder;
    const auto model = tiny_model<float>(tied);
    save(model, folder / "a");
    const auto written = convert_model(folder / "a", folder / "a.gguf", {.type = DType::f32});
    for (const auto& [dtype, rounding] : written.roundings) CHECK(rounding.changed == 0);
    CHECK(same_tensors(model, load_model<Llama<float>>(folder / "a.gguf")));
    CHECK(read_config(folder / "a.gguf").config.tie_word_embeddings == tied);
    (void)convert_model(folder / "a.gguf", folder / "b", {.type = DType::f32});
    CHECK(same_tensors(model, load_model<Llama<float>>(folder / "b")));
    // rows that turn together are neighbours in the file
    const GgufFile file(folder / "a.gguf");
    std::vector<float> rows(24 * 12);
    file.read(*file.find("blk.1.attn_q.weight"), rows);
    const auto& query = model.layers[1].attention.q_proj;
    CHECK(rows[12] == query.weight.value.data[3 * 12]);  // row 1 of a head of 6 is row 3 of the family
  }
}

TEST_CASE("gguf: what half precision loses is counted") {
  const TemporaryFolder folder;
  save(tiny_model<float>(), folder / "a");
  const auto written = convert_model(folder / "a", folder / "a.gguf");
  const Rounding& f16 = written.roundings.at(DType::f16);
  CHECK(f16.changed > 0);
  CHECK(f16.relative_error() < 0x1p-11);
  CHECK(written.roundings.at(DType::f32).changed == 0);  // norms
  CHECK(written.block_weights.size() == 1);
  CHECK(written.block_weights.at(DType::f16) == 2 * 12 * (2 * 24 + 2 * 12 + 3 * 20));
  CHECK(contains(written.losses.at(0), "tokenizer"));
}

TEST_CASE("gguf: a packed model becomes Q1_0 where its rows fit, Q4_0 where not; only its scales are rounded") {
  const TemporaryFolder folder;
  auto packed = pack(binarize(wide_model(), DefaultBinary{}));
  save(packed, folder / "packed");
  const auto written = convert_model(folder / "packed", folder / "packed.gguf", {.type = DType::f32});
  CHECK(written.block_weights.at(DType::q1_0) == 2 * 128 * (2 * 128 + 2 * 64 + 2 * 96));
  CHECK(written.block_weights.at(DType::q4_0) == 2 * 128 * 96);
  CHECK(written.roundings.at(DType::q1_0).relative_error() < 0x1p-11);
  CHECK(written.roundings.at(DType::q4_0).relative_error() < 0x1p-11);
  round_scales(packed);
  CHECK(same_tensors(unpack(packed), load_model<Llama<float>>(folder / "packed.gguf")));
  const BitCounts bits = bit_counts(folder / "packed.gguf");
  CHECK(bits.block_linears_with_scales > 1.125);
  CHECK(bits.block_linears_with_scales < 4.5);
}

TEST_CASE("gguf: an input scale beside the signs costs bits and accuracy, and it is said how much") {
  const TemporaryFolder folder;
  auto packed = pack(binarize(wide_model(), DefaultBinary{}));
  auto& scale = packed.layers[0].attention.q_proj.weight.input_scale;
  scale = Tensor<float>(Shape{128});
  for (Index j = 0; j < 128; ++j) scale.view().data[j] = 1 + 0.01f * static_cast<float>(j % 7);
  save(packed, folder / "packed");
  const auto written = convert_model(folder / "packed", folder / "packed.gguf");
  CHECK(written.block_weights.at(DType::q4_0) == 2 * 128 * 96 + 128 * 128);
  CHECK(written.roundings.at(DType::q4_0).relative_error() > 1e-3);
  CHECK(GgufFile(folder / "packed.gguf").find("blk.0.attn_q.weight")->dtype == DType::q4_0);
  CHECK(GgufFile(folder / "packed.gguf").find("blk.1.attn_q.weight")->dtype == DType::q1_0);
}

TEST_CASE("a packed folder converted to a folder is the same model") {
  const TemporaryFolder folder;
  const auto packed = pack(binarize(tiny_model<float>(), DefaultBinary{}));
  save(packed, folder / "a");
  (void)convert_model(folder / "a", folder / "b", {.type = DType::f32});
  CHECK(same_tensors(packed, load_model<Llama<float, Cpu, Packed>>(folder / "b")));
}

TEST_CASE("conversions that are refused leave nothing") {
  const TemporaryFolder folder;
  save(binarize(tiny_model<float>(), DefaultBinary{}), folder / "binary");
  const auto id_of = [&](const char* from, const char* to, DType type = DType::f16) {
    return error_of([&] { (void)convert_model(folder / from, folder / to, {.type = type}); }).id();
  };
  CHECK(id_of("binary", "x.gguf") == ErrorId::config_inconsistent);
  CHECK(id_of("binary", "binary") == ErrorId::config_inconsistent);
  CHECK(id_of("binary", "x", DType::q4_0) == ErrorId::option_out_of_range);
  CHECK(id_of("none", "x.gguf") == ErrorId::file_missing);
  CHECK(folder.files() == 1);
}

TEST_CASE("gguf: tensors that the configuration does not ask for, or asks for in vain, are listed by name") {
  const TemporaryFolder folder;
  save(tiny_model<float>(), folder / "a");
  (void)convert_model(folder / "a", folder / "a.gguf");
  std::string bytes = read_text(folder / "a.gguf");
  const std::size_t at = bytes.find("blk.1.attn_v.weight");
  REQUIRE(at != bytes.npos);
  bytes.replace(at, 19, "blk.1.attn_x.weight");
  write_text(folder / "b.gguf", bytes);
  const Error error = error_of([&] { (void)load_model<Llama<float>>(folder / "b.gguf"); });
  CHECK(error.id() == ErrorId::tensors_mismatched);
  CHECK(contains(error.what(), "blk.1.attn_x.weight"));
  CHECK(contains(error.what(), "model.layers.1.self_attn.v_proj.weight"));
}
