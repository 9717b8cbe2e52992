// SPDX-License-Identifier: MIT
// A family of models of one's own: LayerNorm, attention beside a network with ReLU, and a training loop by hand.
#include <binllm/data/story_corpus.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/models/family.hpp>
#include <binllm/ops/relu.hpp>
#include <binllm/optim/adamw.hpp>

#include <fmt/core.h>

#include <cmath>

namespace bl = binllm;

/// y = h + attention(LayerNorm_1 h) + W_down relu(W_up LayerNorm_2 h),   rotary positions
struct Beside {
  static constexpr std::string_view name = "beside", summary = "LayerNorm, attention beside a ReLU network";
  static constexpr std::string_view class_name = "BesideForCausalLM", model_type = "beside";
  static constexpr bl::ConfigKeys keys{};
  static constexpr std::array<bl::FixedKey, 0> fixed{};

  template <class T, class Device>
  using Norm = bl::LayerNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = bl::RotaryPositions<T, Device>;
  using FeedForward = bl::Ungated<bl::Relu>;
  static constexpr bl::Residual residual = bl::Residual::parallel;
  static constexpr bool attention_bias = false, attention_out_bias = false, mlp_bias = false;

  static constexpr bl::DecoderNames names{.up = "widen", .down = "narrow"};
  static constexpr std::array folds{bl::Fold{bl::Role::attention_in, bl::FoldInto::norm_before},
                                    bl::Fold{bl::Role::attention_out, bl::FoldInto::rows_of_v},
                                    bl::Fold{bl::Role::mlp_in, bl::FoldInto::norm_before},
                                    bl::Fold{bl::Role::mlp_out, bl::FoldInto::rows_of_up}};
};
static_assert(bl::Architecture<Beside>);
template <class T, class Device = bl::Cpu, class Format = bl::Dense>
using BesideLm = bl::CausalLm<Beside, T, Device, Format>;

int main() {
  bl::ModelConfig config;
  config.vocab_size = 256, config.hidden_size = 32, config.intermediate_size = 64, config.num_hidden_layers = 2;
  config.num_attention_heads = config.num_key_value_heads = 2, config.head_dim = 16;
  config.max_position_embeddings = 64;
  BesideLm<float> model(config);  // all weights zero
  const std::string text = bl::story(/*seed=*/1, /*index=*/0);
  bl::Tensor<std::int32_t> ids({4, 64}), targets({4, 64});
  for (bl::Index i = 0; i < ids.size(); ++i) {
    ids.view().data[i] = text[static_cast<std::size_t>(i)];
    targets.view().data[i] = text[static_cast<std::size_t>(i) + 1];
  }
  bl::StepScalars<bl::Cpu> scalars;
  bl::Tape tape;
  const auto loss = [&] {
    tape.reset();
    bl::Pass<float, bl::Cpu> pass{tape, scalars};
    return model.loss(pass, read(ids.view()), read(targets.view()));
  };
  const double untrained = *loss().value().data;
  bl::initialise(model, /*seed=*/1);
  std::vector<const bl::Parameter<float, bl::Cpu>*> parameters;
  for (const auto& named : bl::named_parameters(model)) parameters.push_back(named.parameter);
  bl::AdamW<float> adamw(parameters, {.weight_decay = 0});
  fmt::print("step    loss\n");
  for (int step = 0; step <= 120; ++step) {
    const auto y = loss();
    tape.backward(y);
    if (step % 10 == 0) fmt::print("{:4}  {:6.3f}\n", step, *y.value().data);
    adamw.step(/*learning_rate=*/5e-3);
  }
  fmt::print("parameters: {}\ncheck: a model of zeros loses ln 256 = {:.4f}: {}\n", bl::parameter_count(model),
             std::log(256.0), std::abs(untrained - std::log(256.0)) < 1e-5);
}
