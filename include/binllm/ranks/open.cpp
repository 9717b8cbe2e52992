// SPDX-License-Identifier: MIT
#include <binllm/ranks/mpi.hpp>
#include <binllm/ranks/open.hpp>
#include <binllm/ranks/tcp.hpp>

#include <utility>
#include <vector>

namespace binllm {

namespace {

/// "port address address ...", as rank 0 sends it.
std::string meeting_point(const tcp::Socket& listener) {
  std::string text = std::to_string(listener.port());
  for (const std::string& address : tcp::own_addresses()) text += ' ' + address;
  return text;
}

std::shared_ptr<HostRanks> over_mpi(const RankEnvironment& environment, const RendezvousOptions& options) {
  auto mpi = std::make_unique<Mpi>();
  const Index rank = mpi->rank(), size = mpi->size();
  if (rank != environment.rank || size != environment.size) {
    throw Error(ErrorId::config_inconsistent, "ranks", "mpirun",
                fmt::format("rank {} of {}, as its variables say", environment.rank, environment.size),
                fmt::format("rank {} of {}: was it the mpirun of this OpenMPI?", rank, size));
  }
  tcp::Socket listener = rank == 0 ? tcp::listen_on(0) : tcp::Socket();
  const std::string point = mpi->broadcast(rank == 0 ? meeting_point(listener) : "");
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= point.size();) {
    const std::size_t end = std::min(point.find(' ', at), point.size());
    words.push_back(point.substr(at, end - at));
    at = end + 1;
  }
  const int port = std::stoi(words[0]);
  words.erase(words.begin());
  auto rendezvous = std::make_unique<Rendezvous>(rank, size, std::move(listener), words, port, options);
  mpi->watched_by(*rendezvous);
  return std::make_shared<HostRanks>(std::move(rendezvous), std::move(mpi));
}

}  // namespace

std::shared_ptr<HostRanks> open_host_ranks(const RankEnvironment& environment, tcp::Socket listener) {
  if (environment.size == 1) return nullptr;
  const RendezvousOptions options{.timeout = ranks_timeout()};
  if (environment.host.empty() || environment.port == 0) return over_mpi(environment, options);
  auto rendezvous = listener ? std::make_unique<Rendezvous>(environment.rank, environment.size, std::move(listener),
                                                            std::vector{environment.host}, environment.port, options)
                             : std::make_unique<Rendezvous>(environment, options);
  auto transport = std::make_unique<Tcp>(*rendezvous);
  return std::make_shared<HostRanks>(std::move(rendezvous), std::move(transport));
}

}  // namespace binllm
