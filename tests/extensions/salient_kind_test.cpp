// SPDX-License-Identifier: MIT
/// A kind of linear layer that the library does not know: a tenth of the weights keep 8 bits, the others have one
/// (Shang et al., PB-LLM, arXiv 2310.00034).
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace user {

using namespace binllm;

/// W_b = m W + (1 - m) S sgn(W)                     m = 1 where a weight is salient, else 0
struct PartlyBinary {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w, const X& m, const X& s) const {
    return m * w + (X(1) - m) * s * formula::sign(w);
  }
};
/// dW = m g + (1 - m) S g,   dS_i = sum_j (1 - m_ij) g_ij sgn(W_ij)
struct WeightGradient {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& g, const X& m, const X& s) const {
    return g * (m + (X(1) - m) * s);
  }
};
struct ScaleTerm {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w, const X& m, const X& g) const {
    return (X(1) - m) * g * formula::sign(w);
  }
};

template <class M, class Device>
struct SalientWeight {
  Variable<M, Device> weight, scale;
  View<const M, Device> mask;
  Shape shape = weight.shape();
  using B = Backend<Device>;

  [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient() || scale.needs_gradient(); }
  template <class T>
  void forward(Tape<Device>&, View<T, Device> wb) const {
    B::map(wb, PartlyBinary{}, elements(weight.value()), elements(mask), per_row(scale.value()));
  }
  template <class T>
  void backward(Tape<Device>& tape, View<const T, Device> dwb) const {
    if (weight.needs_gradient())
      B::template map<Write::accumulate>(weight.gradient(), WeightGradient{}, elements(dwb), elements(mask),
                                         per_row(scale.value()));
    if (!scale.needs_gradient()) return;
    const Temporary<M, Device> sums(tape, scale.shape());
    B::template row_reduce<Sum>(sums.view(), shape.cols(), ScaleTerm{}, elements(weight.value()), elements(mask),
                                elements(dwb));
    B::template map<Write::accumulate>(scale.gradient(), formula::Identity{}, elements(sums.view()));
  }
};

/// Salient weights of a row: the tenth with the largest magnitudes.
inline Index salient_of(Index cols) { return (cols + 9) / 10; }

/// What runs: for each row bits of signs, bits of the mask, codes of the salient weights in order, and two scales.
///   W_b,ij = c_i (code - 128)   or   S_i (+-1)
struct SalientForm {
  static constexpr std::string_view name = "salient-stored", summary = "signs, and a tenth of the weights in 8 bits";
  static constexpr std::string_view layout = packed_layout;

  template <class T, class Device>
  struct Matrix {
    Tensor<std::uint8_t, Device> signs, mask, codes;
    Tensor<T, Device> scale, code_scale;
    Index cols;

    Matrix(const SalientForm&, const LinearShape& s)
        : signs(Shape{s.out, sign_row_bytes(s.in)}),
          mask(signs.shape()),
          codes(Shape{s.out, salient_of(s.in)}),
          scale(Shape{s.out}),
          code_scale(Shape{s.out}),
          cols(s.in) {}
    void restore(View<T, Device> w) const {
      std::vector<T> sign(static_cast<std::size_t>(cols)), salient(sign.size());
      for (Index i = 0; i < w.rows(); ++i) {
        unpack_row(signs.view().data + i * signs.shape().cols(), View<T>(sign.data(), Shape{cols}));
        unpack_row(mask.view().data + i * mask.shape().cols(), View<T>(salient.data(), Shape{cols}));
        const std::uint8_t* code = codes.view().data + i * codes.shape().cols();
        for (Index j = 0; j < cols; ++j) {
          const auto k = static_cast<std::size_t>(j);
          w.row(i)[j] = salient[k] > 0 ? code_scale.view().data[i] * static_cast<T>(int(*code++) - 128)
                                       : scale.view().data[i] * sign[k];
        }
      }
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("signs", self.signs...);
      v("mask", self.mask...);
      v("codes", self.codes...);
      v("scale", self.scale...);
      v("code_scale", self.code_scale...);
    }
  };
};

struct Salient {
  static constexpr std::string_view name = "salient", summary = "S sgn(W), but for a tenth of the weights";
  using Form = SalientForm;

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight, scale;
    Tensor<M, Device> mask;  ///< a buffer: kept in checkpoints and model folders, never trained

    Parameters(const Salient&, const LinearShape& s)
        : weight({s.out, s.in}), scale({s.out}, false), mask(Shape{s.out, s.in}) {}
    /// W, its largest tenth of each row, and the mean magnitude of the others.
    void start(View<const M, Device> dense) {
      const OnHost host(dense);
      const auto w = host.view();
      Tensor<M> m(w.shape), s(scale.shape());
      std::vector<Index> order(static_cast<std::size_t>(w.cols()));
      const auto salient = static_cast<std::ptrdiff_t>(salient_of(w.cols()));
      for (Index i = 0; i < w.rows(); ++i) {
        std::iota(order.begin(), order.end(), Index{0});
        const auto row = w.row(i);
        std::nth_element(order.begin(), order.begin() + salient, order.end(),
                         [&](Index a, Index b) { return std::abs(row[a]) > std::abs(row[b]); });
        for (auto j = order.begin(); j != order.begin() + salient; ++j) m.view().row(i)[*j] = 1;
        s.view().data[i] = (row.abs() * (M(1) - m.view().row(i))).sum() / static_cast<M>(w.cols() - salient);
      }
      copy_to_device(w, weight.value);
      copy_to_device(read(s.view()), scale.value);
      copy_to_device(read(m.view()), mask.view());
    }
    [[nodiscard]] SalientWeight<M, Device> effective(Pass<T, Device>& pass) const {
      return {pass.tape.use(weight), pass.tape.use(scale), mask.view()};
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("scale", self.scale...);
      v("mask", self.mask...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, SalientForm::Matrix<T, Cpu>& to) {
    const auto w = from.weight.value;
    for (Index i = 0; i < w.rows(); ++i) {
      const auto m = from.mask.view().row(i);
      const auto row = w.row(i);
      pack_row(View<const T>(row.data(), Shape{to.cols}), to.signs.view().data + i * to.signs.shape().cols());
      Tensor<T> above(Shape{to.cols});  // a bit is whether a number is at least 0
      above.view().flat() = m - T(0.5);
      pack_row(read(above.view()), to.mask.view().data + i * to.mask.shape().cols());
      const T step = std::max((row.abs() * m).maxCoeff(), T(1e-20)) / 127;
      std::uint8_t* code = to.codes.view().data + i * to.codes.shape().cols();
      for (Index j = 0; j < to.cols; ++j) {
        if (m[j] > 0) *code++ = static_cast<std::uint8_t>(std::lround(row[j] / step) + 128);
      }
      to.code_scale.view().data[i] = step;
    }
    to.scale.view().flat() = from.scale.value.flat();
  }
};
static_assert(LinearKind<Salient> && StoredForm<SalientForm>);

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

template <class T>
using Trained = Llama<T, Cpu, Quantised<user::Salient>>;
using Runs = Llama<float, Cpu, Stored<user::SalientForm>>;

template <class T>
Trained<T> tiny(Index vocab_size = 37) {
  Llama<T> dense(tiny_config(vocab_size));
  initialise(dense, 3, 0.3);
  return quantise<user::Salient>(dense);
}

/// A run that is killed after so many steps.
struct Killed : std::runtime_error {
  using runtime_error::runtime_error;
};
struct KillAt : RunLog {
  RunFolder& folder;
  Index last;
  KillAt(RunFolder& kept, Index step) : folder(kept), last(step) {}
  void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override {
    folder.report(phase, step, steps, metrics);
    if (step == last) throw Killed("");
  }
  [[nodiscard]] bool wants_checkpoint(Index step, Index steps) override { return folder.wants_checkpoint(step, steps); }
  void save(std::string_view phase, const TrainingState& state) override { folder.save(phase, state); }
  [[nodiscard]] bool restore(std::string_view phase, TrainingState& state) override {
    return folder.restore(phase, state);
  }
};

/// Twelve steps, or as many of them as there are before the run is killed.
void train_in(const std::filesystem::path& path, Trained<float>& model, Index killed_at, bool resume = false) {
  const TrainingOptions options{.tokens = 12 * 2 * 16, .batch = 2, .context = 16, .report_every = 1};
  RunFolder folder(path, R"({"seed":1})", {.resume = resume, .checkpoint_every = 4});
  KillAt log(folder, killed_at);
  Phase phase("salient");
  train(model, byte_stories(), options, phase, log);
}

}  // namespace

TEST_CASE("salient: a tenth of each row stands as it is, the rest is S sgn W") {
  const Tensor<float> w = normal_tensor<float>({2, 20}, 1);
  user::Salient::Parameters<float, Cpu> layer({}, {.out = 2, .in = 20});
  Tensor<float> values(Shape{2, 20}), scales(Shape{2}), wb(Shape{2, 20});
  layer.weight.value = values.view(), layer.scale.value = scales.view();
  layer.start(read(w.view()));
  Tape<> tape;
  const StepScalars<Cpu> scalars;
  Pass<float, Cpu> pass{tape, scalars};
  layer.effective(pass).forward(tape, wb.view());
  for (Index i = 0; i < 2; ++i) {
    std::vector<float> kept, rest;
    for (Index j = 0; j < 20; ++j) {
      const float value = w.view().row(i)[j];
      const bool salient = layer.mask.view().row(i)[j] == 1;
      (salient ? kept : rest).push_back(std::abs(value));
      CHECK(wb.view().row(i)[j] == doctest::Approx(salient ? value : std::copysign(scales.view().data[i], value)));
    }
    CHECK(kept.size() == 2);
    CHECK(*std::min_element(kept.begin(), kept.end()) >= *std::max_element(rest.begin(), rest.end()));
    CHECK(scales.view().data[i] == doctest::Approx(std::accumulate(rest.begin(), rest.end(), 0.0f) / 18));
  }
}

TEST_CASE("salient: gradients of everything but W are those of finite differences, and of W where it is salient") {
  auto model = tiny<double>();
  disturb(model);
  check_gradients(model, 0, [](const std::string& name) { return !name.ends_with("_proj.weight"); });
  // Where every weight is salient the layer is dense, and so is its gradient.
  for (const auto& named : linear_layers(model)) named.linear->mask.view().flat().setConstant(1);
  check_gradients(model, 0, [](const std::string& name) { return name.ends_with("_proj.weight"); });
}

TEST_CASE("salient: saved with its mask, loaded, stored, and run") {
  const TemporaryFolder folder;
  auto model = tiny<float>();
  disturb(model, 0.05);
  const auto ids = random_ids({1, 9}, 37, 4);
  const auto logits = logits_of(model, ids.view());
  save(model, folder / "trained");
  const auto again = load_model<Trained<float>>(folder / "trained");
  CHECK(tensors_of(again) == tensors_of(model));
  CHECK(tensors_of(again).contains("model.layers.1.mlp.up_proj.mask"));
  CHECK(same_bits(logits_of(again, ids.view()).view(), logits.view()));

  const auto stored = store(model);
  save(stored, folder / "stored");
  const auto runs = load_model<Runs>(folder / "stored");
  CHECK(tensors_of(runs) == tensors_of(stored));
  CHECK(same_bits(logits_of(runs, ids.view()).view(), logits_of(stored, ids.view()).view()));
  CHECK(same_bits(logits_of(unpack(runs), ids.view()).view(), logits_of(stored, ids.view()).view()));
  const double largest = logits.view().flat().abs().maxCoeff();
  CHECK(largest_difference(logits_of(runs, ids.view()), logits) < 0.02 * largest);  // eight bits
  CHECK(largest_difference(decoded_logits(runs, ids.view()), logits_of(runs, ids.view())) < 1e-5);
}

TEST_CASE("salient: a killed run that is resumed ends bit for bit as one that was not, mask and all") {
  const TemporaryFolder folder;
  auto straight = tiny<float>(256), killed = tiny<float>(256), resumed = tiny<float>(256);
  train_in(folder / "straight", straight, 0);
  CHECK_THROWS_AS(train_in(folder / "killed", killed, 6), Killed);
  for (const auto& named : linear_layers(resumed)) named.linear->mask.view().flat().setZero();  // the checkpoint has it
  train_in(folder / "killed", resumed, 0, true);
  CHECK(tensors_of(resumed) == tensors_of(straight));
  CHECK(tensors_of(killed) != tensors_of(straight));
}

TEST_CASE("salient: stories260K trains, and its stored form runs at a few bits a weight") {
  auto real = stories260k();
  if (!real) return;
  auto model = quantise<user::Salient>(real->model);
  CHECK(fall(short_training(model, real->corpus, 24, 1e-3)) < 0.9);
  const TemporaryFolder folder;
  const auto runs = store(model);
  save(runs, folder.path(), {.tokenizer = &real->tokenizer});
  CHECK(bit_counts(folder.path(), known_of<Runs>()).block_linears_with_scales < 4);
  const auto [loaded, tokenizer] = load_pretrained<Runs>(folder.path());
  const PerplexityOptions options{.context = 64, .max_windows = 8};
  const double trained = evaluate_perplexity(model, real->corpus, options).nll;
  CHECK(evaluate_perplexity(loaded, real->corpus, options).nll == doctest::Approx(trained).epsilon(0.01));
  CHECK(!generate(loaded, tokenizer, "Once", {.max_tokens = 5}).empty());
}
