// SPDX-License-Identifier: MIT
#include "support/any_model.hpp"
#include "support/errors.hpp"

#include <binllm/models/walk_blocks.hpp>

#include <doctest/doctest.h>

#include <map>
#include <tuple>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

Llama<float> small() {
  Llama<float> model(tiny_config());
  initialise(model, 3, 0.3);
  return model;
}
Tensor<std::int32_t> windows() { return random_ids({3, 6}, 37, 1); }

using Seen = std::map<std::pair<Index, Role>, std::vector<float>>;

void note(Seen& seen, Index block, Role role, View<const float> x) {
  auto& values = seen[{block, role}];
  values.insert(values.end(), x.data, x.data + x.size());
}

/// What enters the linear layers of a model that runs by itself.
Seen inputs_of(const Llama<float>& model, View<const std::int32_t> ids) {
  struct Observer : InputObserver<float, Cpu> {
    Seen seen;
    void see(Index layer, Role role, Variable<float, Cpu> x) override { note(seen, layer, role, read(x.value())); }
  } observer;
  for (Index i = 0; i < ids.rows(); ++i) {
    Tape<> tape;
    const NoGrad<Cpu> pause(tape);
    const StepScalars<Cpu> scalars;
    Pass<float, Cpu> pass{tape, scalars, nullptr, false, &observer};
    static_cast<void>(model.hidden(pass, ids.middle_rows(i, 1)).value());
  }
  return observer.seen;
}

}  // namespace

TEST_CASE("walk_blocks calls the method for the linear layers of each role, in order, with their names") {
  auto model = small();
  std::vector<std::tuple<Index, Role, std::string>> called;
  walk_blocks(model, windows().view(), [&](auto& step) {
    for (const auto& [name, linear] : step.linears) {
      CHECK(linear->shape.role == step.role);
      called.emplace_back(step.block, step.role, name);
    }
  });
  REQUIRE(called.size() == 14);
  const std::vector<std::string> names{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                       "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  for (std::size_t i = 0; i < called.size(); ++i) {
    CHECK(std::get<0>(called[i]) == static_cast<Index>(i / 7));
    CHECK(std::get<2>(called[i]) == "model.layers." + std::to_string(i / 7) + "." + names[i % 7]);
  }
}

TEST_CASE("the method sees the inputs of the model before the walk, and those of the model that it leaves behind") {
  auto model = small();
  const auto ids = windows();
  const Seen before = inputs_of(model, read(ids.view()));
  const Tensor<float> last = host(model.layers.back().mlp.down_proj.weight.value);
  Seen full, present;
  walk_blocks(model, read(ids.view()), [&](auto& step) {
    step.for_each_input([&](View<const float> f, View<const float> p) {
      CHECK(f.shape == p.shape);
      note(full, step.block, step.role, f), note(present, step.block, step.role, p);
    });
    for (const auto& named : step.linears) named.linear->weight.value.flat() *= 0.5f;
  });
  CHECK(full == before);
  CHECK(present == inputs_of(model, read(ids.view())));
  CHECK(full != present);
  CHECK((model.layers.back().mlp.down_proj.weight.value.flat() == 0.5f * last.view().flat()).all());
}

TEST_CASE("a method that changes nothing sees the same inputs twice, however many windows run together") {
  const auto ids = windows();
  for (const Index together : {1, 2, 3, 5}) {
    auto model = small();
    const auto untouched = host(model.block.values.view());
    Seen full, present;
    Index rows = 0;
    walk_blocks(model, read(ids.view()),
                [&](auto& step) {
                  step.for_each_input([&](View<const float> f, View<const float> p) {
                    rows += f.rows();
                    note(full, step.block, step.role, f), note(present, step.block, step.role, p);
                  });
                },
                {.windows_at_once = together});
    CHECK(rows == 2 * 4 * 3 * 6);
    CHECK(full == present);
    CHECK(same_bits(model.block.values.view(), untouched.view()));
  }
}

TEST_CASE("walk_blocks changes parameters and buffers of a quantised model alike") {
  const auto dense = small();
  auto model =
      binarize<Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>>(dense);
  const auto ids = windows();
  float largest = 0;
  walk_blocks(model, read(ids.view()), [&](auto& step) {
    for (const auto& named : step.linears) named.linear->scale.value.flat() *= 1.5f;
    step.for_each_input([&](View<const float> f, View<const float> p) {
      if (step.block == 1) largest = std::max(largest, (f.flat() - p.flat()).abs().maxCoeff());
    });
  });
  CHECK(largest > 0);
  CHECK((model.layers[1].mlp.up_proj.scale.value.flat() == 1.5f).all());
}

TEST_CASE("walk_blocks refuses calibration data that it cannot run") {
  auto model = small();
  const auto walk = [&](Shape shape, Index bound = 37, Index together = 1) {
    const auto ids = random_ids(shape, bound, 1);
    return id_of([&] { walk_blocks(model, read(ids.view()), [](auto&) {}, {.windows_at_once = together}); });
  };
  CHECK(walk({6}) == ErrorId::rank_unsupported);
  CHECK(walk({0, 6}) == ErrorId::empty_tensor);
  CHECK(walk({2, 6}, 3700) == ErrorId::token_out_of_range);
  CHECK(walk({2, 33}) == ErrorId::index_out_of_range);
  CHECK(walk({2, 6}, 37, 0) == ErrorId::option_out_of_range);
}
