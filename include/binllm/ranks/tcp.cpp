// SPDX-License-Identifier: MIT
#include <binllm/ranks/tcp.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <utility>

namespace binllm {

namespace {
struct Header {
  std::uint64_t number, bytes;
};
/// What one rank says to another that it connects to. Only ranks of this run know its number.
struct Hello {
  std::uint64_t run, rank;
};
constexpr std::chrono::seconds most_wait{20};  // for a connection to a rank that listens
constexpr std::chrono::seconds hello_wait{2};  // who connects and says nothing is none of us

/// What rank 0 says to all.
struct Run {
  std::uint64_t number;
  std::uint64_t on_one_host;  ///< 1 where all ranks are on that of rank 0
};
Run run_of(Rendezvous& rendezvous, const std::vector<std::string>& hosts) {
  Run run{};
  if (rendezvous.rank() == 0) {
    const auto here = [](const std::string& host) { return host.starts_with("127."); };
    run.on_one_host = std::all_of(hosts.begin(), hosts.end(), here) ? 1 : 0;
    std::random_device random;
    run.number = std::uint64_t{random()} << 32 | random();
  }
  const std::string said = rendezvous.gather({reinterpret_cast<const char*>(&run), sizeof run})[0];
  said.copy(reinterpret_cast<char*>(&run), sizeof run);
  return run;
}
}  // namespace

Tcp::Tcp(Rendezvous& rendezvous) : rendezvous_(rendezvous), others_(static_cast<std::size_t>(rendezvous.size())) {
  const std::vector<std::string> hosts = rendezvous.hosts();
  const Run run = run_of(rendezvous, hosts);
  const tcp::Socket listener = tcp::listen_on(0, run.on_one_host != 0 ? "127.0.0.1" : "");
  const std::vector<std::string> ports = rendezvous.gather(std::to_string(listener ? listener.port() : 0));
  const Rendezvous::Waiting waiting(rendezvous, Rendezvous::Waiting::gathering, 0);
  const auto end = std::chrono::steady_clock::now() + most_wait;
  const auto patience = [&] {
    rendezvous.check();
    return std::chrono::steady_clock::now() < end;
  };
  const auto refuse = [&](std::size_t other) {
    rendezvous.fail(
        fmt::format("one without a connection to rank {} at {} port {}", other, hosts[other], ports[other]));
    rendezvous.check();
  };
  const auto own = static_cast<std::size_t>(rendezvous.rank());
  for (std::size_t other = 0; other < own; ++other) {  // whose listeners are there: they have said their ports
    tcp::Socket made = tcp::connect_to(hosts[other], std::stoi(ports[other]), patience);
    const Hello hello{run.number, own};
    std::array one{tcp::Transfer{&made, std::as_bytes(std::span(&hello, 1)), {}}};
    if (!made || tcp::transfer(one, patience) >= 0) refuse(other);
    others_[other] = std::move(made);
  }
  for (std::size_t met = own + 1; met < others_.size();) {
    tcp::Socket made = tcp::accept_one(listener, patience);
    if (!made) refuse(others_.size() - 1);
    Hello hello{};
    std::array one{tcp::Transfer{&made, {}, std::as_writable_bytes(std::span(&hello, 1))}};
    const auto soon = std::chrono::steady_clock::now() + hello_wait;
    if (tcp::transfer(one, [soon] { return std::chrono::steady_clock::now() < soon; }) >= 0) continue;
    if (hello.run != run.number || hello.rank <= own || hello.rank >= others_.size() || others_[hello.rank]) continue;
    others_[hello.rank] = std::move(made);
    ++met;
  }
  (void)rendezvous.gather({});  // nobody's listener goes before all are connected
}

void Tcp::move(const std::vector<std::span<const std::byte>>& out, const std::vector<std::span<std::byte>>& in) {
  std::vector<tcp::Transfer> transfers;
  std::vector<std::size_t> ranks;
  for (std::size_t rank = 0; rank < others_.size(); ++rank) {
    if (!others_[rank]) continue;
    transfers.push_back({&others_[rank], out[rank], in[rank]});
    ranks.push_back(rank);
  }
  const auto patience = [this] {
    rendezvous_.check();
    return true;
  };
  if (const int broken = tcp::transfer(transfers, patience); broken >= 0)
    rendezvous_.throw_broken(static_cast<Index>(ranks[static_cast<std::size_t>(broken)]));
}

void Tcp::exchange(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
                   const std::vector<std::span<std::byte>>& in) {
  std::vector<Header> sent(others_.size()), received(others_.size());
  std::vector<std::span<const std::byte>> from;
  std::vector<std::span<std::byte>> to;
  for (std::size_t rank = 0; rank < others_.size(); ++rank) {
    sent[rank] = {number, out[rank].size()};
    from.push_back(std::as_bytes(std::span(&sent[rank], 1)));
    to.push_back(std::as_writable_bytes(std::span(&received[rank], 1)));
  }
  move(from, to);
  for (std::size_t rank = 0; rank < others_.size(); ++rank) {
    if (!others_[rank] || (received[rank].number == number && received[rank].bytes == in[rank].size())) continue;
    rendezvous_.fail(
        fmt::format("one whose work {} wants {} bytes of rank {}, which sends {} in its work {}: they go "
                    "different ways",
                    number, in[rank].size(), rank, received[rank].bytes, received[rank].number));
    rendezvous_.check();
  }
  move(out, in);
}

}  // namespace binllm
