// SPDX-License-Identifier: MIT
/// What objectives read of a forward pass: the final hidden states, and those behind some of the blocks.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/nn/pass.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace binllm {

/// A model that runs block by block and knows its head.
template <class M>
concept RunsInBlocks = requires(M model, Pass<typename M::value_type, typename M::device> pass, Index i,
                                View<const std::int32_t, typename M::device> ids,
                                Variable<typename M::value_type, typename M::device> h) {
  model.embed(pass, ids);
  { model.blocks() } -> std::convertible_to<Index>;
  model.run_block(pass, i, h);
  model.finish(pass, h);
  model.hidden(pass, ids);
  model.head(pass);
};

/// Hidden states (B,T,C) behind 0 blocks (the embedding), 1, 2, ..., in the order asked for; and after the final norm.
template <class T, class Device>
struct ForwardStates {
  std::vector<Variable<T, Device>> behind;
  Variable<T, Device> final;
};

/// One pass through a model. `wanted` names states by the number of blocks before them; where the tape does not record,
/// the others are forgotten. Errors: index_out_of_range (a model with fewer blocks), those of the model.
template <RunsInBlocks Model, class T, class Device>
[[nodiscard]] ForwardStates<T, Device> hidden_states(Pass<T, Device>& pass, Model& model,
                                                     View<const std::int32_t, Device> ids,
                                                     std::span<const Index> wanted) {
  for (const Index state : wanted) {
    if (state >= 0 && state <= model.blocks()) continue;
    throw Error(ErrorId::index_out_of_range, "hidden_states", "wanted", message("0 to {} blocks", model.blocks()),
                message("{}", state));
  }
  if (wanted.empty()) return {{}, model.hidden(pass, ids)};
  std::vector<Variable<T, Device>> behind(wanted.size(), model.embed(pass, ids));
  Variable<T, Device> h = behind.front();
  for (Index done = 0;; ++done) {
    const bool kept = std::find(wanted.begin(), wanted.end(), done) != wanted.end();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == done) behind[i] = h;
    }
    const auto next = done < model.blocks() ? model.run_block(pass, done, h) : model.finish(pass, h);
    if (!kept) forget_unless_recording(h);
    if (done == model.blocks()) return {std::move(behind), next};
    h = next;
  }
}

}  // namespace binllm
