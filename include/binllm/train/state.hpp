// SPDX-License-Identifier: MIT
/// What a training keeps to go on from, by name: each parameter, what the optimiser has for it, each buffer.
#pragma once
#include <binllm/nn/parameter_block.hpp>
#include <binllm/train/run.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace binllm::detail {

/// Blocks of a training state. Memory of a device that the host cannot read has a mirror on the host, filled for as long
/// as a state is saved or restored.
template <class Device>
class StateBlocks {
 public:
  /// One block for each buffer of a model.
  template <class Model>
  void add_buffers(TrainingState& state, const Model& model) {
    for (const NamedBuffer& buffer : buffers(model)) {
      memory_.push_back({buffer.data, buffer.bytes, {}});
      add_piece(state, "buffers/" + buffer.name, 0, buffer.bytes);
    }
  }
  /// A block for each of the parameters whose values lie in `block`; `tensor` mirrors it, or is the values themselves.
  /// Builds before 0.1.0 wrote one block of that name for all of them, in the order of ParameterBlock::in_order.
  template <class Model, class X>
  void add(TrainingState& state, std::string_view name, const Model& model, Tensor<X, Device>& tensor) {
    const auto& block = model.block;
    const Index held = tensor.size();
    memory_.push_back({tensor.view().data, bytes_of<X>(held), {}});
    TrainingState::Former former{std::string(name), 0, {}};
    for (const bool decays : {true, false}) {
      for (const auto& [parameter_name, parameter] : named_parameters(model)) {
        const Index at = parameter->value.data - block.values.view().data;
        const bool here = at >= 0 && at < held;  // not borrowed, and not frozen where those have no such state
        if (!here || parameter->rule.decays != decays) continue;
        former.pieces.push_back({state.blocks.size(), former.bytes});
        former.bytes += bytes_of<X>(block.aligned(parameter->size()));
        add_piece(state, std::string(name) + "/" + parameter_name, bytes_of<X>(at), bytes_of<X>(parameter->size()));
      }
    }
    state.former.push_back(std::move(former));
  }

  /// Saves, with the blocks readable.
  void save(RunLog& log, std::string_view phase, TrainingState& state) {
    const Mirrors mirrors(*this, state);
    mirrors.move(/*to_host=*/true);
    log.save(phase, state);
  }
  /// Shows values and buffers of what is named `beginning...`. Copies no others, since a state has gigabytes.
  void look(RunLog& log, std::string_view phase, const TrainingState& state, std::string_view beginning) const {
    TrainingState some;
    some.counters = state.counters;
    std::vector<Tensor<std::uint8_t>> mirrors;
    for (const auto& block : state.blocks) {
      const std::string_view name = block.name;
      const auto slash = name.find('/');
      if (slash == name.npos || !name.substr(slash + 1).starts_with(beginning)) continue;
      if (name.substr(0, slash) != "values" && name.substr(0, slash) != "buffers") continue;
      some.blocks.push_back(block);
      if constexpr (!host_accessible<Device>) {
        mirrors.emplace_back(Shape{static_cast<Index>(block.bytes)});
        some.blocks.back().data = mirrors.back().view().data;
        Backend<Device>::copy(some.blocks.back().data, block.data, block.bytes);
      }
    }
    if (!mirrors.empty()) Backend<Device>::synchronise();
    log.look(phase, some);
  }
  [[nodiscard]] bool restore(RunLog& log, std::string_view phase, TrainingState& state) {
    const Mirrors mirrors(*this, state);
    if (!log.restore(phase, state)) return false;
    mirrors.move(/*to_host=*/false);
    return true;
  }

 private:
  struct Piece {
    std::size_t block, offset;
  };
  struct Memory {
    void* data;
    std::size_t bytes;
    std::vector<Piece> pieces;
  };
  template <class X>
  [[nodiscard]] static std::size_t bytes_of(Index elements) noexcept {
    return static_cast<std::size_t>(elements) * sizeof(X);
  }
  void add_piece(TrainingState& state, std::string name, std::size_t offset, std::size_t bytes) {
    memory_.back().pieces.push_back({state.blocks.size(), offset});
    state.blocks.push_back({std::move(name), static_cast<std::byte*>(memory_.back().data) + offset, bytes});
  }

  /// The blocks point to the host's memory while it lives.
  class Mirrors {
   public:
    Mirrors(const StateBlocks& blocks, TrainingState& state) : blocks_(blocks), state_(state) {
      if constexpr (!host_accessible<Device>) {
        for (const Memory& memory : blocks_.memory_) {
          mirrors_.emplace_back(Shape{static_cast<Index>(memory.bytes)});
          point(memory, mirrors_.back().view().data);
        }
      }
    }
    ~Mirrors() {
      for (const Memory& memory : blocks_.memory_) point(memory, memory.data);
    }
    Mirrors(const Mirrors&) = delete;
    Mirrors& operator=(const Mirrors&) = delete;
    void move(bool to_host) const {
      for (std::size_t i = 0; i < mirrors_.size(); ++i) {
        const Memory& memory = blocks_.memory_[i];
        void* const mirror = const_cast<std::uint8_t*>(mirrors_[i].view().data);
        Backend<Device>::copy(to_host ? mirror : memory.data, to_host ? memory.data : mirror, memory.bytes);
      }
      if (!mirrors_.empty()) Backend<Device>::synchronise();
    }

   private:
    void point(const Memory& memory, void* data) const {
      for (const Piece& piece : memory.pieces)
        state_.blocks[piece.block].data = static_cast<std::byte*>(data) + piece.offset;
    }
    const StateBlocks& blocks_;
    TrainingState& state_;
    std::vector<Tensor<std::uint8_t>> mirrors_;
  };

  std::vector<Memory> memory_;
};

}  // namespace binllm::detail
