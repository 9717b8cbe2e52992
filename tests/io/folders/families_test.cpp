// SPDX-License-Identifier: MIT
/// What the files of each family may say, and what is refused by name.
#include "../support.hpp"

#include <binllm/io/folders/config.hpp>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

// As the models' authors wrote them, without what nobody reads.
const std::string pythia = R"({"architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0,
  "hidden_act": "gelu", "hidden_size": 512, "initializer_range": 0.02, "intermediate_size": 2048,
  "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "model_type": "gpt_neox", "num_attention_heads": 8,
  "num_hidden_layers": 6, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false,
  "torch_dtype": "float16", "use_cache": true, "use_parallel_residual": true, "vocab_size": 50304})";
const std::string opt = R"({"_remove_final_layer_norm": false, "activation_function": "relu",
  "architectures": ["OPTForCausalLM"], "bos_token_id": 2, "do_layer_norm_before": true, "eos_token_id": 2,
  "ffn_dim": 3072, "hidden_size": 768, "init_std": 0.02, "max_position_embeddings": 2048, "model_type": "opt",
  "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1, "prefix": "</s>",
  "vocab_size": 50272, "word_embed_proj_dim": 768})";
const std::string qwen3 = R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "bos_token_id": 151643,
  "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
  "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
  "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
  "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false,
  "vocab_size": 151936})";
const std::string llama = R"({"architectures": ["LlamaForCausalLM"], "attention_bias": true, "hidden_act": "silu",
  "hidden_size": 64, "head_dim": 24, "intermediate_size": 172, "max_position_embeddings": 512, "mlp_bias": true,
  "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 5, "rms_norm_eps": 1e-05, "vocab_size": 512})";

std::string replaced(std::string text, const std::string& part, const std::string& by) {
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), by);
}
std::string with(const std::string& text, const std::string& member) {
  return text.substr(0, text.rfind('}')) + ", " + member + "}";
}

ModelDescription parse(const std::string& text) {
  const TemporaryFolder folder;
  write_text(folder / "config.json", text);
  return read_config(folder.path());
}

}  // namespace

TEST_CASE("configurations of real models: Pythia, OPT, Qwen3, Llama with biases") {
  const auto neox = parse(pythia);
  CHECK(neox.family->name == "gpt-neox");
  CHECK(neox.config.norm_epsilon == 1e-5);
  CHECK(neox.config.rotary_dim() == 16);
  CHECK(neox.config.num_key_value_heads == 8);
  CHECK_FALSE(neox.config.tie_word_embeddings);
  CHECK(parse(replaced(pythia, R"("rotary_pct": 0.25,)", "")).config.rotary_share == 0.25);
  CHECK(parse(replaced(pythia, "10000,", "5000,")).config.rope_theta == 5000);
  const auto newer = parse(with(pythia, R"("rope_parameters": {"rope_type": "default", "rope_theta": 700,
                                                              "partial_rotary_factor": 0.5})"));
  CHECK(newer.config.rope_theta == 700);
  CHECK(newer.config.rotary_dim() == 32);

  const auto learned = parse(opt);
  CHECK(learned.family->name == "opt");
  CHECK(learned.config.intermediate_size == 3072);
  CHECK(learned.config.head_dim == 64);
  CHECK(learned.config.tie_word_embeddings);
  CHECK_FALSE(parse(with(opt, R"("tie_word_embeddings": false)")).config.tie_word_embeddings);

  const auto wide = parse(qwen3);
  CHECK(wide.family->name == "qwen3");
  CHECK(wide.config.head_dim == 128);
  CHECK(wide.config.rope_theta == 1e6);
  CHECK_FALSE(wide.config.attention_bias);

  const auto biased = parse(llama);
  CHECK(biased.config.attention_bias);
  CHECK(biased.config.mlp_bias);
  CHECK(biased.config.head_dim == 24);
}

TEST_CASE("what is written for a family is read back equal") {
  const TemporaryFolder folder;
  for (const std::string& text : {pythia, opt, qwen3, llama}) {
    const ModelDescription model = parse(text);
    write_config(folder / "config.json", model);
    CHECK(read_config(folder.path()) == model);
  }
  ModelDescription unsayable = parse(pythia);
  unsayable.config.num_key_value_heads = 4;
  CHECK(error_of([&] { write_config(folder / "config.json", unsayable); }).id() == ErrorId::config_inconsistent);
}

TEST_CASE("what a family does not have is refused by its name") {
  struct Case {
    std::string text, field;
  };
  const std::vector<Case> cases{
      {replaced(pythia, R"("use_parallel_residual": true)", R"("use_parallel_residual": false)"),
       "use_parallel_residual"},
      {replaced(pythia, R"("gelu")", R"("gelu_new")"), "hidden_act"},
      {replaced(pythia, R"("gelu")", R"("gelu_fast")"), "hidden_act"},
      {with(pythia, R"("attention_bias": false)"), "attention_bias"},
      {replaced(pythia, R"("rotary_pct": 0.25)", R"("rotary_pct": "all")"), "rotary_pct"},
      {replaced(opt, R"("do_layer_norm_before": true)", R"("do_layer_norm_before": false)"), "do_layer_norm_before"},
      {replaced(opt, R"("word_embed_proj_dim": 768)", R"("word_embed_proj_dim": 512)"), "word_embed_proj_dim"},
      {replaced(opt, R"("relu")", R"("gelu")"), "activation_function"},
      {replaced(opt, R"("_remove_final_layer_norm": false)", R"("_remove_final_layer_norm": true)"),
       "_remove_final_layer_norm"},
      {with(opt, R"("enable_bias": false)"), "enable_bias"},
      {with(opt, R"("layer_norm_elementwise_affine": false)"), "layer_norm_elementwise_affine"},
      {replaced(qwen3, R"("use_sliding_window": false)", R"("use_sliding_window": true)"), "use_sliding_window"},
      {replaced(qwen3, R"("silu")", R"("gelu")"), "hidden_act"},
      {replaced(qwen3, R"("attention_bias": false)", R"("attention_bias": 0)"), "attention_bias"},
      {with(qwen3, R"("partial_rotary_factor": 0.5)"), "partial_rotary_factor"}};
  for (const auto& [text, field] : cases) {
    INFO(field);
    const Error error = error_of([&] { static_cast<void>(parse(text)); });
    CHECK(error.id() == ErrorId::config_invalid);
    CHECK(error.argument().ends_with(field));
  }
}
