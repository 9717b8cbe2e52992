// SPDX-License-Identifier: MIT
// A unit of the host's compiler, which reaches the GPU through binllm::cuda: trainings, and real weights.
#include "cuda/gpu.hpp"
#include "data_kit.hpp"
#include "io/support.hpp"
#include "support/small_llama.hpp"

#include <binllm/device/cuda.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/policy/runtime.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/progressive.hpp>

#include <nlohmann/json.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 3000; ++i) ids.push_back(i * i % 37);
  return TokenStream::from_tokens(std::move(ids));
}

/// Stage 1 and ten steps of stage 2; the last loss.
template <class Model>
double train_both_stages(Model& model) {
  ChannelScaleOptions search;
  search.steps = 3;
  search.batch = 4;
  search.context = 15;
  search_channel_scale(model, corpus(), search);
  auto options = ProgressiveOptions::small_model();
  options.training.batch = 4;
  options.training.context = 15;
  options.training.tokens = 10 * options.training.batch * options.training.context;
  options.chunks = 2;
  return train_progressively(model, corpus(), options);
}

template <class Format>
void check_training(const Format& format) {
  auto on_cpu = binarize(small_llama<float>(), format);
  auto on_gpu = on_device<Cuda, float>(on_cpu);
  auto in_bf16 = on_device<Cuda, bf16>(on_cpu);
  const double wanted = train_both_stages(on_cpu);
  CHECK(train_both_stages(on_gpu) == doctest::Approx(wanted).epsilon(1e-3));
  CHECK(train_both_stages(in_bf16) == doctest::Approx(wanted).epsilon(5e-2));
}

/// Logits (T,V) of a sequence; with a cache, the sequence goes on from what is there.
template <class T>
Tensor<float> logits_of(Llama<T, Cuda>& model, const std::vector<std::int32_t>& ids, KeyValueCache<T, Cuda>* cache) {
  Tensor<std::int32_t, Cuda> on_gpu(Shape{1, static_cast<Index>(ids.size())});
  copy_to_device(View<const std::int32_t>(ids.data(), on_gpu.shape()), on_gpu.view());
  Tape<Cuda> tape;
  const NoGrad<Cuda> pause(tape);
  const StepScalars<Cuda> scalars;
  Pass<T, Cuda> pass{tape, scalars, cache};
  const auto logits = model.logits(pass, read(on_gpu.view())).value();
  const OnHost copy(read(logits));
  Tensor<float> result(Shape{logits.rows(), logits.cols()});
  for (Index i = 0; i < result.size(); ++i) result.view().data[i] = copy.view().data[i];
  return result;
}
template <class T>
std::vector<float> last_logits(Llama<T, Cuda>& model, const std::vector<std::int32_t>& ids,
                               KeyValueCache<T, Cuda>* cache = nullptr) {
  const Tensor<float> all = logits_of(model, ids, cache);
  const auto row = all.view().row(all.view().rows() - 1);
  return {row.data(), row.data() + row.size()};
}

std::vector<std::int32_t> greedy(Llama<float, Cuda>& model, std::vector<std::int32_t> fresh, std::size_t count) {
  auto cache = model.cache(static_cast<Index>(fresh.size() + count));
  std::vector<std::int32_t> ids;
  while (ids.size() < count) {
    const auto logits = last_logits(model, fresh, &cache);
    fresh = {static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
    ids.push_back(fresh[0]);
  }
  return ids;
}

}  // namespace

TEST_CASE("cuda from the host's compiler: both stages train as on the CPU, policies static and by name") {
  if (!gpu()) return;
  check_training(Binary<PaperRecipe<float>>{});
  RuntimeBinary<float> by_name;
  by_name.estimator = RuntimeEstimator<float>::named("ede");
  by_name.scale = RuntimeScale<float>::named("analytic-detached", "row");
  check_training(by_name);
}

TEST_CASE("cuda from the host's compiler: stories260K gives the logits, the loss and the greedy text of its oracle") {
  if (!gpu()) return;
  const auto config = data_file("models/stories260K/config.json");
  const auto oracle_file = data_file("models/stories260K/oracle.json");
  if (!config || !oracle_file) return;
  const auto oracle = nlohmann::json::parse(read_text(*oracle_file));
  auto on_cpu = load_model<Llama<float>>(std::filesystem::path(*config).parent_path());
  auto model = on_device<Cuda, float>(on_cpu);
  const auto prompt = oracle["prompt_ids"].get<std::vector<std::int32_t>>();
  const auto wanted = oracle["logits_after_prompt"].get<std::vector<double>>();
  const auto text = oracle["text_ids"].get<std::vector<std::int32_t>>();
  const auto greedy_ids = oracle["greedy_ids"].get<std::vector<std::int32_t>>();

  const auto found = last_logits(model, prompt);
  CHECK(largest_difference(found.data(), 512, wanted.data(), 512) < 1e-3);
  const auto stream = TokenStream::from_tokens(text);
  const PerplexityOptions whole{.context = stream.size(), .batch = 1};
  CHECK(std::abs(evaluate_perplexity(model, stream, whole).nll - oracle["text_mean_nll"].get<double>()) < 1e-3);
  CHECK(greedy(model, prompt, greedy_ids.size()) == greedy_ids);

  auto in_bf16 = on_device<Cuda, bf16>(on_cpu);
  const auto rounded = last_logits(in_bf16, prompt);
  CHECK(largest_difference(rounded.data(), 512, wanted.data(), 512) < 0.5);
  CHECK(std::abs(evaluate_perplexity(in_bf16, stream, whole).nll - oracle["text_mean_nll"].get<double>()) < 0.02);
}
