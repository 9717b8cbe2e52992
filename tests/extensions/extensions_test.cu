// SPDX-License-Identifier: MIT
// A family and a kind of linear layer that the library does not know, in one file, on a GPU: as in family_test.cpp and
// row_and_column_kind_test.cpp. What a user writes for the CPU is what runs here; the unit is compiled by nvcc.
#include "cuda/gpu.hpp"

#include <binllm/binllm.hpp>

#include <cmath>
#include <vector>

namespace user {

using namespace binllm;

/// y = h + attention(LayerNorm_1 h) + W_down gelu(W_up LayerNorm_2 h)
struct Parallel {
  static constexpr std::string_view name = "parallel", summary = "LayerNorm, attention beside a GELU network, biases";
  static constexpr std::string_view class_name = "ParallelForCausalLM", model_type = "parallel";
  static constexpr ConfigKeys keys{.norm_epsilon = "layer_norm_eps", .rotary_share = "rotary_pct"};
  static constexpr std::array<FixedKey, 1> fixed{{{"hidden_act", "\"gelu\""}}};

  template <class T, class Device>
  using Norm = LayerNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = RotaryPositions<T, Device>;
  using FeedForward = Ungated<Gelu>;
  static constexpr Residual residual = Residual::parallel;
  static constexpr bool attention_bias = true, attention_out_bias = true, mlp_bias = true;

  static constexpr DecoderNames names{};
  static constexpr std::array folds{Fold{Role::attention_in, FoldInto::norm_before},
                                    Fold{Role::attention_out, FoldInto::rows_of_v},
                                    Fold{Role::mlp_in, FoldInto::norm_before}};
};

/// B = sgn(W);   backward takes 1.001 - tanh^2(w) for the derivative of sgn
struct SignOf {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w) const {
    return formula::sign(w);
  }
};
struct SignSlope {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w, const X& g) const {
    return g * (formula::lane_t<X>(1.001) - formula::square(formula::tanh(w)));
  }
};
template <class M, class Device>
struct SignWeight {
  Variable<M, Device> weight;
  Shape shape = weight.shape();

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient(); }
  template <class T>
  void forward(Tape<Device>&, View<T, Device> b) const {
    Backend<Device>::map(b, SignOf{}, elements(weight.value()));
  }
  template <class T>
  void backward(Tape<Device>&, View<const T, Device> db) const {
    Backend<Device>::template map<Write::accumulate>(weight.gradient(), SignSlope{}, elements(weight.value()),
                                                     elements(db));
  }
};

/// y = h * ( sgn(W) (g * x) ),   at first h_i = mean_j |W_ij|, g = 1
struct OneBit {
  static constexpr std::string_view name = "one-bit", summary = "h sgn(W) g, a vector for rows and one for columns";

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight, row, column;  ///< W, h, g

    Parameters(const OneBit&, const LinearShape& s)
        : weight({s.out, s.in}), row({s.out}, false), column({s.in}, false) {}
    void start(View<const M, Device> dense) {
      const OnHost w(dense);
      Tensor<M> h(row.shape()), g(column.shape());
      for (Index i = 0; i < w.view().rows(); ++i) h.view().data[i] = w.view().row(i).abs().mean();
      g.view().flat().setConstant(M(1));
      copy_to_device(w.view(), weight.value);
      copy_to_device(read(h.view()), row.value);
      copy_to_device(read(g.view()), column.value);
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return multiply(x, pass.tape.use(column));
    }
    [[nodiscard]] SignWeight<M, Device> effective(Pass<T, Device>& pass) const { return {pass.tape.use(weight)}; }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return multiply(y, pass.tape.use(row));
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("row", self.row...);
      v("column", self.column...);
    }
  };
};

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

CausalLm<user::Parallel, float> start() {
  ModelConfig c;
  c.vocab_size = 97;
  c.hidden_size = 64;
  c.intermediate_size = 136;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 16;
  c.max_position_embeddings = 48;
  c.rotary_share = 0.5;
  CausalLm<user::Parallel, float> model(c);
  initialise(model, 1, 0.1);
  return model;
}

/// Losses of some steps.
template <class Model>
std::vector<double> curve(Model& model) {
  TrainingStep<Model> training(model, 2, 0, 24, {});
  std::vector<double> losses;
  for (Index step = 0; step < 30; ++step) {
    const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
      for (Index i = 0; i < ids.size(); ++i) {
        const Index at = 7 * step + i;
        ids.data[i] = static_cast<std::int32_t>(at * at % 97);
        targets.data[i] = static_cast<std::int32_t>((at + 1) * (at + 1) % 97);
      }
    };
    losses.push_back(training.run(fill, step, 3e-3, 0, 1).loss);
  }
  return losses;
}

/// The model learns, on the GPU as on the CPU, and in bf16 nearly so.
template <class Model>
void learns(Model model) {
  auto on_gpu = on_device<Cuda, float>(model);
  auto in_bf16 = on_device<Cuda, bf16>(model);
  const auto cpu = curve(model), gpu = curve(on_gpu), half = curve(in_bf16);
  CHECK(cpu.back() < 0.8 * cpu.front());
  CHECK(gpu.front() == doctest::Approx(cpu.front()).epsilon(1e-5));
  CHECK(half.front() == doctest::Approx(cpu.front()).epsilon(0.02));
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    CAPTURE(i);
    CHECK(gpu[i] == doctest::Approx(cpu[i]).epsilon(0.02));
    CHECK(half[i] == doctest::Approx(cpu[i]).epsilon(0.1));
  }
}

}  // namespace

TEST_CASE("cuda extensions: a family of the user's") {
  if (!gpu()) return;
  learns(start());
}

TEST_CASE("cuda extensions: a kind of linear layer of the user's, in a family of the user's") {
  if (!gpu()) return;
  learns(quantise<user::OneBit>(start()));
}
