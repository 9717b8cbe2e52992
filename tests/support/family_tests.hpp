// SPDX-License-Identifier: MIT
/// What every shipped family has to show, written once: the numbers of `transformers`, gradients, decoding with a cache,
/// exact folds, folders of all formats. One unit a family calls it.
#pragma once
#include "io/support.hpp"
#include "support/any_model.hpp"
#include "support/golden_values.hpp"
#include "support/tensor_bytes.hpp"

#include <binllm/io.hpp>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace binllm::test {

/// A golden file of tests/golden/families, which says there what its lines hold.
struct Golden {
  struct Named {
    std::string name;
    Shape shape;
  };
  std::filesystem::path config;
  std::vector<Named> tensors;
  std::vector<std::int32_t> ids, greedy;
  double loss = 0;
  std::vector<double> logits;
};

inline Golden read_golden(const std::string& name) {
  const std::filesystem::path folder = BINLLM_SOURCE_DIR "/tests/golden/families";
  Golden golden{folder / (name + ".json"), {}, {}, {}, 0, {}};
  std::ifstream file(folder / (name + ".txt"));
  REQUIRE(file);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key, tensor;
    words >> key;
    const auto into = [&]<class X>(std::vector<X>& list) {
      for (X x{}; words >> x;) list.push_back(x);
    };
    if (key == "tensor") {
      words >> tensor;
      std::vector<Index> extents;
      into(extents);
      golden.tensors.push_back({tensor, extents.size() == 1 ? Shape{extents[0]} : Shape{extents[0], extents[1]}});
    }
    if (key == "ids") into(golden.ids);
    if (key == "greedy") into(golden.greedy);
    if (key == "loss") words >> golden.loss;
    if (key == "logits") into(golden.logits);
  }
  return golden;
}

/// The folder that transformers would have written.
inline void write_golden_folder(const Golden& golden, const std::filesystem::path& folder) {
  std::vector<std::vector<float>> values;
  std::vector<TensorSource> tensors;
  for (const auto& [name, shape] : golden.tensors) values.push_back(golden_values(name, shape));
  for (std::size_t i = 0; i < values.size(); ++i)
    tensors.push_back({golden.tensors[i].name, DType::f32, golden.tensors[i].shape, values[i].data()});
  std::filesystem::create_directories(folder);
  write_safetensors(folder / "model.safetensors", tensors);
  write_text(folder / "config.json", read_text(golden.config));
}

template <class A, class F = Dense>
using InDouble = CausalLm<A, double, Cpu, F>;
using DoubleRecipe = Recipe<ProgressiveSign<double>, DualScale<double>, ChannelScale<double>, ExponentialSchedule>;

/// Logits, loss and greedy tokens of `transformers`, within the rounding of its file and of its norms in float.
template <class A>
void check_golden(const std::string& name) {
  INFO(name);
  const TemporaryFolder folder;
  const Golden golden = read_golden(name);
  write_golden_folder(golden, folder / "model");
  const auto model = load_model<InDouble<A>>(folder / "model");
  std::vector<std::int32_t> ids = golden.ids;
  const auto view = [&] { return View<const std::int32_t>(ids.data(), Shape{1, static_cast<Index>(ids.size())}); };
  const auto logits = logits_of(model, view());
  REQUIRE(logits.size() == static_cast<Index>(golden.logits.size()));
  CHECK(largest_difference(logits.view(), View<const double>(golden.logits.data(), logits.shape())) < 1e-5);

  Tape<> tape;
  const StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  const Index count = static_cast<Index>(ids.size()) - 1;
  const auto loss = model.loss(pass, {ids.data(), Shape{1, count}}, {ids.data() + 1, Shape{1, count}});
  CHECK(std::abs(*loss.value().data - golden.loss) < 1e-5);

  for (const std::int32_t wanted : golden.greedy) {
    const auto all = logits_of(model, view());
    const auto last = all.view().slice(0).row(view().shape[1] - 1);
    Index best = 0;
    last.maxCoeff(&best);
    REQUIRE(best == wanted);
    ids.push_back(wanted);
  }
  // What is saved again is what other programs read: the same tensors under the same names.
  save(model, folder / "again");
  const SafetensorsFile before(folder / "model" / "model.safetensors"), after(folder / "again" / "model.safetensors");
  CHECK(after.tensors().size() == before.tensors().size());
  for (const TensorInfo& tensor : before.tensors()) {
    INFO(tensor.name);
    const TensorInfo* const saved = after.find(tensor.name);
    REQUIRE(saved != nullptr);
    REQUIRE(saved->shape == tensor.shape);
    std::vector<double> a(static_cast<std::size_t>(tensor.shape.size())), b(a.size());
    before.read(tensor, a);
    after.read(*saved, b);
    CHECK(a == b);
  }
}

/// A small model with all that a family can have.
template <class A>
ModelConfig family_config(Index vocab_size = 37) {
  constexpr ConfigKeys keys = A::keys;
  ModelConfig c = tiny_config(vocab_size);
  if (keys.num_key_value_heads.empty()) c.num_key_value_heads = c.num_attention_heads;
  c.head_dim = keys.head_dim.empty() ? c.hidden_size / c.num_attention_heads : 6;
  if (keys.head_dim.empty()) c.hidden_size = 16, c.head_dim = 4;
  if (!keys.rotary_share.empty()) c.rotary_share = 0.5;
  c.tie_word_embeddings = keys.tied_if_absent;
  c.attention_bias = !keys.attention_bias.empty();
  c.mlp_bias = !keys.mlp_bias.empty();
  return c;
}
template <class A>
InDouble<A> family_model() {
  InDouble<A> model(family_config<A>());
  initialise(model, 3, 0.3);
  disturb(model, 0.5);
  return model;
}

/// Two sequences of different lengths, read side by side.
template <class Model>
void check_rows_of_different_lengths(const Model& model) {
  const auto first = random_ids({1, 9}, 37, 5), second = random_ids({1, 4}, 37, 6);
  auto cache = model.cache(12, 2);
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars, &cache};
  const auto read_alone = [&](Index sequence, View<const std::int32_t> ids) {
    cache.activate(std::array{sequence});
    static_cast<void>(model.logits(pass, ids));
  };
  read_alone(0, {first.view().data, Shape{1, 8}});
  read_alone(1, {second.view().data, Shape{1, 3}});
  cache.activate(std::array<Index, 2>{1, 0});
  const std::array last{second.view().data[3], first.view().data[8]};
  const auto both = model.logits(pass, {last.data(), Shape{2, 1}}).value();
  CHECK((both.row(0) - logits_of(model, second.view()).view().row(3)).abs().maxCoeff() < 1e-9);
  CHECK((both.row(1) - logits_of(model, first.view()).view().row(8)).abs().maxCoeff() < 1e-9);
}

template <class Model>
void check_comes_back(const Model& model, const std::filesystem::path& folder) {
  const auto ids = random_ids({1, 9}, 37, 4);
  save(model, folder);
  const auto loaded = load_model<Model>(folder);
  CHECK(loaded.config == model.config);
  CHECK(tensors_of(loaded) == tensors_of(model));
  CHECK(same_bits(logits_of(loaded, ids.view()).view(), logits_of(model, ids.view()).view()));
}

/// Call it in a TEST_CASE.
template <class A>
void check_family() {
  auto dense = family_model<A>();
  const auto ids = random_ids({1, 11}, 37, 4);
  SUBCASE("gradients are those of finite differences") {
    check_gradients(
        dense, 0, [](const std::string& name) {  // keys that do not turn: the softmax is blind to their bias
          return A::template Positions<double, Cpu>::rotary || !name.ends_with(std::string(A::names.key) + ".bias");
        });
  }
  SUBCASE("decoding with a cache gives the logits of one pass") {
    CHECK(largest_difference(decoded_logits(dense, ids.view()), logits_of(dense, ids.view())) < 1e-9);
    check_rows_of_different_lengths(dense);
    const auto beyond = random_ids({1, dense.config.max_position_embeddings + 1}, 37, 4);
    CHECK(error_of([&] { static_cast<void>(logits_of(dense, beyond.view())); }).id() == ErrorId::index_out_of_range);
  }
  SUBCASE("scales of stage 1 fold exactly, and folders of all formats come back") {
    const TemporaryFolder folder;
    auto binary = binarize<DoubleRecipe>(dense);
    auto search = channel_search(binary);
    for_each_parameter(search, [](const std::string& name, auto& parameter) {
      if (!name.ends_with("log_scale")) return;
      const Random random(5, Purpose::test, name.size());
      for (Index i = 0; i < parameter.size(); ++i)
        parameter.value.data[i] = 0.3 * random.normal(static_cast<std::uint64_t>(i));
    });
    const auto before = logits_of(binary, ids.view()), unfolded = logits_of(search, ids.view());
    fold_channel_scale(binary, search);
    const auto folded = logits_of(binary, ids.view());
    CHECK(largest_difference(folded, unfolded) < 1e-9);
    CHECK(largest_difference(folded, before) > 1e-3);
    for_each_linear(
        [](const std::string& name, const auto& linear) {
          INFO(name);
          CHECK((linear.input_scale.size() > 0) == !folds<A>(linear.shape.role));
        },
        binary);
    const auto packed = pack<FloatActivations>(binary);
    CHECK(largest_difference(logits_of(packed, ids.view()), folded) < 1e-9);
    check_comes_back(dense, folder / "dense");
    check_comes_back(binary, folder / "binary");
    check_comes_back(packed, folder / "packed");
    CHECK(bit_counts(folder / "packed").signs_only == 1);
    CHECK(bit_counts(folder / "dense").signs_only == 64);
    CHECK(bit_counts(folder / "dense").parameters == parameter_count(dense));
  }
}

}  // namespace binllm::test
