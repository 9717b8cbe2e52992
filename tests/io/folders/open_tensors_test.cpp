// SPDX-License-Identifier: MIT
// Folders as other programs publish them, and as storage damages them.
#include "../../support/errors.hpp"
#include "model_folders.hpp"

#include <binllm/core/process_memory.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/open_tensors.hpp>
#include <binllm/io/folders/pack_folder.hpp>
#include <binllm/io/folders/verify.hpp>

#include <nlohmann/json.hpp>

#include <functional>

using namespace binllm;
using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

struct DenseFolder : TemporaryFolder {
  explicit DenseFolder(bool tied = true) { save(tiny_model<float>(tied), path()); }
};

Error load_error(const TemporaryFolder& folder) {
  return error_of([&] { (void)load_model<Llama<float>>(folder.path()); });
}

/// Cuts model.safetensors into two shards with an index.
void shard(const TemporaryFolder& folder) {
  const auto single = folder / "model.safetensors";
  std::string index = R"({"metadata":{},"weight_map":{)";
  {
    const SafetensorsFile file(single);
    std::array<std::vector<TensorSource>, 2> halves;
    for (std::size_t i = 0; i < file.tensors().size(); ++i) {
      const TensorInfo& tensor = file.tensors()[i];
      halves[i % 2].push_back({tensor.name, tensor.dtype, tensor.shape, file.bytes(tensor).data()});
      index += fmt::format("{}\"{}\":\"model-{}.safetensors\"", i == 0 ? "" : ",", tensor.name, i % 2);
    }
    for (std::size_t i = 0; i < 2; ++i) write_safetensors(folder / fmt::format("model-{}.safetensors", i), halves[i]);
  }
  fs::remove(single);
  write_text(folder / "model.safetensors.index.json", index + "}}");
}

/// Gives every tensor another name.
void rename_all(const TemporaryFolder& folder, const std::function<std::string(const std::string&)>& name_of) {
  EditedTensors file(folder.path());
  for (const std::string& name : file.names()) file.rename(name, name_of(name));
  file.write(folder.path());
}

}  // namespace

TEST_CASE("a model in shards is the model in one file") {
  const DenseFolder folder(false);
  const BitCounts single = bit_counts(folder.path());
  shard(folder);
  CHECK(same_tensors(load_model<Llama<float>>(folder.path()), tiny_model<float>(false)));
  const BitCounts sharded = bit_counts(folder.path());
  CHECK(sharded.parameters == single.parameters);
  CHECK(sharded.signs_only == single.signs_only);
  fs::remove(folder / "model-1.safetensors");
  const Error error = load_error(folder);
  CHECK(error.id() == ErrorId::file_missing);
  CHECK(contains(error.argument(), "model.safetensors.index.json"));
  CHECK(contains(error.found(), "model-1.safetensors"));
}

TEST_CASE("a folder without tensors says what it has instead") {
  const DenseFolder folder;
  fs::remove(folder / "model.safetensors");
  CHECK(load_error(folder).id() == ErrorId::file_missing);
  write_text(folder / "pytorch_model.bin", "");
  const Error error = load_error(folder);
  CHECK(error.id() == ErrorId::file_missing);
  CHECK(contains(error.wanted(), "model.safetensors.index.json"));
  CHECK(contains(error.found(), "pytorch_model.bin"));
  CHECK(contains(error.found(), "convert"));
}

TEST_CASE("prefixes that other programs drop or add are undone") {
  const auto without_model = [](const std::string& name) { return name.starts_with("model.") ? name.substr(6) : name; };
  const std::vector<std::function<std::string(const std::string&)>> saved_as{
      without_model,
      [&](const std::string& name) { return name == "lm_head.weight" ? name : "transformer." + without_model(name); },
      [](const std::string& name) { return "language_model." + name; },
      [](const std::string& name) { return "module." + name; },
      [&](const std::string& name) { return name == "lm_head.weight" ? name : "base.model." + without_model(name); }};
  for (std::size_t i = 0; i < saved_as.size(); ++i) {
    for (const bool tied : {true, false}) {
      CAPTURE(i);
      const DenseFolder folder(tied);
      rename_all(folder, saved_as[i]);
      CHECK(same_tensors(load_model<Llama<float>>(folder.path()), tiny_model<float>(tied)));
    }
  }
  const DenseFolder folder;
  EditedTensors(folder.path()).add("vision.proj.weight", DType::f32, {2}).write(folder.path());
  rename_all(folder, [](const std::string& name) { return "language_model." + name; });
  CHECK(contains(load_error(folder).found(), "vision.proj.weight: wanted none"));
  EditedTensors twice(folder.path());
  twice.add("model.norm.weight", DType::f32, {12}).write(folder.path());
  CHECK(contains(load_error(folder).what(), "one tensor for model.norm.weight"));
}

TEST_CASE("masks and positions that other programs store are passed over, of any type") {
  const DenseFolder folder;
  EditedTensors(folder.path())
      .add("model.layers.0.attention.bias", DType::boolean, {1, 1, 16, 16})
      .add("model.layers.0.attention.masked_bias", DType::f32, {})
      .add("model.layers.1.self_attn.rotary_emb.inv_freq", DType::f32, {3})
      .write(folder.path());
  CHECK(same_tensors(load_model<Llama<float>>(folder.path()), tiny_model<float>()));
  CHECK(bit_counts(folder.path()).parameters == parameter_count(tiny_model<float>()));
}

TEST_CASE("a head stored twice may say -0 for 0, in another type too") {
  const DenseFolder folder;
  EditedTensors file(folder.path());
  file.set("model.embed_tokens.weight", 5, 0.0f);
  const auto embedding = file["model.embed_tokens.weight"];
  file.add("lm_head.weight", DType::f32, {19, 12})["lm_head.weight"] = embedding;
  file.set("lm_head.weight", 5, -0.0f).write(folder.path());
  CHECK_NOTHROW((void)load_model<Llama<float>>(folder.path()));
  std::vector<double> wide(19 * 12);
  const SafetensorsFile written(folder / "model.safetensors");
  written.read(*written.find("lm_head.weight"), wide);
  file.add("lm_head.weight", DType::f64, {19, 12});
  std::memcpy(file["lm_head.weight"].bytes.data(), wide.data(), wide.size() * sizeof(double));
  file.write(folder.path());
  CHECK_NOTHROW((void)load_model<Llama<float>>(folder.path()));
  wide[200] += 1e-9;
  std::memcpy(file["lm_head.weight"].bytes.data(), wide.data(), wide.size() * sizeof(double));
  file.write(folder.path());
  CHECK(load_error(folder).id() == ErrorId::tensors_mismatched);
}

TEST_CASE("a flipped bit in the file of a saved model is an error, or changes nothing that is loaded") {
  const auto check = [](const auto& model, const std::string& format) {
    using Model = std::remove_cvref_t<decltype(model)>;
    const TemporaryFolder folder;
    save(model, folder.path());
    const std::string whole = read_text(folder / "model.safetensors");
    int refused = 0, equal = 0;
    for (std::uint64_t round = 0; round < 400; ++round) {
      const std::uint64_t bit = Random(7, Purpose::test, round).below(0, whole.size() * 8);
      CAPTURE(format);
      CAPTURE(bit);
      std::string damaged = whole;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      write_text(folder / "model.safetensors", damaged);
      try {
        const bool same = same_tensors(load_model<Model>(folder.path()), model);
        CHECK(same);
        ++equal;
      } catch (const Error&) {
        ++refused;
      }
    }
    CHECK(refused > 350);
    CHECK(equal + refused == 400);
  };
  using Vanilla = Binary<Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>>;
  check(tiny_model<float>(), "dense");
  check(pack(binarize(tiny_model<float>(), Vanilla{})), "packed");
}

TEST_CASE("rounding a folder to signs keeps signs and mean magnitudes of rows, all else as it was") {
  const DenseFolder from(false);
  const TemporaryFolder to;
  write_text(from / "generation_config.json", R"({"eos_token_id":[3,7]})");
  pack_folder(from.path(), to / "packed");
  const auto packed = load_model<Llama<float, Cpu, PackedFormat<FloatActivations>>>(to / "packed");
  const auto restored = unpack(packed);
  const auto source = tiny_model<float>(false);
  CHECK(packed.config.eos_token_ids == std::vector<std::int32_t>{3, 7});
  std::size_t rows = 0;
  for_each_linear(
      [&](const std::string&, const auto& was, const auto& is) {
        for (Index i = 0; i < was.weight.shape().rows(); ++i, ++rows) {
          const auto w = was.weight.value.row(i);
          const float scale = w.abs().mean();
          for (Index j = 0; j < w.size(); ++j)
            CHECK(is.weight.value.row(i)[j] == doctest::Approx(w[j] < 0 ? -scale : scale));
        }
      },
      source, restored);
  CHECK(rows == 2 * (24 + 12 + 12 + 12 + 20 + 20 + 12));
  CHECK(same_bits(read(restored.lm_head.value), read(source.lm_head.value)));
  CHECK(same_bits(read(restored.embed_tokens.value), read(source.embed_tokens.value)));
  CHECK(error_of([&] { pack_folder(from.path(), from.path()); }).id() == ErrorId::config_inconsistent);
  CHECK(error_of([&] { pack_folder(to / "packed", to / "again"); }).id() == ErrorId::config_inconsistent);
  CHECK_FALSE(fs::exists(to / "again"));
}

TEST_CASE("generation_config.json is kept, but never that of another model") {
  auto model = tiny_model<float>();
  model.config.eos_token_ids = {3, 7};
  const TemporaryFolder from, to;
  const auto generation = to / "generation_config.json";
  write_text(from / "generation_config.json", R"({"eos_token_id":[3,7],"top_k":5})");
  save(model, to.path(), {.source = from.path()});
  CHECK(read_text(generation) == read_text(from / "generation_config.json"));
  save(model, to.path());
  CHECK(fs::exists(generation));
  model.config.eos_token_ids = {3};
  save(model, to.path());
  CHECK_FALSE(fs::exists(generation));
  CHECK(read_config(to.path()).config == model.config);
}

TEST_CASE("what config.json says to others is kept; what is no longer so is not") {
  const auto model = tiny_model<float>();
  const TemporaryFolder from, to;
  save(model, from.path());
  auto object = nlohmann::json::parse(read_text(from / "config.json"));
  object.erase("binllm");
  object.update({{"initializer_range", 0.02},
                 {"task", {{"name", "stories"}}},
                 {"torch_dtype", "float16"},
                 {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", model.config.rope_theta}}},
                 {"quantization_config", {{"bits", 4}}}});
  write_text(from / "config.json", object.dump());
  save(model, to.path(), {.source = from.path()});
  const auto kept = nlohmann::json::parse(read_text(to / "config.json"));
  CHECK(kept["initializer_range"] == 0.02);
  CHECK(kept["task"]["name"] == "stories");
  for (const char* key : {"torch_dtype", "rope_parameters", "quantization_config"}) CHECK_FALSE(kept.contains(key));
  CHECK(read_config(to.path()).config == model.config);
  CHECK(has_config_checksum(to.path()));
}

TEST_CASE("a folder is verified as far as it has checksums") {
  const DenseFolder folder;
  const auto said = [](const std::vector<std::string>& sentences, const std::string& part) {
    return std::any_of(sentences.begin(), sentences.end(), [&](const auto& s) { return contains(s, part); });
  };
  const Verification own = verify_folder(folder.path());
  CHECK(said(own.verified, "config.json: checksum"));
  CHECK(said(own.verified, "model.safetensors: checksums of 20 tensors"));
  CHECK(said(own.not_verified, "tokenizer"));
  EditedTensors(folder.path()).write(folder.path());  // without checksums
  const Verification other = verify_folder(folder.path());
  CHECK(said(other.verified, "finite numbers in 20 tensors"));
  CHECK(said(other.not_verified, "20 tensors have no checksum"));
  EditedTensors(folder.path()).set("model.norm.weight", 3, INFINITY).write(folder.path());
  CHECK(error_of([&] { (void)verify_folder(folder.path()); }).id() == ErrorId::value_not_finite);
}

TEST_CASE("what was read of a file does not stay in memory") {
  LlamaConfig c = folder_config(false);
  c.vocab_size = 1024, c.hidden_size = 1024, c.intermediate_size = 2048, c.num_hidden_layers = 1;
  const TemporaryFolder folder;
  save(Llama<float>(c), folder.path());
  const double bytes = static_cast<double>(fs::file_size(folder / "model.safetensors"));
  const double before = static_cast<double>(resident_bytes());
  const auto model = load_model<Llama<float>>(folder.path());
  // The weights, and pages of less than a tenth of the file.
  CHECK(static_cast<double>(resident_bytes()) - before < 1.1 * bytes + (1 << 20));
}
