// SPDX-License-Identifier: MIT
/// Where ranks meet: a star of TCP connections around rank 0. It carries small data of the host, and it watches: a rank
/// that ends, stops or does nothing any more is found, named to all others, and they end too. Link binllm::ranks.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/ranks/environment.hpp>
#include <binllm/ranks/socket.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace binllm {

struct RendezvousOptions {
  double start_seconds = 60;  ///< for all ranks to come
  double timeout = 20;        ///< seconds of silence, or of doing nothing, that a rank is given; 0: any number
  /// After a failure, the process ends so many seconds later if it has not ended by then: a rank that waits for a GPU
  /// hears of nothing else. 0: never.
  double grace = 5;
  double saving = 15;  ///< more of them for a rank that defers its exit, because it saves
};

class Rendezvous {
 public:
  /// Rank 0 listens; the others try to reach it at each of the hosts. All ranks' calls return together.
  /// Errors: rank_failed, naming who did not come, or one that was told of another number of ranks.
  Rendezvous(Index rank, Index size, tcp::Socket listener, const std::vector<std::string>& hosts, int port,
             const RendezvousOptions& options = {});
  /// As the environment says it. Errors: the same, and of a port that is taken.
  explicit Rendezvous(const RankEnvironment& environment, const RendezvousOptions& options = {});
  ~Rendezvous();
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;

  [[nodiscard]] Index rank() const noexcept { return rank_; }
  [[nodiscard]] Index size() const noexcept { return size_; }
  /// Everyone's bytes, on all ranks; up to 1 GiB in all. Errors: rank_failed.
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes);
  /// The address of each rank, as this one reaches it.
  [[nodiscard]] std::vector<std::string> hosts();

  /// Tells all others that this rank has done its part, and stops to watch over them: its end is no failure any more.
  void leave() noexcept;
  /// Tells all others that this rank ends, and why.
  void fail(std::string_view why) noexcept;
  /// The process does not end after the grace, but has more time, until this is called with false.
  void defer_exit(bool on) noexcept { saves_.store(on); }
  /// Errors: rank_failed, if one has.
  void check() const;
  /// After the connection to a rank broke: throws what the watch finds out about it.
  [[noreturn]] void throw_broken(Index rank) const;
  /// Something of this rank that can fail by itself; asked every second.
  struct Watched {
    virtual ~Watched() = default;
    /// Why it failed, or nothing.
    [[nodiscard]] virtual std::string failure() = 0;
  };
  void watch(std::shared_ptr<Watched> watched);

  /// While one lives, this rank waits for the others on purpose, in its work of that number.
  class Waiting {
   public:
    enum Kind : std::uint8_t { nothing, gathering, exchanging };
    Waiting(Rendezvous& rendezvous, Kind kind, std::uint64_t number);
    ~Waiting() { rendezvous_.waits_in_.store(nothing); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Rendezvous& rendezvous_;
  };

 private:
  using Clock = std::chrono::steady_clock;
  struct Failure {
    Index rank;
    std::string why;
  };
  /// What a rank says of itself once a second.
  struct Beat {
    std::uint64_t waits_in, number, active;
  };
  struct Link {  // to another rank: rank 0's to all, theirs to rank 0
    Index rank = 0;
    tcp::Socket data, control;
    std::vector<std::byte> inbox{};
    Clock::time_point heard{}, active{};
    Beat beat{};
    std::atomic<bool> left{false};
  };

  void meet(const tcp::Socket& listener, const std::vector<std::string>& hosts, int port);
  void accept_all(const tcp::Socket& listener, Clock::time_point end);
  void reach_rank_0(const std::vector<std::string>& hosts, int port, Clock::time_point end);
  [[nodiscard]] std::vector<std::string> gather_here(std::string_view bytes);
  [[nodiscard]] std::vector<std::string> gather_there(std::string_view bytes);
  void move(std::vector<tcp::Transfer> transfers);
  [[nodiscard]] Clock::time_point start_end() const;

  void watch_others();
  void hear(Link& link);
  void take(Link& link, char kind, std::string_view payload);
  void find_silent(Clock::time_point now);
  void find_idle(Clock::time_point now);
  void send_beats();
  void send(Link& link, char kind, std::string_view payload) noexcept;
  void failed(Index rank, std::string why) noexcept;
  [[nodiscard]] bool active();
  [[nodiscard]] Error error_of(const Failure& failure) const;

  Index rank_, size_;
  RendezvousOptions options_;
  std::vector<Link> links_;
  std::vector<std::string> names_;
  Clock::time_point end_{};  // of the start; afterwards the watch says how long to wait
  std::uint64_t gathers_ = 0;
  std::atomic<std::uint64_t> waits_in_{0}, number_{0};
  std::vector<std::shared_ptr<Watched>> watched_;
  mutable std::mutex sending_, failing_;
  std::optional<Failure> failure_;
  std::atomic<bool> has_failed_{false}, leaving_{false}, saves_{false};
  double cpu_seconds_ = 0;
  Beat own_{};
  Clock::time_point own_active_{};
  std::thread watcher_;
};

}  // namespace binllm
