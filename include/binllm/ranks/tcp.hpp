// SPDX-License-Identifier: MIT
/// Ranks of CPUs without MPI: a TCP connection between any two of them. Link binllm::ranks.
#pragma once
#include <binllm/ranks/rendezvous.hpp>
#include <binllm/ranks/transport.hpp>

#include <vector>

namespace binllm {

class Tcp final : public Transport {
 public:
  /// Errors: rank_failed.
  explicit Tcp(Rendezvous& rendezvous);
  void exchange(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
                const std::vector<std::span<std::byte>>& in) override;

 private:
  void move(const std::vector<std::span<const std::byte>>& out, const std::vector<std::span<std::byte>>& in);

  Rendezvous& rendezvous_;
  std::vector<tcp::Socket> others_;  // by rank; none for this one
};

}  // namespace binllm
