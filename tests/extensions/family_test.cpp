// SPDX-License-Identifier: MIT
/// A family that the library does not know.
///
///     y = h + attention(LayerNorm_1 h) + W_down gelu(W_up LayerNorm_2 h),     every layer and norm with a bias
///
/// positions turn half of a head's dimensions.
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>

namespace user {

using namespace binllm;

struct Parallel {
  static constexpr std::string_view name = "parallel", summary = "LayerNorm, attention beside a GELU network, biases";
  static constexpr std::string_view class_name = "ParallelForCausalLM", model_type = "parallel";
  static constexpr ConfigKeys keys{.norm_epsilon = "layer_norm_eps", .rotary_share = "rotary_pct"};
  static constexpr std::array<FixedKey, 2> fixed{{{"hidden_act", "\"gelu\""}, {"use_parallel_residual", "true"}}};

  template <class T, class Device>
  using Norm = LayerNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = RotaryPositions<T, Device>;
  using FeedForward = Ungated<Gelu>;
  static constexpr Residual residual = Residual::parallel;
  static constexpr bool attention_bias = true, attention_out_bias = true, mlp_bias = true;

  static constexpr DecoderNames names{.embedding = "tokens",
                                      .layers = "blocks",
                                      .norm = "last_norm",
                                      .head = "output",
                                      .attention = "attention",
                                      .query = "query",
                                      .key = "key",
                                      .value = "value",
                                      .attention_output = "dense",
                                      .mlp = "network",
                                      .gate = "",
                                      .up = "widen",
                                      .down = "narrow",
                                      .attention_norm = "norm_1",
                                      .mlp_norm = "norm_2"};
  /// Nothing takes a scale through GELU: what multiplies the input of W_down stays.
  static constexpr std::array folds{Fold{Role::attention_in, FoldInto::norm_before},
                                    Fold{Role::attention_out, FoldInto::rows_of_v},
                                    Fold{Role::mlp_in, FoldInto::norm_before}};
};
static_assert(Architecture<Parallel>);

template <class T, class Device = Cpu, class Format = Dense>
using ParallelLm = CausalLm<Parallel, T, Device, Format>;
template <std::floating_point T>
using Paper = Recipe<ProgressiveSign<T>, DualScale<T>, ChannelScale<T>, ExponentialSchedule>;

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

ModelConfig config(bool tied = true) {
  ModelConfig c = tiny_config(256);
  c.head_dim = 8;
  c.rotary_share = 0.5;
  c.tie_word_embeddings = tied;
  return c;
}
template <class T>
user::ParallelLm<T> tiny(bool tied = true) {
  user::ParallelLm<T> model(config(tied));
  initialise(model, 3, 0.3);
  disturb(model, 0.5);
  return model;
}
const auto ids = random_ids({1, 11}, 256, 4);

template <class Model>
void comes_back(const Model& model, const std::filesystem::path& folder) {
  const auto tokenizer = byte_tokenizer();
  save(model, folder, {.tokenizer = &tokenizer});
  const auto [loaded, bytes] = load_pretrained<Model>(folder);
  CHECK(loaded.config == model.config);
  CHECK(tensors_of(loaded) == tensors_of(model));
  CHECK(same_bits(logits_of(loaded, ids.view()).view(), logits_of(model, ids.view()).view()));
  const GenerateOptions options{.max_tokens = 4};
  CHECK(generate(loaded, bytes, "Once", options) == generate(model, tokenizer, "Once", options));
}

}  // namespace

TEST_CASE("family: gradients of a model are those of finite differences") {
  for (const bool tied : {true, false}) {
    auto model = tiny<double>(tied);
    check_gradients(model, 0, every_parameter);
  }
}

TEST_CASE("family: every part of the equation is there") {
  auto model = tiny<double>();
  const auto logits = logits_of(model, ids.view());
  for (const char* name : {"blocks.0.norm_1.bias", "blocks.1.norm_2.weight", "blocks.0.attention.query.bias",
                           "blocks.1.attention.dense.bias", "blocks.0.network.widen.bias",
                           "blocks.1.network.narrow.weight", "last_norm.bias", "tokens.weight"}) {
    bool found = false;
    for_each_parameter(model, [&](const std::string& one, auto& parameter) {
      if (one != name) return;
      found = true;
      const Tensor<double> before = host(parameter.value);
      for (Index i = 0; i < parameter.size(); ++i) parameter.value.data[i] *= 1 + 0.1 * static_cast<double>(i % 3);
      CHECK_MESSAGE(largest_difference(logits_of(model, ids.view()), logits) > 1e-6, name);
      parameter.value.flat() = before.view().flat();
    });
    CHECK_MESSAGE(found, name);
  }
}

TEST_CASE("family: full precision trains, and decodes with a cache as in one pass, on every device alike") {
  user::ParallelLm<float> model(config());
  initialise(model, 3, 0.1);
  CHECK(fall(short_training(model, byte_stories(), 40, 5e-3)) < 0.8);
  const auto logits = logits_of(model, ids.view());
  CHECK(largest_difference(decoded_logits(model, ids.view()), logits) < 1e-4);
  CHECK(largest_difference(logits_of(binllm::on_device<Plain, float>(model), ids.view()), logits) < 1e-4);
}

TEST_CASE("family: the scales of stage 1 fold into norms with their bias and into W_v; behind GELU they stay") {
  const auto dense = tiny<double>();
  auto binary = binarize<user::Paper<double>>(dense);
  auto search = channel_search(binary);
  for_each_parameter(search, [](const std::string& name, auto& parameter) {
    if (!name.ends_with("log_scale")) return;
    const Random random(5, Purpose::test, name.size());
    for (Index i = 0; i < parameter.size(); ++i)
      parameter.value.data[i] = 0.3 * random.normal(static_cast<std::uint64_t>(i));
  });
  const auto unfolded = logits_of(search, ids.view());
  const double bias = binary.layers[0].attention_norm.bias.value.data[1];
  fold_channel_scale(binary, search);
  CHECK(binary.layers[0].attention_norm.bias.value.data[1] != bias);
  CHECK(binary.layers[0].mlp.down_proj.input_scale.size() == 20);
  CHECK(binary.layers[0].mlp.up_proj.input_scale.size() == 0);
  CHECK(largest_difference(logits_of(binary, ids.view()), unfolded) < 1e-9);
  CHECK(largest_difference(unfolded, logits_of(binarize<user::Paper<double>>(dense), ids.view())) > 1e-3);
}

TEST_CASE("family: binarised by the paper's recipe, packed, saved, loaded, and run") {
  const TemporaryFolder folder;
  user::ParallelLm<float> dense(config());
  initialise(dense, 3, 0.1);
  const auto corpus = byte_stories();
  short_training(dense, corpus, 20, 5e-3);
  auto binary = binarize<user::Paper<float>>(dense);
  const auto loss_now = [&] { return evaluate_perplexity(binary, corpus, {.context = 32, .max_windows = 16}).nll; };
  const double before = loss_now();
  search_channel_scale(binary, corpus, {.steps = 30, .batch = 4, .context = 32});
  CHECK(loss_now() < before);
  auto training = TrainingOptions::small_model();
  training.tokens = 20 * 4 * 32, training.batch = 4, training.context = 32, training.warmup = 2;
  const double loss = train_progressively(binary, corpus, {.chunks = 4, .training = training});
  CHECK(loss < before);
  const auto packed = pack<FloatActivations>(binary);
  CHECK(largest_difference(logits_of(packed, ids.view()), logits_of(binary, ids.view())) < 1e-3);
  comes_back(dense, folder / "dense");
  comes_back(binary, folder / "binary");
  comes_back(packed, folder / "packed");
  const auto known = known_of<user::ParallelLm<float>>();
  CHECK(bit_counts(folder / "dense", known).signs_only == 32);
  CHECK(bit_counts(folder / "packed", known).signs_only == 1);
  CHECK(bit_counts(folder / "packed", known).block_weights == 2 * 12 * (8 * 12 + 2 * 20));
  CHECK(error_of([&] { static_cast<void>(load_model<Llama<float>>(folder / "dense")); }).id() ==
        ErrorId::config_invalid);
}
