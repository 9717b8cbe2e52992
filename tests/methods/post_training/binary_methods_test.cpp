// SPDX-License-Identifier: MIT
/// Binary methods after training on models: what they store is saved, loaded and run, and how far it is from the model.
#include "support/any_model.hpp"
#include "support/errors.hpp"
#include "support/saved_model.hpp"

#include <binllm/io/containers/safetensors.hpp>
#include <binllm/methods/post_training/arb_llm.hpp>
#include <binllm/methods/post_training/billm.hpp>
#include <binllm/methods/post_training/binary_factors.hpp>
#include <binllm/methods/post_training/pb_llm.hpp>
#include <binllm/methods/post_training/quantise_blockwise.hpp>
#include <binllm/methods/post_training/rtn.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Sums over the layers of a model.
struct Losses : QuantiseLog {
  double loss = 0;
  void layer(const LayerReport& report) override { loss += report.loss; }
};

/// Rounding to nearest whose errors are those of the inputs, too.
struct Signs : Rtn {
  static constexpr bool calibrated = true;
};

template <class Form>
using Runs = Llama<float, Cpu, Stored<Form>>;

template <class Method>
Runs<typename Method::Form> quantised_tiny(const Method& method) {
  Llama<float> model(tiny_config());
  initialise(model, 3, 0.3);
  return quantise_blockwise(model, read(random_ids({3, 8}, 37, 1).view()), method);
}

template <class Method>
void check_saved(const Method& method) {
  CAPTURE(Method::name);
  const TemporaryFolder folder;
  const auto stored = quantised_tiny(method);
  save(stored, folder.path());
  const auto loaded = load_model<Runs<typename Method::Form>>(folder.path());
  CHECK(tensors_of(loaded) == tensors_of(stored));
  const auto ids = random_ids({1, 9}, 37, 4);
  const auto logits = logits_of(stored, read(ids.view()));
  CHECK(same_bits(logits_of(loaded, read(ids.view())).view(), logits.view()));
  CHECK(largest_difference(logits_of(unpack(loaded), read(ids.view())), logits) < 1e-4);
  CHECK(largest_difference(decoded_logits(loaded, read(ids.view())), logits) < 1e-4);
  CHECK(bit_counts(folder.path(), known_of<Runs<typename Method::Form>>()).signs_only >= 1);
}

/// What a method makes of stories260K, with 16 windows of 128 tokens.
struct Outcome {
  double loss = 0;  ///< squared errors of the layers' outputs
  double nll = 0;
  BitCounts bits;
};
template <class Method>
Outcome outcome_of(const Method& method) {
  RealModel real = *stories260k();  // a model of its own, because a method changes it
  Losses losses;
  const auto tokens = real.corpus.tokens();
  const auto stored = quantise_blockwise(real.model, {tokens.data(), Shape{16, 128}}, method, {}, &losses);
  const TemporaryFolder folder;
  save(stored, folder.path(), {.tokenizer = &real.tokenizer});
  const TokenStream unseen = TokenStream::from_tokens({tokens.begin() + 16 * 128, tokens.end()});
  const Outcome outcome{losses.loss, evaluate_perplexity(stored, unseen, {.context = 64, .max_windows = 16}).nll,
                        bit_counts(folder.path(), known_of<Runs<typename Method::Form>>())};
  MESSAGE(Method::name, ": outputs ", outcome.loss, ", nll ", outcome.nll, ", bits ", outcome.bits.signs_only, " and ",
          outcome.bits.block_linears_with_scales, " with scales");
  return outcome;
}

}  // namespace

TEST_CASE("binary methods after training: what they store is saved, loaded, and runs") {
  check_saved(BiLlm{});
  check_saved(Arb{});
  check_saved(ArbX{.arb = {.planes = {.block = 10}}});
  check_saved(ArbRc{});
  check_saved(PbLlmAfterTraining{});
  check_saved(DoubleBinary{.iterations = 10});
}

TEST_CASE("binary methods after training: planes of salient columns of another number are refused") {
  const TemporaryFolder folder;
  save(quantised_tiny(BiLlm{}), folder.path());
  const auto file = folder / "model.safetensors";
  std::map<std::string, std::vector<std::byte>> values;
  std::vector<TensorSource> tensors;
  {
    const SafetensorsFile from(file);
    for (const TensorInfo& tensor : from.tensors()) {
      const auto bytes = from.bytes(tensor);
      auto& kept = values[tensor.name] = {bytes.begin(), bytes.end()};
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape, kept.data()});
    }
  }
  for (TensorSource& tensor : tensors) {
    if (tensor.name != "model.layers.0.self_attn.q_proj.residual_signs") continue;
    REQUIRE(tensor.shape[0] > 1);
    const Shape whole = tensor.shape;
    tensor.shape = Shape{whole[0] - 1, whole[1]};
    write_safetensors(file, tensors, {{"format", "pt"}}, Checksums::of_each_tensor);
    const auto short_of_one = load_model<Runs<SignPlanes>>(folder.path());
    const auto ids = random_ids({1, 3}, 37, 4);
    CHECK(id_of([&] { static_cast<void>(logits_of(short_of_one, read(ids.view()))); }) == ErrorId::tensors_mismatched);
    tensor.shape = Shape{whole[0] * whole[1], 1};
    if (whole[1] == 1) tensor.shape = Shape{1, whole[0]};
    write_safetensors(file, tensors, {{"format", "pt"}}, Checksums::of_each_tensor);
    CHECK(id_of([&] { static_cast<void>(load_model<Runs<SignPlanes>>(folder.path())); }) ==
          ErrorId::tensors_mismatched);
  }
}

TEST_CASE("binary methods after training: stories260K, the order that is published") {
  if (!stories260k()) return;
  const Outcome signs = outcome_of(Signs{{.grid = {.bits = 1}}});
  const Outcome billm = outcome_of(BiLlm{});
  const Outcome arb = outcome_of(Arb{});
  const Outcome arb_x = outcome_of(ArbX{});
  const Outcome arb_rc = outcome_of(ArbRc{});
  const Outcome pb_llm = outcome_of(PbLlmAfterTraining{});
  const Outcome dbf = outcome_of(DoubleBinary{.iterations = 60});
  CHECK(billm.loss < signs.loss);
  CHECK(arb.loss < billm.loss);
  CHECK(arb_x.loss < arb.loss);
  CHECK(arb_rc.loss < arb.loss);
  CHECK(pb_llm.loss < signs.loss);
  CHECK(dbf.loss < signs.loss);
  CHECK(billm.nll < signs.nll);
  CHECK(arb.nll < billm.nll);
}
