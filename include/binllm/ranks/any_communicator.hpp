// SPDX-License-Identifier: MIT
/// A communicator that is chosen at run time: for programs, which would have to be compiled once for each otherwise.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/core/error.hpp>
#include <binllm/device/cuda.hpp>
#include <binllm/ranks/communicator.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace binllm {

/// A writable view without its types: what a communicator that stands behind AnyCommunicator is given.
struct CommunicatedBlock {
  void* data = nullptr;
  Index size = 0;            ///< in elements
  DType dtype = DType::f32;  ///< f64, f32, bf16, or u8, which can be gathered alone
  bool on_gpu = false;       ///< in the memory of a GPU
  [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(size) * bytes_per_element(dtype); }
};

template <class T, class Device>
[[nodiscard]] CommunicatedBlock communicated(View<T, Device> view) noexcept {
  static_assert(std::is_same_v<T, double> || std::is_same_v<T, float> || std::is_same_v<T, bf16> ||
                std::is_same_v<T, std::uint8_t>);
  constexpr DType dtype = std::is_same_v<T, double>  ? DType::f64
                          : std::is_same_v<T, float> ? DType::f32
                          : std::is_same_v<T, bf16>  ? DType::bf16
                                                     : DType::u8;
  return {view.data, view.size(), dtype, std::is_same_v<Device, Cuda>};
}

/// Shared by its copies; without another, a trainer on its own. What the calls mean stands at `Communicator`.
class AnyCommunicator {
 public:
  /// What stands behind it.
  struct Interface {
    virtual ~Interface() = default;
    [[nodiscard]] virtual Index rank() const = 0;
    [[nodiscard]] virtual Index size() const = 0;
    virtual Work sum(const CommunicatedBlock& block) = 0;
    virtual Work sum_share(const CommunicatedBlock& block) = 0;
    virtual Work gather_shares(const CommunicatedBlock& block) = 0;
    virtual void finish(Work work) = 0;
    virtual void finish() = 0;
    /// Everyone's bytes, on all ranks: the other calls on host data are made of it.
    [[nodiscard]] virtual std::vector<std::string> gather(std::string_view bytes) = 0;
    [[nodiscard]] virtual std::string broadcast(std::string_view bytes) = 0;
    /// Tells all other ranks that this one ends, and why; they end too. Never throws, and returns without delay.
    virtual void fail(std::string_view why) noexcept = 0;
    /// Throws if a rank has failed. Errors: rank_failed.
    virtual void check() const {}
    /// Whether this rank does something, a save, that a failure of another should not cut off by ending this process.
    virtual void defer_exit(bool /*on*/) noexcept {}
  };

  AnyCommunicator() = default;
  explicit AnyCommunicator(std::shared_ptr<Interface> made) : made_(std::move(made)) {}

  [[nodiscard]] Index rank() const { return made_ ? made_->rank() : 0; }
  [[nodiscard]] Index size() const { return made_ ? made_->size() : 1; }
  template <class T, class Device>
  Work sum(View<T, Device> view) const {
    return made_ ? made_->sum(communicated(view)) : 0;
  }
  template <class T, class Device>
  Work sum_share(View<T, Device> view) const {
    return made_ ? made_->sum_share(communicated(view)) : 0;
  }
  template <class T, class Device>
  Work gather_shares(View<T, Device> view) const {
    return made_ ? made_->gather_shares(communicated(view)) : 0;
  }
  void finish(Work work) const {
    if (made_) made_->finish(work);
  }
  void finish() const {
    if (made_) made_->finish();
  }
  /// Added up from rank 0 on.
  [[nodiscard]] double sum(double number) const;
  [[nodiscard]] std::string broadcast(std::string_view bytes) const {
    return made_ ? made_->broadcast(bytes) : std::string(bytes);
  }
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes) const {
    return made_ ? made_->gather(bytes) : std::vector<std::string>{std::string(bytes)};
  }
  void barrier() const {
    if (made_) (void)made_->gather({});
  }
  void fail(std::string_view why) const noexcept {
    if (made_) made_->fail(why);
  }
  void check() const {
    if (made_) made_->check();
  }
  void defer_exit(bool on) const noexcept {
    if (made_) made_->defer_exit(on);
  }

 private:
  std::shared_ptr<Interface> made_;
};

inline double AnyCommunicator::sum(double number) const {
  if (!made_) return number;
  double total = 0;
  for (const std::string& bytes : made_->gather({reinterpret_cast<const char*>(&number), sizeof number})) {
    double one = 0;
    bytes.copy(reinterpret_cast<char*>(&one), sizeof one);
    total += one;
  }
  return total;
}
static_assert(Communicator<AnyCommunicator>);

/// Refuses ranks that were started with something else than rank 0: another text of the same `what` ("options").
/// Errors: rank_failed on all ranks, naming those that differ.
template <Communicator C>
void require_same(C& communicator, std::string_view what, std::string_view text) {
  const std::vector<std::string> all = communicator.gather(text);
  std::string differing;
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] != all[0]) differing += fmt::format("{}{}", differing.empty() ? "" : ", ", rank);
  }
  if (differing.empty()) return;
  throw Error(ErrorId::rank_failed, "ranks", what, fmt::format("the same on all {} ranks", all.size()),
              fmt::format("others on rank {} than on rank 0", differing));
}

}  // namespace binllm
