// SPDX-License-Identifier: MIT
// Writes tests/fuzz/seeds: for each target a few files that are right, as small as they can be.
// usage: make_fuzz_seeds FOLDER
#include "small_run.hpp"

#include <binllm/io/containers/prediction_file.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/containers/token_file.hpp>
#include <binllm/io/folders/checkpoint.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/convert.hpp>
#include <binllm/io/folders/pack_folder.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/models/families.hpp>
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/byte_letters.hpp>
#include <binllm/tokenizer/sentencepiece/model.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <string>

namespace fs = std::filesystem;
using namespace binllm;

namespace {

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}
/// The files of a folder as one input of a target that reads folders.
std::string joined(const fs::path& folder) {
  std::string all;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths)
    all +=
        fmt::format("{}=== {}\n{}", all.empty() ? "" : "\n", path.lexically_relative(folder).string(), content(path));
  return all;
}

ModelConfig smallest_config() {
  ModelConfig config;
  config.vocab_size = 8, config.hidden_size = config.head_dim = config.intermediate_size = 4;
  config.num_hidden_layers = config.num_attention_heads = config.num_key_value_heads = 1;
  config.max_position_embeddings = 16;
  config.tie_word_embeddings = true;
  config.eos_token_ids = {7};
  return config;
}

BytePairModel smallest_tokenizer() {
  BytePairModel model;
  model.pieces = {"a",
                  "b",
                  "\xc4\xa0",
                  "\xc4\xa0"
                  "a",
                  "ab",
                  "!"};
  model.merges = {{"\xc4\xa0", "a"}, {"a", "b"}};
  model.added = {{.text = "<u>", .id = 6, .special = true}, {.text = "<e>", .id = 7, .special = true}};
  model.words = word_rules("llama-bpe");
  model.unknown = 6;
  model.eos = 7;
  return model;
}

/// A Llama of one layer.
void write_model(const fs::path& folder) {
  const std::vector<float> values(16, 0.5f);
  const std::string layer = "model.layers.0.";
  std::vector<TensorSource> tensors{{"model.embed_tokens.weight", DType::f32, {8, 4}, nullptr}};
  for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
    tensors.push_back({layer + name + ".weight", DType::f32, {4, 4}, values.data()});
  for (const std::string& name :
       {layer + "input_layernorm", layer + "post_attention_layernorm", std::string("model.norm")})
    tensors.push_back({name + ".weight", DType::f32, {4}, values.data()});
  const std::vector<float> table(32, 0.25f);
  tensors.front().data = table.data();
  fs::create_directories(folder);
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}}, Checksums::of_each_tensor);
  ModelDescription description;
  description.config = smallest_config();
  description.recipe["tokenizer"] = "byte-pair";
  write_config(folder / "config.json", description);
  const Tokenizer tokenizer = byte_pair_tokenizer(smallest_tokenizer());
  write(folder / "tokenizer.json", tokenizer.serialised());
  for (const auto& file : tokenizer.other_files()) write(folder / file.name, file.content);
}

void write_models(const fs::path& seeds, const fs::path& work) {
  write_model(work / "dense");
  pack_folder(work / "dense", work / "packed");
  for (const char* name : {"dense", "packed"}) {
    write(seeds / "model_folder" / name, joined(work / name));
    write(seeds / "config" / fmt::format("{}.json", name), content(work / name / "config.json"));
    fs::create_directories(seeds / "gguf");
    static_cast<void>(convert_model(work / name, seeds / "gguf" / fmt::format("{}.gguf", name)));
  }
  write(seeds / "safetensors/model.safetensors", content(work / "dense/model.safetensors"));
  write(seeds / "tokenizer_json/tokenizer.json", content(work / "dense/tokenizer.json"));
  fs::remove(work / "dense/model.safetensors");
  write(seeds / "tokenizer_folder/byte_pair", joined(work / "dense"));

  // The same model in two files, and an end token in a third.
  const fs::path shards = work / "shards";
  write_model(shards);
  fs::rename(shards / "model.safetensors", shards / "model-00001-of-00002.safetensors");
  write_safetensors(shards / "model-00002-of-00002.safetensors", {});
  std::string map;
  const SafetensorsFile first(shards / "model-00001-of-00002.safetensors");
  for (const TensorInfo& tensor : first.tensors())
    map += fmt::format(R"({}"{}":"model-00001-of-00002.safetensors")", map.empty() ? "" : ",", tensor.name);
  write(shards / "model.safetensors.index.json", fmt::format(R"({{"weight_map":{{{}}}}})", map));
  write(shards / "generation_config.json", R"({"eos_token_id": [7, 6]})");
  write(seeds / "model_folder/sharded", joined(shards));
}

void write_configs(const fs::path& seeds) {
  const fs::path folder = seeds / "config";
  for (const Family* family : shipped_families) {
    ModelDescription description;
    description.family = family;
    description.config = smallest_config();
    if (family->rotary)
      description.config.rope_scaling =
          RopeScaling{.factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 8};
    try {
      write_config(folder / fmt::format("{}.json", family->name), description);
    } catch (const Error&) {  // a family that has no key for one of these numbers
      description.config = ModelConfig{};
      description.config.vocab_size = 8, description.config.hidden_size = description.config.head_dim = 4;
      description.config.intermediate_size = 16;
      description.config.num_hidden_layers = 1;
      description.config.num_attention_heads = description.config.num_key_value_heads = 1;
      description.config.max_position_embeddings = 16;
      write_config(folder / fmt::format("{}.json", family->name), description);
    }
  }
  write(folder / "rope_parameters.json",
        R"({"architectures":["LlamaForCausalLM"],"vocab_size":8,"hidden_size":4,"intermediate_size":4,)"
        R"("num_hidden_layers":1,"num_attention_heads":1,"max_position_embeddings":16,"rms_norm_eps":1e-5,)"
        R"("rope_parameters":{"rope_type":"linear","factor":2.0,"rope_theta":10000.0},"eos_token_id":[6,7]})");
}

SentencePieceModel::Piece piece(std::string text, float score = 0,
                                SentencePieceModel::Type type = SentencePieceModel::Type::normal) {
  return {std::move(text), score, type};
}

void write_tokenizers(const fs::path& seeds) {
  using Type = SentencePieceModel::Type;
  SentencePieceModel model;
  model.pieces = {piece("<unk>", 0, Type::unknown), piece("<s>", 0, Type::control), piece("</s>", 0, Type::control)};
  SentencePieceModel bytes = model;
  bytes.kind = SentencePieceModel::Kind::byte_pair;
  bytes.removes_blanks = false;
  for (int byte = 0; byte < 256; ++byte) bytes.pieces.push_back(piece(fmt::format("<0x{:02X}>", byte), 0, Type::byte));
  const std::string mark = "\xe2\x96\x81";
  for (const std::string& text :
       {mark + "t", std::string("he"), mark + "the", mark, std::string("t"), std::string("h"), std::string("e")})
    bytes.pieces.push_back(piece(text, -static_cast<float>(bytes.pieces.size())));
  for (const std::string& text : {mark + "the", mark, std::string("a"), std::string("e"), std::string("quick")})
    model.pieces.push_back(piece(text, -static_cast<float>(model.pieces.size())));
  model.pieces.push_back(piece("<|x|>", 0, Type::user_defined));
  write(seeds / "sentencepiece/bytes.model", serialise_sentencepiece(bytes));
  write(seeds / "sentencepiece/unigram.model", serialise_sentencepiece(model));
  write(seeds / "tokenizer_folder/sentencepiece", "=== tokenizer.model\n" + serialise_sentencepiece(model));
  std::string letters;
  int id = 0;
  for (const std::uint16_t letter : detail::byte_letters()) letters += fmt::format("\"\\u{:04x}\":{},", letter, id++);
  write(seeds / "tokenizer_folder/vocabulary",
        "=== vocab.json\n{" + letters +
            "\"ab\":256,\"<|endoftext|>\":257}\n=== merges.txt\n#version: 0.2\na b\n"
            "=== added_tokens.json\n{\"<x>\":258}\n=== "
            "tokenizer_config.json\n{\"tokenizer_class\":\"Qwen2TokenizerFast\","
            "\"eos_token\":{\"content\":\"<x>\"},\"added_tokens_decoder\":{\"259\":{\"content\":\"<y>\",\"special\":"
            "true}}}\n"
            "=== special_tokens_map.json\n{\"bos_token\":\"<|endoftext|>\"}");
  write(
      seeds / "tokenizer_json/patterns.json",
      R"({"added_tokens":[{"id":3,"content":"<x>","special":false,"lstrip":true,"rstrip":true,"single_word":true,)"
      R"("normalized":true}],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[)"
      R"({"type":"Split","pattern":{"Regex":"\\p{L}+|\\s"},"behavior":"MergedWithNext","invert":false},)"
      R"({"type":"Split","pattern":{"String":"a"},"behavior":"Contiguous","invert":true},)"
      R"({"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":true,"use_regex":false}]},)"
      R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<x>"}},{"Sequence":{}}],)"
      R"("special_tokens":{"<x>":{"ids":[3]}}},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE",)"
      R"("unk_token":"u","ignore_merges":true,"vocab":{"a":0,"aa":1,"u":2},"merges":[["a","a"]]}})");
  write(seeds / "text/words",
        "The quick  brown fox's 1234 jumps.\r\n\n\tna\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97 <tool> ");
  write(seeds / "text/marks", "e\xcc\x81 \xe2\x96\x81 \xf0\x9f\x98\x80 \xff\xfe<|begin|>\xc2\x85\xe1\xa0\x8e");
}

void write_runs(const fs::path& seeds, const fs::path& work) {
  fuzz::SmallRun run;
  TrainingState parts = run.parts();
  fs::create_directories(seeds / "checkpoint");
  write_checkpoint(seeds / "checkpoint/first.safetensors", {"first", 1, 0}, parts);
  {
    RunFolder log(work / "run", fuzz::small_run_config, {.checkpoint_every = 1});
    for (run.step = 1; run.step <= 2; ++run.step) {
      log.report("first", static_cast<Index>(run.step), 4, std::array{Metric{"loss", 2.5}});
      log.save("first", parts);
    }
  }
  write(seeds / "run_folder/two_checkpoints", joined(work / "run"));
  write(seeds / "run_folder/killed_at_once", "=== run.json.tmp\n{\"seed\":");
}

void write_streams(const fs::path& seeds) {
  fs::create_directories(seeds / "predictions");
  fs::create_directories(seeds / "tokens");
  PredictionFileHeader header;
  header.vocab_size = 8, header.top = 2, header.context = 2, header.count = 4, header.corpus_tokens = 5;
  PredictionFileWriter predictions(seeds / "predictions/four.predictions", header);
  predictions.append(std::array{0, 7, 1, 2, 3, 4, 5, 6}, std::array{-1.f, -2.f, -1.f, -1.f, -3.f, -1.f, -2.f, -2.f},
                     std::array{-0.5f, -2.f, -1.f, -1.5f});
  predictions.commit();
  for (const std::uint64_t vocabulary : {8, 100'000}) {
    TokenFileWriter tokens(seeds / "tokens" / fmt::format("{}.tokens", vocabulary), vocabulary, 1);
    tokens.append(std::array{1, 2, 3, 7, 0});
    tokens.commit(9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: make_fuzz_seeds FOLDER\n");
    return 2;
  }
  const fs::path seeds = argv[1], work = seeds / "work";
  fs::create_directories(work);
  write_models(seeds, work);
  write_configs(seeds);
  write_tokenizers(seeds);
  write_runs(seeds, work);
  write_streams(seeds);
  fs::remove_all(work);
  return 0;
}
