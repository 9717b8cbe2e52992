// SPDX-License-Identifier: MIT
// One training on 1 to 8 ranks, each a process: the same losses, and what each of them keeps.
#include <binllm/data/story_corpus.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/ranks/open.hpp>
#include <binllm/ranks/socket.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/forecast.hpp>
#include <binllm/train/pretrain.hpp>

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace bl = binllm;

bl::ModelConfig small_model() {
  bl::ModelConfig config;
  config.vocab_size = 256, config.hidden_size = 32, config.intermediate_size = 64, config.num_hidden_layers = 8;
  config.num_attention_heads = config.num_key_value_heads = 2, config.head_dim = 16;
  config.max_position_embeddings = 32;
  return config;
}
const bl::TrainingOptions options{.tokens = 5 * 8 * 32, .batch = 8, .context = 32, .report_every = 1};

/// What each rank does; the losses of rank 0.
template <class Sharding>
std::vector<double> train_rank(const bl::RankEnvironment& environment, Sharding sharding) {
  const bl::AnyCommunicator ranks(bl::open_host_ranks(environment));
  bl::Llama<double> model(small_model());
  bl::initialise(model, /*seed=*/1);
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, 1, 4096), bl::byte_tokenizer());
  std::vector<double> losses;
  bl::OnReport log([&](auto, auto, auto, auto metrics) { losses.push_back(metrics[0].value); });
  bl::pretrain(model, corpus, options, nullptr, &log, bl::NextToken{}, bl::Parallel{ranks, sharding});
  return losses;
}
/// On so many processes.
template <class Sharding>
std::vector<double> losses_on(bl::Index ranks, Sharding sharding) {
  int ends[2];
  if (pipe(ends) != 0) return {};
  const int port = bl::tcp::listen_on(0).port();  // a free one
  for (bl::Index rank = 0; rank < ranks; ++rank) {
    if (fork() != 0) continue;
    const bl::RankEnvironment here{.rank = rank, .size = ranks, .launcher = "learn", .host = "127.0.0.1", .port = port};
    const auto losses = train_rank(here, sharding);
    if (rank == 0 && write(ends[1], losses.data(), losses.size() * sizeof(double)) < 0) _exit(1);
    _exit(0);
  }
  while (wait(nullptr) > 0) continue;
  std::vector<double> losses(5);
  const auto bytes = read(ends[0], losses.data(), losses.size() * sizeof(double));
  losses.resize(bytes > 0 ? static_cast<std::size_t>(bytes) / sizeof(double) : 0);
  return close(ends[0]), close(ends[1]), losses;
}

int main() {
  const auto alone = losses_on(1, bl::NoSharding{});
  double worst = 0;
  fmt::print("kB a rank  none  optimizer  gradients  parameters\n");
  for (const bl::Index ranks : {1, 2, 4, 8}) {
    fmt::print("{:9}", ranks);
    bl::for_each_type<bl::ShippedShardings>([&]<class S>() {
      const auto kept = bl::forecast_training_memory<bl::Llama<double>>(small_model(), {}, options, nullptr,
                                                                        bl::MakeNextToken{}, {ranks, S{}});
      fmt::print("{:>{}}", (kept.parameters + kept.gradients + kept.moments) / 1000, S::name.size() + 2);
      const auto losses = losses_on(ranks, S{});
      for (std::size_t i = 0; i < 5; ++i) worst = std::max(worst, std::abs(losses.at(i) / alone.at(i) - 1));
    });
    fmt::print("\n");
  }
  fmt::print("losses of 5 steps: {:.4f} ... {:.4f}\n", alone.front(), alone.back());
  fmt::print("check: ranks and sharding change no loss by more than 1e-12 of it: {}\n", worst < 1e-12);
}
