// SPDX-License-Identifier: MIT
#include "../../data_kit.hpp"
#include "../../support/tensors.hpp"
#include "model_folders.hpp"

#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/packed/kernels.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <nlohmann/json.hpp>

#include <limits>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

template <class E, class S, ChannelSharing C = ChannelSharing::shared>
using BinaryOf = Binary<Recipe<E, S, ChannelScale<typename E::value_type, C>, ExponentialSchedule>>;
using DefaultBinary = BinaryOf<ProgressiveSign<float>, DualScale<float>>;

struct Cubic : ProgressiveSign<float> {};
struct Named : ProgressiveSign<float> {
  static constexpr std::string_view name = "quintic";
};

/// Values that a wrong tensor, row or scale would change: no two alike.
template <class Model>
void disturb(Model& model) {
  std::uint64_t tensor = 0;
  for_each_parameter(model, [&](const std::string&, auto& parameter) {
    const Random random(9, Purpose::test, tensor++);
    for (Index i = 0; i < parameter.size(); ++i) {
      parameter.value.data[i] *= static_cast<float>(1 + 0.2 * random.uniform(static_cast<std::uint64_t>(i)));
    }
  });
}

template <class Format>
void check_round_trip(const Format& format) {
  const TemporaryFolder folder;
  auto model = binarize(tiny_model<float>(), format);
  disturb(model);
  save(model, folder.path());
  using Model = decltype(model);
  const auto loaded = load_model<Model>(folder.path(), format);
  CHECK(loaded.format.scale.traits().granularity == format.scale.traits().granularity);
  CHECK(same_tensors(model, loaded));
  CHECK(same_logits(model, load_model<Model>(folder.path())));
}

}  // namespace

TEST_CASE_TEMPLATE("dense models of both scalar types come back bit for bit", T, float, double) {
  const TemporaryFolder folder;
  for (const bool tied : {true, false}) {
    auto model = tiny_model<T>(tied);
    save(model, folder.path());
    auto loaded = load_model<Llama<T>>(folder.path());
    CHECK(loaded.config == model.config);
    CHECK(same_tensors(model, loaded));
    CHECK(same_logits(model, loaded));
    CHECK(read_config(folder.path()).format == "dense");
  }
}

TEST_CASE("a folder holds Hugging Face's names and nothing else") {
  const TemporaryFolder folder;
  save(tiny_model<float>(), folder.path());
  CHECK(folder.files() == 2);
  const SafetensorsFile file(folder / "model.safetensors");
  CHECK(file.tensors().size() == 2 * 9 + 2);
  for (const char* name : {"model.embed_tokens.weight", "model.layers.1.input_layernorm.weight", "model.norm.weight",
                           "model.layers.0.self_attn.q_proj.weight", "model.layers.1.post_attention_layernorm.weight",
                           "model.layers.0.self_attn.o_proj.weight", "model.layers.1.mlp.down_proj.weight"}) {
    CHECK_MESSAGE(file.find(name) != nullptr, name);
  }
  CHECK(file.find("lm_head.weight") == nullptr);
}

TEST_CASE("binary models come back bit for bit, whatever their scales are") {
  using P = ProgressiveSign<float>;
  check_round_trip(DefaultBinary{});
  check_round_trip(BinaryOf<P, DualScale<float, Granularity::column>>{});
  check_round_trip(BinaryOf<P, DualScale<float, Granularity::tensor>>{});
  check_round_trip(BinaryOf<P, DualScale<float, Granularity::group, AnalyticGradient::attached, 4>>{});
  check_round_trip(BinaryOf<P, LearnedScale<float>, ChannelSharing::per_linear>{});
  check_round_trip(
      BinaryOf<StraightThrough<float>, AnalyticScale<float, Granularity::row, AnalyticGradient::detached>>{});
  RuntimeBinary<float> runtime;
  runtime.estimator = RuntimeEstimator<float>::named("ede");
  runtime.scale = RuntimeScale<float>::named("dual-detached", "group:2");
  runtime.schedule = RuntimeSchedule::named("geometric");
  check_round_trip(runtime);
}

TEST_CASE("config.json names the policies, and run-time policies are found by these names") {
  const TemporaryFolder folder;
  const DefaultBinary format;
  const auto model = binarize(tiny_model<float>(), format);
  save(model, folder.path(), {nullptr, {{"t", "105.25"}, {"schedule", "overridden by the format's own"}}});
  const ModelDescription description = read_config(folder.path());
  CHECK(description.format == "binary");
  CHECK(description.recipe == std::map<std::string, std::string>{{"estimator", "progressive"},
                                                                 {"scale", "dual"},
                                                                 {"granularity", "row"},
                                                                 {"channel_scale", "shared"},
                                                                 {"schedule", "exponential"},
                                                                 {"t", "105.25"}});
  CHECK(recipe_sharpness(description) == 105.25);
  const auto runtime = load_model<Llama<float, Cpu, RuntimeBinary<float>>>(folder.path());
  CHECK(runtime.format.estimator.entry->name == "progressive");
  CHECK(runtime.format.scale.traits().learned);
  CHECK(same_tensors(model, runtime));
}

TEST_CASE("a user's own estimator is stored by its name, or by the caller's word for it") {
  const TemporaryFolder folder;
  const auto dense = tiny_model<float>();
  const auto stored = [&] { return read_config(folder.path()).recipe.at("estimator"); };
  const auto model = binarize(dense, BinaryOf<Cubic, DualScale<float>>{});
  save(model, folder.path());
  CHECK(stored() == "custom");
  CHECK(same_tensors(model, load_model<std::remove_const_t<decltype(model)>>(folder.path())));
  save(model, folder.path(), {nullptr, {{"estimator", "cubic"}}});
  CHECK(stored() == "cubic");
  save(binarize(dense, BinaryOf<Named, DualScale<float>>{}), folder.path());
  CHECK(stored() == "quintic");
}

TEST_CASE_TEMPLATE("packed models come back bit for bit, with and without an input scale", T, float, double) {
  const auto dense = tiny_model<T>();
  using P = ProgressiveSign<T>;
  const auto check = [&](const auto& format, bool input_scales) {
    const TemporaryFolder folder;
    auto model = pack(binarize(dense, format));
    save(model, folder.path());
    auto loaded = load_model<Llama<T, Cpu, Packed>>(folder.path());
    CHECK(same_tensors(model, loaded));
    CHECK(same_logits(model, loaded));
    const SafetensorsFile file(folder / "model.safetensors");
    const TensorInfo* signs = file.find("model.layers.0.self_attn.q_proj.signs");
    REQUIRE(signs != nullptr);
    CHECK(signs->dtype == DType::u8);
    CHECK(signs->shape == Shape{24, 2});  // 12 columns: one and a half bytes
    CHECK((file.find("model.layers.0.mlp.up_proj.input_scale") != nullptr) == input_scales);
    CHECK(read_config(folder.path()).recipe.at("layout") == "sign-rows-v1");
  };
  check(BinaryOf<P, DualScale<T>>{}, false);
  check(BinaryOf<P, DualScale<T, Granularity::column>>{}, true);
  check(BinaryOf<P, DualScale<T>, ChannelSharing::per_linear>{}, true);
}

TEST_CASE("with_model hands over a folder of any format") {
  const TemporaryFolder folder;
  const auto dense = tiny_model<float>();
  const auto format = [&](const auto& model) {
    save(model, folder.path());
    return with_model<float>(folder.path(), [](auto&& m) {
      using Format = typename std::remove_cvref_t<decltype(m)>::format_type;
      if constexpr (requires { Format::sharing; })
        return std::string(to_string(Format::sharing));
      else
        return std::string(Format::name);
    });
  };
  CHECK(format(dense) == "dense");
  CHECK(format(binarize(dense, DefaultBinary{})) == "shared");
  CHECK(format(binarize(dense, RuntimeBinary<float, ChannelSharing::none>{})) == "shared");
  CHECK(format(binarize(dense, RuntimeBinary<float, ChannelSharing::per_linear>{})) == "per-linear");
  CHECK(format(pack(binarize(dense, DefaultBinary{}))) == "packed");
}

TEST_CASE("weights in bf16, f16 and f64 become the model's scalar type") {
  const TemporaryFolder folder;
  auto model = tiny_model<float>();
  for_each_parameter(model, [](const std::string&, auto& p) {  // values that all of these types hold
    for (Index i = 0; i < p.size(); ++i) p.value.data[i] = static_cast<float>(i % 13 - 6) / 8;
  });
  save(model, folder.path());
  const EditedTensors original(folder.path());
  for (const DType dtype : {DType::bf16, DType::f16, DType::f64}) {
    CAPTURE(to_string(dtype));
    EditedTensors(original).convert(dtype).write(folder.path());
    CHECK(SafetensorsFile(folder / "model.safetensors").find("model.norm.weight")->dtype == dtype);
    CHECK(same_tensors(model, load_model<Llama<float>>(folder.path())));
    CHECK(load_model<Llama<double>>(folder.path()).norm.weight.value.data[3] == -0.375);
  }
}

TEST_CASE("the three bit counts are those of the files") {
  const TemporaryFolder folder;
  const auto dense = tiny_model<float>();
  save(dense, folder.path());
  const double weights = 2 * (24 * 12 + 2 * 12 * 12 + 12 * 24 + 3 * 12 * 20), outer = 19 * 12 + 5 * 12;
  CHECK(static_cast<double>(bit_counts(folder.path()).block_weights) == weights);
  CHECK(bit_counts(folder.path()).parameters == parameter_count(dense));
  const auto file_bits = [&] { return 8 * static_cast<double>(fs::file_size(folder / "model.safetensors")); };
  BitCounts counts = bit_counts(folder.path());
  CHECK(counts.signs_only == 32);
  CHECK(counts.block_linears_with_scales == 32);
  CHECK(counts.whole_file == doctest::Approx(file_bits() / (weights + outer)));

  const auto binary = binarize(dense, DefaultBinary{});
  save(binary, folder.path());
  const double rows = 2 * (24 + 12 + 12 + 12 + 20 + 20 + 12);
  counts = bit_counts(folder.path());
  CHECK(counts.signs_only == 32);
  CHECK(counts.block_linears_with_scales == doctest::Approx(32 * (weights + rows) / weights));

  save(pack(binary), folder.path());
  counts = bit_counts(folder.path());
  const double sign_bytes = 2 * (2 * (24 + 12 + 12) + 3 * 12 + 2 * (20 + 20) + 3 * 12);  // 12, 24, 12 and 20 columns
  CHECK(counts.signs_only == 1);
  CHECK(counts.block_linears_with_scales == doctest::Approx((8 * sign_bytes + 32 * rows) / weights));
  CHECK(counts.whole_file == doctest::Approx(file_bits() / (weights + outer)));
}

TEST_CASE("a folder is written whole or the old one stays") {
  const TemporaryFolder folder;
  const auto model = tiny_model<float>();
  save(model, folder.path());
  {
    auto other = tiny_model<float>();
    disturb(other);
    const FullDisk full(4000);
    CHECK(error_of([&] { save(other, folder.path()); }).id() == ErrorId::write_failed);
  }
  CHECK(same_tensors(model, load_model<Llama<float>>(folder.path())));
  write_text(folder / "file", "");
  CHECK(error_of([&] { save(model, folder / "file"); }).id() == ErrorId::write_failed);
  CHECK(error_of([&] { save(model, folder.path(), {nullptr, {{"format", "x"}}}); }).id() == ErrorId::config_invalid);
  CHECK(same_tensors(model, load_model<Llama<float>>(folder.path())));
}

TEST_CASE("stories260K gives the logits, the loss and the greedy text of its oracle") {
  const auto config = data_file("models/stories260K/config.json");
  const auto oracle_file = data_file("models/stories260K/oracle.json");
  if (!config || !oracle_file) return;
  const auto oracle = nlohmann::json::parse(read_text(*oracle_file));
  const fs::path folder = fs::path(*config).parent_path();
  auto model = load_model<Llama<float>>(folder);
  const auto prompt = oracle["prompt_ids"].get<std::vector<std::int32_t>>();
  const auto wanted = oracle["logits_after_prompt"].get<std::vector<double>>();
  const auto text = oracle["text_ids"].get<std::vector<std::int32_t>>();
  const auto greedy = oracle["greedy_ids"].get<std::vector<std::int32_t>>();
  REQUIRE(wanted.size() == 512);

  const auto after_prompt = last_logits(model, prompt);
  CHECK(largest_difference(after_prompt.data(), 512, wanted.data(), 512) < 1e-3);
  CHECK(std::abs(mean_loss(model, text) - oracle["text_mean_nll"].get<double>()) < 1e-3);
  CHECK(std::abs(mean_loss(model, text) - 1.3029) < 1e-3);
  CHECK(greedy_with_cache(model, prompt, greedy.size()) == greedy);
  CHECK(greedy_without_cache(model, prompt, greedy.size()) == greedy);

  SUBCASE("in bf16, nearly so") {
    const auto rounded = data_file("models/stories260K/model.bf16.safetensors");
    if (!rounded) return;
    const TemporaryFolder copy;
    fs::copy_file(*config, copy / "config.json");
    fs::copy_file(*rounded, copy / "model.safetensors");
    auto coarse = load_model<Llama<float>>(copy.path());
    const auto logits = last_logits(coarse, prompt);
    const double difference = largest_difference(logits.data(), 512, wanted.data(), 512);
    CHECK(difference < 0.2);
    CHECK(difference > 1e-3);  // it is the other file
    CHECK(std::abs(mean_loss(coarse, text) - 1.3029) < 0.01);
  }
  SUBCASE("in double precision") {
    auto exact = load_model<Llama<double>>(folder);
    CHECK(std::abs(mean_loss(exact, text) - oracle["text_mean_nll"].get<double>()) < 1e-5);
  }
  SUBCASE("through its tokenizer") {
    const auto wide = load_or_skip([&] { return load_pretrained<Llama<float>>(folder); });
    if (!wide) return;
    std::vector<std::int32_t> ids{*wide->tokenizer.bos()};
    for (const std::int32_t id : wide->tokenizer.encode(oracle["prompt"].get<std::string>())) ids.push_back(id);
    CHECK(ids == prompt);
    const TemporaryFolder copy;
    save(wide->model, copy.path(), {&wide->tokenizer, {}});
    CHECK(fs::exists(copy / "tokenizer.model"));
    const auto again = load_pretrained<Llama<float>>(copy.path());
    CHECK(again.tokenizer.encode("Once upon a time") == wide->tokenizer.encode("Once upon a time"));
    CHECK(same_tensors(again.model, wide->model));
  }
}
