// SPDX-License-Identifier: MIT
/// Ranks of CPUs over OpenMPI, which is loaded when it is first used: a program needs no MPI to be built or to start.
/// Link binllm::ranks.
#pragma once
#include <binllm/core/shape.hpp>
#include <binllm/ranks/rendezvous.hpp>
#include <binllm/ranks/transport.hpp>

#include <memory>
#include <string>
#include <vector>

namespace binllm {

class Mpi final : public Transport {
 public:
  /// MPI_Init: once in a process, which mpirun has started. Errors: rank_failed where there is no OpenMPI.
  Mpi();
  /// MPI_Finalize, unless a rank has failed: then this one must not wait for it.
  ~Mpi() override;
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;

  /// Whether the library is here.
  [[nodiscard]] static bool available() noexcept;
  [[nodiscard]] Index rank() const;
  [[nodiscard]] Index size() const;
  /// The text of rank 0, on all ranks: where they meet.
  [[nodiscard]] std::string broadcast(std::string text);
  /// Who is asked, while an exchange waits, whether a rank has failed.
  void watched_by(const Rendezvous& rendezvous) noexcept { rendezvous_ = &rendezvous; }
  void exchange(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
                const std::vector<std::span<std::byte>>& in) override;

 private:
  struct Library;
  void begin(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
             const std::vector<std::span<std::byte>>& in);
  void wait();

  std::unique_ptr<Library> library_;
  const Rendezvous* rendezvous_ = nullptr;
};

}  // namespace binllm
