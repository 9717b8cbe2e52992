// SPDX-License-Identifier: MIT
#include "../../support/errors.hpp"
#include "model_folders.hpp"

#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/models/convert.hpp>

#include <limits>
#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

using DefaultBinary =
    Binary<Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>>;
using BinaryModel = Llama<float, Cpu, DefaultBinary>;

const std::string up = "model.layers.1.mlp.up_proj.";

Error load_error(const TemporaryFolder& folder) {
  return error_of([&] { (void)load_model<Llama<float>>(folder.path()); });
}
Error load_packed_error(const TemporaryFolder& folder) {
  return error_of([&] { (void)load_model<Llama<float, Cpu, Packed>>(folder.path()); });
}

/// A folder with a good tiny model.
struct DenseFolder : TemporaryFolder {
  explicit DenseFolder(bool tied = true) { save(tiny_model<float>(tied), path()); }
};
struct BinaryFolder : TemporaryFolder {
  BinaryFolder() { save(binarize(tiny_model<float>(), DefaultBinary{}), path()); }
};
struct PackedFolder : TemporaryFolder {
  PackedFolder() { save(pack(binarize(tiny_model<float>(), DefaultBinary{})), path()); }
};

/// Changes the recipe in a folder's config.json.
template <class Change>
void edit(const TemporaryFolder& folder, const Change& change) {
  ModelDescription description = read_config(folder.path());
  change(description);
  write_config(folder / "config.json", description);
}
void set_recipe(const TemporaryFolder& folder, const std::string& key, const std::string& value) {
  edit(folder, [&](ModelDescription& d) { d.recipe[key] = value; });
}
void drop_recipe(const TemporaryFolder& folder, const std::string& key) {
  edit(folder, [&](ModelDescription& d) { REQUIRE(d.recipe.erase(key) == 1); });
}

}  // namespace

TEST_CASE("wrong, missing and extra tensors are listed in one message, with both shapes") {
  const DenseFolder folder;
  const std::string q = "model.layers.0.self_attn.q_proj.";
  EditedTensors(folder.path())
      .remove("model.norm.weight")
      .remove(q + "weight")
      .add(up + "weight", DType::f32, {12, 20})
      .add("model.embed_tokens.weight", DType::i32, {19, 12})
      .add(q + "bias", DType::f32, {24})
      .add("extra", DType::u8, {})
      .write(folder.path());
  const Error error = load_error(folder);
  CHECK(error.id() == ErrorId::tensors_mismatched);
  CHECK(error.argument() == (folder / "model.safetensors").string());
  CHECK(contains(error.found(), "6 that differ"));
  CHECK(contains(error.found(), "model.norm.weight: wanted (12), found none"));
  CHECK(contains(error.found(), q + "weight: wanted (24, 12), found none"));
  CHECK(contains(error.found(), up + "weight: wanted (20, 12), found F32 (12, 20)"));
  CHECK(contains(error.found(), "model.embed_tokens.weight: wanted (19, 12), found I32 (19, 12)"));
  CHECK(contains(error.found(), q + "bias: wanted none, found F32 (24)"));
  CHECK(contains(error.found(), "extra: wanted none, found U8 ()"));
}

TEST_CASE("rotary frequencies that other programs store are passed over") {
  const DenseFolder folder;
  EditedTensors(folder.path())
      .add("model.layers.0.self_attn.rotary_emb.inv_freq", DType::f32, {3})
      .add("model.rotary_emb.inv_freq", DType::f32, {3})
      .write(folder.path());
  CHECK(same_tensors(load_model<Llama<float>>(folder.path()), tiny_model<float>()));
}

TEST_CASE("a tied head may be stored twice, if it is the embedding") {
  const DenseFolder folder;
  const auto with_head = [&] {
    EditedTensors file(folder.path());
    auto embedding = file["model.embed_tokens.weight"];
    file.add("lm_head.weight", DType::f32, {19, 12})["lm_head.weight"] = embedding;
    return file;
  };
  with_head().write(folder.path());
  CHECK(same_tensors(load_model<Llama<float>>(folder.path()), tiny_model<float>()));
  with_head().set("lm_head.weight", 17, 3.5f).write(folder.path());
  const Error error = load_error(folder);
  CHECK(error.id() == ErrorId::tensors_mismatched);
  CHECK(contains(error.found(), "1 that differ"));
  CHECK(contains(error.found(), "lm_head.weight: wanted none or the values of model.embed_tokens.weight"));
  with_head().add("lm_head.weight", DType::f32, {12, 19}).write(folder.path());
  CHECK(contains(load_error(folder).found(), "lm_head.weight"));
}

TEST_CASE("an untied head is needed") {
  const DenseFolder folder(false);
  EditedTensors(folder.path()).remove("lm_head.weight").write(folder.path());
  CHECK(contains(load_error(folder).found(), "lm_head.weight: wanted (19, 12), found none"));
}

TEST_CASE("NaN and infinity in a weight are found, with file, tensor and index") {
  const DenseFolder folder;
  const EditedTensors good(folder.path());
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    CAPTURE(bad);
    EditedTensors(good).set(up + "weight", 37, bad).write(folder.path());
    const Error error = load_error(folder);
    CHECK(error.id() == ErrorId::value_not_finite);
    CHECK(contains(error.argument(), (folder / "model.safetensors").string()));
    CHECK(contains(error.argument(), up + "weight"));
    CHECK(contains(error.found(), "index 37"));
  }
  EditedTensors(good)
      .set("model.norm.weight", 0, std::numeric_limits<float>::quiet_NaN())
      .convert(DType::bf16)
      .write(folder.path());
  CHECK(contains(load_error(folder).argument(), "model.norm.weight"));
  // A number that only double holds.
  EditedTensors wide = EditedTensors(good).convert(DType::f64);
  const double large = 1e200;
  std::memcpy(wide["model.norm.weight"].bytes.data() + 8, &large, sizeof large);
  wide.write(folder.path());
  CHECK(contains(load_error(folder).found(), "inf at index 1"));
  CHECK(load_model<Llama<double>>(folder.path()).norm.weight.value.data[1] == large);
}

TEST_CASE("NaN in the scale of a packed model is found") {
  const PackedFolder folder;
  EditedTensors(folder.path()).set(up + "scale", 19, std::numeric_limits<float>::quiet_NaN()).write(folder.path());
  const Error error = load_packed_error(folder);
  CHECK(error.id() == ErrorId::value_not_finite);
  CHECK(contains(error.argument(), up + "scale"));
}

TEST_CASE("files that are missing, empty, cut short or changed are refused") {
  const DenseFolder folder;
  const std::string file = read_text(folder / "model.safetensors"), config = read_text(folder / "config.json");
  const auto id_with = [&](const std::string& text) {
    write_text(folder / "model.safetensors", text);
    return load_error(folder).id();
  };
  CHECK(id_with("") == ErrorId::file_truncated);
  CHECK(id_with(file.substr(0, file.size() - 1)) == ErrorId::file_truncated);
  CHECK(id_with(file.substr(0, 100)) == ErrorId::file_truncated);
  CHECK(id_with(file + "x") == ErrorId::header_invalid);
  std::string flipped = file;
  flipped[9] = '~';
  CHECK(id_with(flipped) == ErrorId::header_invalid);
  std::filesystem::remove(folder / "model.safetensors");
  CHECK(load_error(folder).id() == ErrorId::file_missing);
  std::filesystem::remove(folder / "config.json");
  CHECK(load_error(folder).id() == ErrorId::file_missing);
  CHECK(id_of([&] { (void)load_model<Llama<float>>(folder / "nowhere"); }) == ErrorId::file_missing);
}

TEST_CASE("a damaged number in the configuration is an error and no huge allocation") {
  const DenseFolder folder;
  for (Index LlamaConfig::*field :
       {&LlamaConfig::vocab_size, &LlamaConfig::intermediate_size, &LlamaConfig::num_hidden_layers}) {
    const DenseFolder damaged;
    edit(damaged, [&](ModelDescription& d) { d.config.*field += Index{1} << 29; });
    CHECK(load_error(damaged).id() == ErrorId::tensors_mismatched);
  }
  // Near misses get the list of tensors.
  edit(folder, [](ModelDescription& d) { d.config.num_hidden_layers = 3; });
  CHECK(contains(load_error(folder).found(), "9 that differ"));
}

TEST_CASE("a folder of another format is refused") {
  const DenseFolder dense;
  const BinaryFolder binary;
  const PackedFolder packed;
  CHECK(load_error(binary).id() == ErrorId::config_inconsistent);
  CHECK(load_error(packed).id() == ErrorId::config_inconsistent);
  const Error error = load_packed_error(dense);
  CHECK(error.id() == ErrorId::config_inconsistent);
  CHECK(error.wanted() == "packed");
  CHECK(error.found() == "dense");
  CHECK(contains(error.argument(), (dense / "config.json").string()));
  CHECK(id_of([&] { (void)load_model<BinaryModel>(packed.path()); }) == ErrorId::config_inconsistent);
}

TEST_CASE("a packed model in a layout that nobody knows is refused") {
  const PackedFolder folder;
  set_recipe(folder, "layout", "sign-columns-v7");
  const Error error = load_packed_error(folder);
  CHECK(error.id() == ErrorId::version_unsupported);
  CHECK(error.wanted() == "sign-rows-v1");
  CHECK(error.found() == "sign-columns-v7");
  drop_recipe(folder, "layout");
  CHECK(load_packed_error(folder).id() == ErrorId::version_unsupported);
}

TEST_CASE("packed bits beyond the columns, or of another size, are refused") {
  const PackedFolder folder;
  const EditedTensors good(folder.path());
  EditedTensors pad(good);
  pad[up + "signs"].bytes[2 * 7 + 1] |= std::byte{0x10};  // column 12 of row 7
  pad.write(folder.path());
  Error error = load_packed_error(folder);
  CHECK(error.id() == ErrorId::tensors_mismatched);
  CHECK(contains(error.found(), up + "signs: wanted zero bits after column 11, found others in row 7"));

  const auto found_with = [&](DType dtype, const Shape& shape) {
    EditedTensors(good).add(up + "signs", dtype, shape).write(folder.path());
    return load_packed_error(folder).found();
  };
  CHECK(contains(found_with(DType::u8, {20, 3}), up + "signs: wanted U8 (20, 2), found U8 (20, 3)"));
  CHECK(contains(found_with(DType::u8, {40}), up + "signs: wanted U8 (20, 2), found U8 (40)"));
  CHECK(contains(found_with(DType::f32, {20, 2}), up + "signs: wanted U8 (20, 2), found F32 (20, 2)"));
  EditedTensors(good).remove(up + "scale").add(up + "input_scale", DType::f32, {13}).write(folder.path());
  error = load_packed_error(folder);
  CHECK(contains(error.found(), up + "scale: wanted (20), found none"));
  CHECK(contains(error.found(), up + "input_scale: wanted (12), found F32 (13)"));
  CHECK(contains(error.found(), "2 that differ"));
}

TEST_CASE("policies that the folder lacks, that nobody knows, or that are not the caller's are refused") {
  using Runtime = Llama<float, Cpu, RuntimeBinary<float>>;
  const auto runtime_error = [](const BinaryFolder& folder) {
    return error_of([&] { (void)load_model<Runtime>(folder.path()); });
  };
  const auto static_error = [](const BinaryFolder& folder) {
    return error_of([&] { (void)load_model<BinaryModel>(folder.path()); });
  };
  for (const char* key : {"estimator", "scale", "granularity", "schedule"}) {
    CAPTURE(key);
    const BinaryFolder folder;
    set_recipe(folder, key, "magic");
    const Error unknown = runtime_error(folder);
    CHECK(unknown.id() == ErrorId::unknown_name);
    CHECK(unknown.argument() == key);
    CHECK(contains(unknown.wanted(), "one of "));
    drop_recipe(folder, key);
    const Error missing = runtime_error(folder);
    CHECK(missing.id() == ErrorId::config_invalid);
    CHECK(contains(missing.argument(), key));
  }
  const BinaryFolder folder;
  set_recipe(folder, "estimator", "ede");
  const Error other = static_error(folder);
  CHECK(other.id() == ErrorId::config_inconsistent);
  CHECK(contains(other.argument(), "estimator"));
  CHECK(other.wanted() == "progressive");
  CHECK(other.found() == "ede");
  set_recipe(folder, "estimator", "progressive");
  set_recipe(folder, "channel_scale", "per-linear");
  CHECK(static_error(folder).id() == ErrorId::config_inconsistent);
  set_recipe(folder, "channel_scale", "sideways");
  CHECK(static_error(folder).id() == ErrorId::unknown_name);
  // What the folder was trained with is no matter for what it computes.
  set_recipe(folder, "channel_scale", "none");
  set_recipe(folder, "schedule", "uniform");
  CHECK(load_model<BinaryModel>(folder.path()).config == folder_config());
}

TEST_CASE("the sharpness is a number from 0 to inf") {
  ModelDescription description{.config = folder_config(), .format = "binary", .recipe = {}};
  CHECK(id_of([&] { (void)recipe_sharpness(description); }) == ErrorId::config_invalid);
  description.recipe["t"] = "inf";
  CHECK(recipe_sharpness(description) == std::numeric_limits<double>::infinity());
  for (const char* bad : {"", "nan", "-1", "1x", "hard"}) {
    CAPTURE(bad);
    description.recipe["t"] = bad;
    CHECK(id_of([&] { (void)recipe_sharpness(description); }) == ErrorId::config_invalid);
  }
}

TEST_CASE("bits cannot be counted where there are no block weights") {
  const DenseFolder folder;
  write_safetensors(folder / "model.safetensors", {});
  CHECK(id_of([&] { (void)bit_counts(folder.path()); }) == ErrorId::tensors_mismatched);
}
