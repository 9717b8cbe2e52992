// SPDX-License-Identifier: MIT
/// The communicator of CPUs: sums in the order of ranks, over any transport, beside the thread that computes. Link
/// binllm::ranks.
#pragma once
#include <binllm/ranks/any_communicator.hpp>
#include <binllm/ranks/rendezvous.hpp>
#include <binllm/ranks/transport.hpp>
#include <binllm/ranks/work_queue.hpp>

#include <exception>
#include <memory>
#include <vector>

namespace binllm {

/// Of n ranks, each sends to each other its share of a block, adds up what it got in the order of ranks, and sends the
/// sum to all: 2 (n - 1) / n of the block's bytes out, and as many in. So sums have the same bits on all ranks.
class HostRanks final : public AnyCommunicator::Interface {
 public:
  HostRanks(std::unique_ptr<Rendezvous> rendezvous, std::unique_ptr<Transport> transport)
      : rendezvous_(std::move(rendezvous)), transport_(std::move(transport)) {}
  ~HostRanks() override {
    fail_if_unwinding();
    rendezvous_->leave();  // before MPI waits for the others
  }

  [[nodiscard]] Index rank() const override { return rendezvous_->rank(); }
  [[nodiscard]] Index size() const override { return rendezvous_->size(); }
  /// Errors, of all three: shape_mismatch for a block of a GPU's memory.
  Work sum(const CommunicatedBlock& block) override;
  Work sum_share(const CommunicatedBlock& block) override;
  Work gather_shares(const CommunicatedBlock& block) override;
  void finish(Work work) override;
  void finish() override { finish(queue_.begun()); }
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes) override { return rendezvous_->gather(bytes); }
  [[nodiscard]] std::string broadcast(std::string_view bytes) override {
    return rendezvous_->gather(rank() == 0 ? bytes : std::string_view())[0];
  }
  void fail(std::string_view why) noexcept override { rendezvous_->fail(why); }
  void check() const override { rendezvous_->check(); }
  void defer_exit(bool on) noexcept override { rendezvous_->defer_exit(on); }
  /// In the destructor of who holds it: where an error is the reason, the others are told, since they wait.
  void fail_if_unwinding() noexcept {
    if (std::uncaught_exceptions() > exceptions_) fail("one that ended by an error");
  }
  /// Who watches over the ranks; GPUs are told to it.
  [[nodiscard]] Rendezvous& rendezvous() noexcept { return *rendezvous_; }

 private:
  void add_up(const CommunicatedBlock& block);
  void send_shares(const CommunicatedBlock& block);
  [[nodiscard]] std::span<std::byte> share(const CommunicatedBlock& block, Index rank) const;

  int exceptions_ = std::uncaught_exceptions();  ///< on their way when it was made
  std::unique_ptr<Rendezvous> rendezvous_;
  std::unique_ptr<Transport> transport_;
  std::uint64_t exchanges_ = 0;
  std::vector<std::byte> received_;
  WorkQueue queue_;  // the last: its thread uses the others
};

}  // namespace binllm
