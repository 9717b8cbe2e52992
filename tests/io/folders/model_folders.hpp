// SPDX-License-Identifier: MIT
/// What the tests of model folders share: a tiny model, comparisons, and folders with something wrong in them.
#pragma once
#include "../../support/tensor_bytes.hpp"
#include "../../support/tensors.hpp"
#include "../support.hpp"

#include <binllm/io/folders/model.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binllm::test {

/// Extents that are all different and mostly no multiple of eight.
inline LlamaConfig folder_config(bool tied = true) {
  LlamaConfig c;
  c.vocab_size = 19;
  c.hidden_size = 12;
  c.intermediate_size = 20;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 6;
  c.max_position_embeddings = 16;
  c.tie_word_embeddings = tied;
  return c;
}

template <class T>
Llama<T> tiny_model(bool tied = true) {
  Llama<T> model(folder_config(tied));
  initialise(model, 5, 0.4);
  return model;
}

template <class A, class B>
bool same_tensors(const A& a, const B& b) {
  const auto left = tensors_of(a), right = tensors_of(b);
  return !left.empty() && left == right;
}

/// Logits (T,V) of a sequence, with Sign for F.
template <class Model>
Tensor<typename Model::value_type> logits_of(Model& model, const std::vector<std::int32_t>& ids) {
  using T = typename Model::value_type;
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, std::numeric_limits<double>::infinity());
  Pass<T, Cpu> pass{tape, scalars};
  return host(model.logits(pass, {ids.data(), Shape{1, static_cast<Index>(ids.size())}}).value());
}

template <class A, class B>
bool same_logits(A& a, B&& b) {
  const std::vector<std::int32_t> ids{3, 18, 0, 7, 7, 11};
  const auto left = logits_of(a, ids), right = logits_of(b, ids);
  return left.size() > 0 && same_bits(left.view(), right.view());
}

template <class Model>
std::vector<typename Model::value_type> last_logits(Model& model, const std::vector<std::int32_t>& ids) {
  const auto logits = logits_of(model, ids);
  const auto row = logits.view().slice(0).row(static_cast<Index>(ids.size()) - 1);
  return {row.data(), row.data() + row.size()};
}

template <class T>
std::int32_t argmax(const std::vector<T>& values) {
  return static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

/// Mean loss of each token after the first.
template <class Model>
double mean_loss(Model& model, const std::vector<std::int32_t>& ids) {
  using T = typename Model::value_type;
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const StepScalars<Cpu> scalars;
  Pass<T, Cpu> pass{tape, scalars};
  const Shape shape{1, static_cast<Index>(ids.size()) - 1};
  return static_cast<double>(*model.loss(pass, {ids.data(), shape}, {ids.data() + 1, shape}).value().data);
}

template <class Model>
std::vector<std::int32_t> greedy_without_cache(Model& model, std::vector<std::int32_t> ids, std::size_t count) {
  const auto prompt = static_cast<std::ptrdiff_t>(ids.size());
  while (count-- > 0) ids.push_back(argmax(last_logits(model, ids)));
  return {ids.begin() + prompt, ids.end()};
}

/// The prompt in one pass, then token by token.
template <class Model>
std::vector<std::int32_t> greedy_with_cache(Model& model, std::vector<std::int32_t> fresh, std::size_t count) {
  using T = typename Model::value_type;
  auto cache = model.cache(static_cast<Index>(fresh.size() + count));
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const StepScalars<Cpu> scalars;
  std::vector<std::int32_t> ids;
  while (ids.size() < count) {
    tape.reset();
    Pass<T, Cpu> pass{tape, scalars, &cache};
    const auto logits = model.logits(pass, {fresh.data(), Shape{1, static_cast<Index>(fresh.size())}}).value();
    const auto row = logits.slice(0).row(static_cast<Index>(fresh.size()) - 1);
    fresh = {argmax(std::vector<T>(row.data(), row.data() + row.size()))};
    ids.push_back(fresh[0]);
  }
  return ids;
}

/// A safetensors file in memory, to be changed and written back.
class EditedTensors {
 public:
  explicit EditedTensors(const std::filesystem::path& folder) {
    const SafetensorsFile file(folder / "model.safetensors");
    for (const TensorInfo& info : file.tensors()) {
      const auto bytes = file.bytes(info);
      tensors_[info.name] = {info.dtype, info.shape, {bytes.begin(), bytes.end()}};
    }
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, tensor] : tensors_) all.push_back(name);
    return all;
  }
  struct Stored {
    DType dtype;
    Shape shape;
    std::vector<std::byte> bytes;
  };
  Stored& operator[](const std::string& name) {
    REQUIRE(tensors_.contains(name));
    return tensors_[name];
  }
  EditedTensors& remove(const std::string& name) {
    REQUIRE(tensors_.erase(name) == 1);
    return *this;
  }
  EditedTensors& add(const std::string& name, DType dtype, const Shape& shape) {
    const auto bytes = static_cast<std::size_t>(shape.size()) * bytes_per_element(dtype);
    tensors_[name] = {dtype, shape, std::vector<std::byte>(bytes)};
    return *this;
  }
  EditedTensors& rename(const std::string& from, const std::string& to) {
    if (from == to) return *this;
    tensors_[to] = (*this)[from];
    return remove(from);
  }
  /// Sets one element of a tensor of F32.
  EditedTensors& set(const std::string& name, std::size_t index, float value) {
    Stored& tensor = (*this)[name];
    REQUIRE(tensor.dtype == DType::f32);
    std::memcpy(tensor.bytes.data() + index * sizeof value, &value, sizeof value);
    return *this;
  }
  /// Stores every F32 tensor as another type. F16: values that are zero or from 2^-14 to 2^15.
  EditedTensors& convert(DType dtype) {
    for (auto& [name, tensor] : tensors_) {
      REQUIRE(tensor.dtype == DType::f32);
      std::vector<float> values(tensor.bytes.size() / sizeof(float));
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
      tensor.dtype = dtype;
      tensor.bytes.clear();
      for (const float value : values) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        const auto half = (bits >> 16 & 0x8000u) | (value == 0 ? 0 : (bits >> 13 & 0x3ffffu) - (112u << 10));
        if (dtype == DType::bf16) append(tensor.bytes, static_cast<std::uint16_t>(bits >> 16));
        if (dtype == DType::f16) append(tensor.bytes, static_cast<std::uint16_t>(half & 0xffffu));
        if (dtype == DType::f64) append(tensor.bytes, static_cast<double>(value));
      }
    }
    return *this;
  }
  void write(const std::filesystem::path& folder) const {
    std::vector<TensorSource> sources;
    for (const auto& [name, tensor] : tensors_)
      sources.push_back({name, tensor.dtype, tensor.shape, tensor.bytes.data()});
    write_safetensors(folder / "model.safetensors", sources);
  }

 private:
  template <class V>
  static void append(std::vector<std::byte>& bytes, V value) {
    const auto raw = std::bit_cast<std::array<std::byte, sizeof(V)>>(value);
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  }

  std::map<std::string, Stored> tensors_;
};

/// What a loader returns, or nothing (said aloud) where binllm was built without SentencePiece.
template <class Load>
auto load_or_skip(const Load& load) -> std::optional<decltype(load())> {
  try {
    return load();
  } catch (const Error& error) {
    if (error.id() != ErrorId::tokenizer_invalid || !contains(error.found(), "without libsentencepiece")) throw;
    MESSAGE("skipped: binllm was built without libsentencepiece");
    return std::nullopt;
  }
}

}  // namespace binllm::test
