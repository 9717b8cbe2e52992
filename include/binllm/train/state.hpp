// SPDX-License-Identifier: MIT
/// What a training keeps to go on from, by name: each parameter, what the optimiser has for it, each buffer. Ranks that
/// divide something put it together for rank 0, which alone saves and restores: a state does not show how many ranks
/// there were.
#pragma once
#include <binllm/nn/parameter_block.hpp>
#include <binllm/ranks/parallel.hpp>
#include <binllm/train/run.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace binllm::detail {

/// Blocks of a training state. Memory that the host of rank 0 cannot read, or that is divided, has a mirror there, filled
/// for as long as a state is saved or restored.
template <class Device, Communicator C = Alone>
class StateBlocks {
 public:
  /// What rank 0 restores is sent in slices of so many bytes: ranks send each other small data of the host that way, and
  /// a layer may have gigabytes.
  explicit StateBlocks(C ranks = {}, std::size_t slice = std::size_t{1} << 24)
      : ranks_(std::move(ranks)), slice_(slice) {}

  /// One block for each buffer of a model.
  template <class Model>
  void add_buffers(TrainingState& state, const Model& model) {
    for (const NamedBuffer& buffer : buffers(model)) {
      memory_.push_back({buffer.data, buffer.bytes, {}, {}, nullptr});
      add_piece(state, memory_.size() - 1, "buffers/" + buffer.name, 0, buffer.bytes);
    }
  }
  /// A block for each of the parameters whose values lie in the model's block; `kept` mirrors it, or is the values
  /// themselves, or holds this rank's shares of such a mirror, those of each unit from `shares_begin` on. Frozen
  /// parameters have no shares: their values are in `frozen`, or not in the state.
  /// Builds before 0.1.0 wrote one block of that name for all of them, in the order of ParameterBlock::in_order.
  template <class Model, class X>
  void add(TrainingState& state, std::string_view name, const Model& model, View<X, Device> kept,
           const std::vector<Index>& shares_begin = {}, View<X, Device> frozen = {nullptr, Shape{0}}) {
    const auto& block = model.block;
    const Index held = shares_begin.empty() ? kept.size() : block.trained;
    const Index end = held + frozen.size();
    const std::size_t memory = memory_.size();
    memory_.push_back({kept.data, bytes_of<X>(held), {}, {}, [](C& ranks, void* data, std::size_t bytes) {
                         const auto elements = static_cast<Index>(bytes / sizeof(X));
                         static_cast<void>(
                             ranks.gather_shares(View<X, Device>(static_cast<X*>(data), Shape{elements})));
                         ranks.finish();
                       }});
    note_parts<X>(block.units, shares_begin);
    if (frozen.size() > 0) memory_.push_back({frozen.data, bytes_of<X>(frozen.size()), {}, {}, nullptr});
    TrainingState::Former former{std::string(name), 0, {}};
    for (const bool decays : {true, false}) {
      for (const auto& [parameter_name, parameter] : named_parameters(model)) {
        const Index at = parameter->value.data - block.values.view().data;
        const bool here = at >= 0 && at < end;  // not borrowed, and not frozen where those have no such state
        if (!here || parameter->rule.decays != decays) continue;
        former.pieces.push_back({state.blocks.size(), former.bytes});
        former.bytes += bytes_of<X>(block.aligned(parameter->size()));
        add_piece(state, memory + (at < held ? 0 : 1), std::string(name) + "/" + parameter_name,
                  bytes_of<X>(at < held ? at : at - held), bytes_of<X>(parameter->size()));
      }
    }
    state.former.push_back(std::move(former));
  }

  /// Saves, with the blocks readable. All ranks call it.
  void save(RunLog& log, std::string_view phase, TrainingState& state) {
    const Mirrors mirrors(*this, state);
    mirrors.fill();
    if (!first()) return;
    const ExitDeferred deferred(ranks_);
    log.save(phase, state);
  }
  /// Shows values and buffers of what is named `beginning...`, of a model that has all of its values. Copies no others,
  /// since a state has gigabytes.
  template <class Model>
  void look(RunLog& log, std::string_view phase, const TrainingState& state, const Model& model,
            std::string_view beginning) const {
    TrainingState some;
    some.counters = state.counters;
    std::vector<Tensor<std::uint8_t>> mirrors;
    const auto show = [&](std::string name, const void* data, std::size_t bytes) {
      some.blocks.push_back({std::move(name), const_cast<void*>(data), bytes});
      if constexpr (!host_accessible<Device>) {
        mirrors.emplace_back(Shape{static_cast<Index>(bytes)});
        some.blocks.back().data = mirrors.back().view().data;
        Backend<Device>::copy(some.blocks.back().data, data, bytes);
      }
    };
    for (const auto& [name, parameter] : named_parameters(model)) {
      if (!name.starts_with(beginning)) continue;
      show("values/" + name, parameter->value.data, bytes_of<typename Model::Master>(parameter->size()));
    }
    for (const NamedBuffer& buffer : buffers(model))
      if (buffer.name.starts_with(beginning)) show("buffers/" + buffer.name, buffer.data, buffer.bytes);
    if (!mirrors.empty()) Backend<Device>::synchronise();
    log.look(phase, some);
  }
  /// What rank 0 finds, on all ranks.
  [[nodiscard]] bool restore(RunLog& log, std::string_view phase, TrainingState& state) {
    const Mirrors mirrors(*this, state);
    if (!of_first_rank(ranks_, first() && log.restore(phase, state))) return false;
    mirrors.spread();
    for (std::size_t i = blocks_; i < state.blocks.size(); ++i)  // of others, on the host
      spread(state.blocks[i].data, whole(state.blocks[i].bytes), state.blocks[i].data);
    for (const TrainingState::Counter& counter : state.counters) *counter.value = of_first_rank(ranks_, *counter.value);
    return true;
  }

 private:
  /// Where a block of the state lies in the memory.
  struct Piece {
    std::size_t block, offset;
  };
  /// What is put together at a time of memory that is divided: bytes [offset, offset + bytes), of which this rank has
  /// [begin, begin + size) at `own`.
  struct Part {
    std::size_t offset, bytes, begin, size, own;
  };
  struct Memory {
    void* data;
    std::size_t bytes;
    std::vector<Piece> pieces;
    std::vector<Part> parts;  ///< empty where the memory is whole
    void (*gather)(C&, void* data, std::size_t bytes);
    [[nodiscard]] bool divided() const noexcept { return !parts.empty(); }
  };
  template <class X>
  [[nodiscard]] static std::size_t bytes_of(Index elements) noexcept {
    return static_cast<std::size_t>(elements) * sizeof(X);
  }
  [[nodiscard]] bool first() const { return ranks_.rank() == 0; }
  void add_piece(TrainingState& state, std::size_t memory, std::string name, std::size_t offset, std::size_t bytes) {
    memory_[memory].pieces.push_back({state.blocks.size(), offset});
    state.blocks.push_back({std::move(name), at(memory_[memory].data, offset), bytes});
    blocks_ = state.blocks.size();
  }
  template <class X>
  void note_parts(const std::vector<ParameterUnit>& units, const std::vector<Index>& shares_begin) {
    for (std::size_t i = 0; i < shares_begin.size(); ++i) {
      const Share share = share_of(units[i].size(), ranks_.rank(), ranks_.size());
      memory_.back().parts.push_back({bytes_of<X>(units[i].begin), bytes_of<X>(units[i].size()),
                                      bytes_of<X>(share.begin), bytes_of<X>(share.size), bytes_of<X>(shares_begin[i])});
    }
  }
  [[nodiscard]] static std::byte* at(void* data, std::size_t offset) noexcept {
    return static_cast<std::byte*>(data) + offset;
  }
  [[nodiscard]] static Part whole(std::size_t bytes) noexcept { return {0, bytes, 0, bytes, 0}; }
  /// A part of what rank 0 has on its host `here`, to `data` of all ranks, of which each takes its own.
  void spread(const void* here, const Part& part, void* data, bool on_device = false) {
    if (ranks_.size() == 1) return;
    for (std::size_t from = 0; from < part.bytes; from += slice_) {
      const std::size_t bytes = std::min(slice_, part.bytes - from);
      const auto* const slice = static_cast<const char*>(here) + part.offset + from;
      const std::string theirs = ranks_.broadcast({first() ? slice : nullptr, first() ? bytes : 0});
      const std::size_t begin = std::max(from, part.begin), end = std::min(from + bytes, part.begin + part.size);
      if (begin >= end) continue;
      std::byte* const to = at(data, part.own + begin - part.begin);
      if (on_device) {
        Backend<Device>::copy(to, theirs.data() + (begin - from), end - begin);
        Backend<Device>::synchronise();  // before the bytes go
      } else {
        std::memcpy(to, theirs.data() + (begin - from), end - begin);
      }
    }
  }

  /// The blocks of rank 0 point to the host's memory while it lives.
  class Mirrors {
   public:
    Mirrors(StateBlocks& blocks, TrainingState& state) : blocks_(blocks), state_(state) {
      for (const Memory& memory : blocks_.memory_) {
        const bool wanted = blocks_.first() && (memory.divided() || !host_accessible<Device>);
        mirrors_.emplace_back(Shape{wanted ? static_cast<Index>(memory.bytes) : 0});
        if (wanted) point(memory, mirrors_.back().view().data);
      }
    }
    ~Mirrors() {
      for (const Memory& memory : blocks_.memory_) point(memory, memory.data);
    }
    Mirrors(const Mirrors&) = delete;
    Mirrors& operator=(const Mirrors&) = delete;
    /// What there is, to the host of rank 0.
    void fill() const {
      for (std::size_t i = 0; i < mirrors_.size(); ++i) {
        Memory& memory = blocks_.memory_[i];
        void* const mirror = mirror_of(i);
        if (memory.divided()) {
          put_together(memory, mirror);
        } else if (mirror != nullptr) {
          copy(mirror, memory.data, memory.bytes);
        }
      }
      Backend<Device>::synchronise();
    }
    /// What the host of rank 0 has, to everybody's device.
    void spread() const {
      for (std::size_t i = 0; i < mirrors_.size(); ++i) {
        const Memory& memory = blocks_.memory_[i];
        void* const mirror = mirror_of(i);
        if (blocks_.ranks_.size() == 1) {
          if (mirror != nullptr) copy(memory.data, mirror, memory.bytes);
          continue;
        }
        const std::vector<Part> undivided{whole(memory.bytes)};
        for (const Part& part : memory.divided() ? memory.parts : undivided)
          blocks_.spread(mirror != nullptr ? mirror : memory.data, part, memory.data, /*on_device=*/true);
      }
      Backend<Device>::synchronise();
    }

   private:
    static void copy(void* to, const void* from, std::size_t bytes) {
      if (bytes > 0) Backend<Device>::copy(to, from, bytes);
    }
    /// Null where the host's memory is the memory itself, and on other ranks.
    [[nodiscard]] void* mirror_of(std::size_t i) const {
      return mirrors_[i].size() > 0 ? const_cast<std::uint8_t*>(mirrors_[i].view().data) : nullptr;
    }
    void put_together(Memory& memory, void* mirror) const {
      const auto largest = std::max_element(memory.parts.begin(), memory.parts.end(),
                                            [](const Part& a, const Part& b) { return a.bytes < b.bytes; });
      Tensor<std::uint8_t, Device> whole(Shape{static_cast<Index>(largest->bytes)});
      std::uint8_t* const data = whole.view().data;
      for (const Part& part : memory.parts) {
        copy(data + part.begin, at(memory.data, part.own), part.size);
        memory.gather(blocks_.ranks_, data, part.bytes);
        if (mirror != nullptr) copy(at(mirror, part.offset), data, part.bytes);
      }
      Backend<Device>::synchronise();
    }
    void point(const Memory& memory, void* data) const {
      for (const Piece& piece : memory.pieces) state_.blocks[piece.block].data = at(data, piece.offset);
    }
    StateBlocks& blocks_;
    TrainingState& state_;
    std::vector<Tensor<std::uint8_t>> mirrors_;
  };

  C ranks_;
  std::size_t slice_;
  std::vector<Memory> memory_;
  std::size_t blocks_ = 0;  ///< of the state that lie in `memory_`
};

}  // namespace binllm::detail
