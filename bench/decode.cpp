// SPDX-License-Identifier: MIT
// A random packed model of a known shape reads a prompt and then token by token, beside the sum of its matrix-vector
// products alone: every linear layer and the head, once each, from where they lie in memory.
#include <binllm/infer/decoder.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/models/shapes.hpp>
#include <binllm/nn/packed.hpp>

#include "support/arguments.hpp"
#include "support/gemm_shares.hpp"

namespace bl = binllm;

namespace {

using Model = bl::Llama<float, bl::Cpu, bl::Packed>;
using Product = bl::Kernel<bl::PackedLinear<bl::Int8Activations>, bl::Cpu>;

bl::LlamaConfig shape_named(const std::string& name, bl::Index capacity, bl::bench::Arguments& arguments) {
  if (name != "135M" && name != "1B" && name != "7B") arguments.refuse("--shape " + name);
  bl::LlamaConfig config = bl::published_shape(name == "135M" ? "SmolLM-135M"
                                               : name == "1B" ? "LLaMA-3.2-1B"
                                                              : "LLaMA2-7B")
                               .config();
  config.max_position_embeddings = std::max<bl::Index>(2048, capacity);
  return config;
}

/// Numbers between -0.05 and 0.05, quickly.
void fill(bl::View<float> values, std::uint32_t state) {
  for (bl::Index i = 0; i < values.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    values.data[i] = static_cast<float>(static_cast<std::int32_t>(state)) * (0.05f / 2147483648.0f);
  }
}

/// Calls f(linear) for the linear layers in the order in which a token meets them.
template <class F>
void for_each_packed(Model& model, F&& f) {
  bl::for_each_linear([&](auto& linear) { f(linear.weight); }, model);
}

Model random_model(const bl::LlamaConfig& config) {
  Model model(config);
  fill(model.embed_tokens.value, 1);
  if (model.lm_head.size() > 0) fill(model.lm_head.value, 2);
  std::uint32_t state = 3;
  for_each_packed(model, [&](auto& weight) {
    const auto signs = weight.tiles.view();
    for (bl::Index i = 0; i + 4 <= signs.size(); i += 4) {
      state = state * 1664525u + 1013904223u;
      bl::SignTiles::store(signs.data + i, state ^ state >> 16);
    }
    weight.scale.view().flat().setConstant(1.0f / std::sqrt(static_cast<float>(weight.cols)));
  });
  for (auto& layer : model.layers) {
    layer.attention_norm.weight.value.flat().setOnes();
    layer.mlp_norm.weight.value.flat().setOnes();
  }
  model.norm.weight.value.flat().setOnes();
  return model;
}

/// What the matrix-vector products of one token cost when nothing else is done.
class Products {
 public:
  Products(Model& model, bl::VocabularyPrecision precision)
      : model_(model),
        head_(bl::read(model.config.tie_word_embeddings ? model.embed_tokens.value : model.lm_head.value), precision),
        logits_({1, model.config.vocab_size}),
        memory_({static_cast<bl::Index>(head_.workspace(1))}) {
    const auto& c = model.config;
    const bl::Index widest = std::max(c.hidden_size, c.intermediate_size);
    x_ = bl::bench::random_tensor({1, widest}, 0);
    y_ = bl::Tensor<float>(bl::Shape{1, widest});
    workspace_ = bl::Tensor<std::uint8_t>(bl::Shape{Product::workspace<float>(1, widest)});
  }
  [[nodiscard]] double seconds() {
    const double start = bl::bench::now();
    for_each_packed(model_, [&](const auto& weight) {
      const bl::View<const float> x(x_.view().data, bl::Shape{1, weight.cols});
      Product::forward<float>(x, weight, workspace_.view(), {y_.view().data, bl::Shape{1, weight.rows()}});
    });
    const bl::View<const float> h(x_.view().data, bl::Shape{1, model_.config.hidden_size});
    head_.logits(h, memory_.view(), logits_.view());
    return bl::bench::now() - start;
  }

 private:
  Model& model_;
  bl::VocabularyMatrix<float> head_;
  bl::Tensor<float> x_, y_, logits_;
  bl::Tensor<std::uint8_t> workspace_;
  bl::Tensor<std::byte> memory_;
};

struct Result {
  double prefill = 0, decode = 0, products = 0;  ///< seconds of the prompt, of a token, of its products
};

Result measure(Model& model, const bl::DecoderOptions& options, bl::Index prompt, bl::Index tokens, int rounds) {
  bl::Decoder decoder(model, options);
  Products products(model, *options.vocabulary);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(prompt));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 37 % 1000);
  std::vector<double> prefill, decode, alone;
  const bl::Index only = 0;
  for (int round = 0; round <= rounds; ++round) {
    decoder.restart(0);
    double start = bl::bench::now();
    static_cast<void>(decoder.prefill(0, ids));
    const double read = bl::bench::now() - start;
    std::vector<double> steps, sums;
    for (bl::Index i = 0; i < tokens; ++i) {
      const auto token = static_cast<std::int32_t>(i * 53 % 1000);
      start = bl::bench::now();
      static_cast<void>(decoder.step({&only, 1}, {&token, 1}));
      steps.push_back(bl::bench::now() - start);
    }
    for (bl::Index i = 0; i < tokens; ++i) sums.push_back(products.seconds());
    if (round == 0) continue;  // warms up
    prefill.push_back(read);
    decode.push_back(bl::bench::median(steps));
    alone.push_back(bl::bench::median(sums));
  }
  return {bl::bench::median(prefill), bl::bench::median(decode), bl::bench::median(alone)};
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(
      count, words,
      "bench_decode [--shape 135M|1B|7B] [--threads T] [--head float|bf16|int8] [--cache float|bf16|int8] "
      "[--prompt N] [--tokens N] [--capacity N] [--rounds R] [--isa NAME] [--json]");
  const std::string shape = arguments.text("--shape", "135M"), head = arguments.text("--head", "bf16"),
                    cache = arguments.text("--cache", "float");
  const int threads = arguments.number("--threads", 2), rounds = arguments.number("--rounds", 5);
  const bl::Index prompt = arguments.number("--prompt", 128), tokens = arguments.number("--tokens", 32);
  const bl::Index capacity =
      std::max<bl::Index>(prompt + tokens, arguments.number("--capacity", static_cast<int>(prompt + tokens)));
  const std::string isa = arguments.text("--isa", "");
  const bool json = arguments.flag("--json");
  const bl::LlamaConfig config = shape_named(shape, capacity, arguments);
  arguments.end();
  try {
    if (!isa.empty()) bl::set_instruction_set(bl::instruction_set_named(isa));
    bl::set_thread_count(threads);
    const bl::DecoderOptions options{.capacity = capacity,
                                     .vocabulary = bl::vocabulary_precision_named(head),
                                     .cache = bl::vocabulary_precision_named(cache)};
    Model model = random_model(config);
    const Result r = measure(model, options, prompt, tokens, rounds);
    const bl::DecoderMemory memory = bl::Decoder(std::move(model), options).memory();
    const double read = static_cast<double>(prompt) / r.prefill, share = r.products / r.decode;
    const auto isa_name = bl::name_of(bl::instruction_set());
    if (json) {
      fmt::print(
          "{{\"shape\": \"{}\", \"threads\": {}, \"head\": \"{}\", \"cache\": \"{}\", \"capacity\": {}, \"isa\": "
          "\"{}\", \"prompt\": {}, \"tokens\": {}, "
          "\"prefill_tokens_per_second\": {:.1f}, \"decode_tokens_per_second\": {:.2f}, \"decode_microseconds\": "
          "{:.1f}, "
          "\"product_microseconds\": {:.1f}, \"share_of_products\": {:.3f}, \"linear_bytes\": {}, "
          "\"vocabulary_bytes\": {}, \"cache_bytes\": {}, \"bytes\": {}}}\n",
          shape, threads, head, cache, capacity, isa_name, prompt, tokens, read, 1 / r.decode, r.decode * 1e6,
          r.products * 1e6, share, memory.linear_layers, memory.vocabulary, memory.key_value_cache, memory.total());
      return 0;
    }
    fmt::print("{} shape, {} threads, head in {}, cache in {}, {}: a prompt of {}, then {} tokens\n", shape, threads,
               head, cache, isa_name, prompt, tokens);
    fmt::print("prefill  {:9.1f} tokens/s\ndecode   {:9.1f} tokens/s, {:.0f} us a token\n", read, 1 / r.decode,
               r.decode * 1e6);
    fmt::print("products {:9.0f} us a token: decoding runs at {:.2f} of their speed\n", r.products * 1e6, share);
    fmt::print("bytes    {:9.1f} MB: linear layers {:.1f}, vocabulary {:.1f}, cache {:.1f}\n",
               static_cast<double>(memory.total()) * 1e-6, static_cast<double>(memory.linear_layers) * 1e-6,
               static_cast<double>(memory.vocabulary) * 1e-6, static_cast<double>(memory.key_value_cache) * 1e-6);
  } catch (const bl::Error& error) {
    fmt::print(stderr, "bench_decode: {}\n", error.what());
    return 1;
  }
}
