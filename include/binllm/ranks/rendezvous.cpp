// SPDX-License-Identifier: MIT
#include <binllm/ranks/rendezvous.hpp>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace binllm {

namespace {

constexpr std::uint64_t magic = 0x31736b6e61726c62;  // "blranks1"
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t most_message = std::uint64_t{1} << 16, most_why = std::uint64_t{1} << 12;
constexpr double beat_seconds = 1, idle_cpu_seconds = 0.005, moment = 0.25;

struct Hello {
  std::uint64_t magic_word, rank, size, channel;
};
struct Header {
  std::uint64_t number, bytes;
};

double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}
std::span<const std::byte> text_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

template <class T>
std::string_view as_text(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

double cpu_seconds_so_far() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

/// What the system says of the first thread; nothing where it does not tell.
std::string main_thread(const char* name) {
  std::FILE* const file = std::fopen(fmt::format("/proc/self/task/{}/{}", getpid(), name).c_str(), "r");
  if (file == nullptr) return {};
  char line[256] = "";
  const std::size_t read = std::fread(line, 1, sizeof line - 1, file);
  std::fclose(file);
  return {line, read};
}
/// Whether the first thread computes, waits for a disk, or for who reads its output: that may be paused (Ctrl-S).
bool main_thread_works() {
  const std::string text = main_thread("stat");
  const std::size_t name_end = text.rfind(')');  // "4711 (name) S ..."
  const char state = name_end != std::string::npos && name_end + 2 < text.size() ? text[name_end + 2] : 'R';
  if (state == 'R' || state == 'D') return true;
  const long call = std::strtol(main_thread("syscall").c_str(), nullptr, 10);  // "1 0x2 ...", or "running"
  return call == SYS_write || call == SYS_writev || call == SYS_fsync || call == SYS_fdatasync;
}

std::string own_name() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return fmt::format("process {} on {}", getpid(), host);
}

tcp::Socket listener_of(const RankEnvironment& e) {
  if (e.rank != 0) return {};
  tcp::Socket made = tcp::listen_on(e.port, e.host);
  if (made) return made;
  throw Error(ErrorId::rank_failed, "ranks", "MASTER_PORT", "a port that is free on the host of rank 0",
              fmt::format("{}, which cannot be listened on", e.port));
}

}  // namespace

Rendezvous::Waiting::Waiting(Rendezvous& rendezvous, Kind kind, std::uint64_t number) : rendezvous_(rendezvous) {
  rendezvous_.number_.store(number);
  rendezvous_.waits_in_.store(kind);
}

// ---- meeting

Rendezvous::Rendezvous(const RankEnvironment& e, const RendezvousOptions& options)
    : Rendezvous(e.rank, e.size, listener_of(e), {e.host}, e.port, options) {}

Rendezvous::Rendezvous(Index rank, Index size, tcp::Socket listener, const std::vector<std::string>& hosts, int port,
                       const RendezvousOptions& options)
    : rank_(rank), size_(size), options_(options), names_(static_cast<std::size_t>(size)) {
  meet(listener, hosts, port);
  end_ = start_end();  // again: who was early waits for rank 0 as long as that waits for the last
  for (Link& link : links_) link.heard = link.active = Clock::now();
  own_active_ = Clock::now();
  names_ = gather(own_name());
  watcher_ = std::thread([this] { watch_others(); });
}

Rendezvous::Clock::time_point Rendezvous::start_end() const {
  const std::chrono::duration<double> start(options_.start_seconds);
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(start);
}

void Rendezvous::meet(const tcp::Socket& listener, const std::vector<std::string>& hosts, int port) {
  const auto end = start_end();
  if (rank_ == 0) {
    accept_all(listener, end);
  } else {
    reach_rank_0(hosts, port, end);
  }
}

void Rendezvous::accept_all(const tcp::Socket& listener, Clock::time_point end) {
  links_ = std::vector<Link>(static_cast<std::size_t>(size_ - 1));
  for (std::size_t i = 0; i < links_.size(); ++i) links_[i].rank = static_cast<Index>(i) + 1;
  const auto in_time = [end] { return Clock::now() < end; };
  for (std::size_t met = 0; met < 2 * links_.size();) {
    tcp::Socket socket = tcp::accept_one(listener, in_time);
    if (!socket) {
      std::string missing;
      for (const Link& link : links_) {
        if (!link.control || !link.data) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", link.rank);
      }
      throw Error(ErrorId::rank_failed, "ranks", "start", fmt::format("{} ranks within the time", size_),
                  fmt::format("no rank {}", missing));
    }
    Hello hello{};
    std::array one{tcp::Transfer{&socket, {}, bytes_of(hello)}};
    const auto soon = Clock::now() + std::chrono::seconds(2);  // who connects and says nothing is none of us
    if (tcp::transfer(one, [soon] { return Clock::now() < soon; }) >= 0 || hello.magic_word != magic) continue;
    const auto size = static_cast<std::uint64_t>(size_);
    if (hello.size != size || hello.rank == 0 || hello.rank >= size || hello.channel > 1) {
      throw Error(ErrorId::rank_failed, "ranks", "start", fmt::format("ranks 1 to {} of {}", size_ - 1, size_),
                  fmt::format("rank {} of {}", hello.rank, hello.size));
    }
    Link& link = links_[static_cast<std::size_t>(hello.rank - 1)];
    tcp::Socket& place = hello.channel == 0 ? link.data : link.control;
    if (place)
      throw Error(ErrorId::rank_failed, "ranks", "start", "each rank once", fmt::format("rank {} twice", hello.rank));
    place = std::move(socket);
    ++met;
  }
}

void Rendezvous::reach_rank_0(const std::vector<std::string>& hosts, int port, Clock::time_point end) {
  links_ = std::vector<Link>(1);
  const auto connect = [&]() -> tcp::Socket {
    while (Clock::now() < end) {
      for (const std::string& host : hosts) {  // each in turn: an address of rank 0 may be one of this host as well
        const auto turn = std::min(end, Clock::now() + std::chrono::seconds(1));
        if (tcp::Socket made = tcp::connect_to(host, port, [turn] { return Clock::now() < turn; })) return made;
      }
    }
    std::string all;
    for (const std::string& name : hosts) all += (all.empty() ? "" : ", ") + name;
    throw Error(ErrorId::rank_failed, "ranks", "start", fmt::format("rank 0 at {} port {}", all, port),
                "nobody who answers there");
  };
  for (const std::uint64_t channel : {std::uint64_t{0}, std::uint64_t{1}}) {
    tcp::Socket socket = connect();
    Hello hello{magic, static_cast<std::uint64_t>(rank_), static_cast<std::uint64_t>(size_), channel};
    std::array one{tcp::Transfer{&socket, bytes_of(hello), {}}};
    (void)tcp::transfer(one, [end] { return Clock::now() < end; });
    (channel == 0 ? links_[0].data : links_[0].control) = std::move(socket);
  }
}

Rendezvous::~Rendezvous() { leave(); }

void Rendezvous::leave() noexcept {
  if (!watcher_.joinable()) return;
  for (Link& link : links_) send(link, 'G', {});
  leaving_.store(true);
  watcher_.join();
}

// ---- data of the host

void Rendezvous::move(std::vector<tcp::Transfer> transfers) {
  const auto too_late = [this] { return !watcher_.joinable() && Clock::now() > end_; };
  const auto patience = [&] {
    check();
    return !too_late();
  };
  const int broken = tcp::transfer(transfers, patience);
  if (broken < 0) return;
  const Index rank = links_[static_cast<std::size_t>(broken)].rank;
  if (too_late()) throw error_of({rank, "one that has connected, and says nothing"});
  throw_broken(rank);
}

std::vector<std::string> Rendezvous::gather(std::string_view bytes) {
  check();
  if (bytes.size() > most_bytes)
    throw Error(ErrorId::rank_failed, "ranks", "gather", fmt::format("at most {} bytes", most_bytes),
                fmt::format("{} on rank {}", bytes.size(), rank_));
  const Waiting waiting(*this, Waiting::gathering, ++gathers_);
  return rank_ == 0 ? gather_here(bytes) : gather_there(bytes);
}

std::vector<std::string> Rendezvous::gather_here(std::string_view bytes) {
  std::vector<std::string> all{std::string(bytes)};
  std::vector<Header> headers(links_.size());
  std::vector<tcp::Transfer> transfers;
  for (std::size_t i = 0; i < links_.size(); ++i) transfers.push_back({&links_[i].data, {}, bytes_of(headers[i])});
  move(std::move(transfers));
  std::uint64_t total = bytes.size();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    total += headers[i].bytes;
    if (headers[i].number == gathers_ && headers[i].bytes <= most_bytes && total <= most_bytes) continue;
    fail("data of the host that another rank does not expect");
    check();
  }
  all.resize(links_.size() + 1);
  transfers.clear();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    all[i + 1].resize(static_cast<std::size_t>(headers[i].bytes));
    transfers.push_back({&links_[i].data, {}, std::as_writable_bytes(std::span(all[i + 1]))});
  }
  move(std::move(transfers));
  std::string reply;
  for (const std::string& one : all) reply += as_text(std::uint64_t{one.size()});
  for (const std::string& one : all) reply += one;
  transfers.clear();
  for (Link& link : links_) transfers.push_back({&link.data, text_bytes(reply), {}});
  move(std::move(transfers));
  return all;
}

std::vector<std::string> Rendezvous::gather_there(std::string_view bytes) {
  const Header header{gathers_, bytes.size()};
  const std::string message = std::string(as_text(header)).append(bytes);
  move({{&links_[0].data, text_bytes(message), {}}});
  std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size_));
  move({{&links_[0].data, {}, std::as_writable_bytes(std::span(sizes))}});
  std::vector<std::string> all(sizes.size());
  std::vector<std::byte> reply;
  std::uint64_t total = 0;
  for (const std::uint64_t size : sizes) total += std::min(size, most_bytes + 1);
  if (total > most_bytes) throw_broken(0);
  reply.resize(static_cast<std::size_t>(total));
  move({{&links_[0].data, {}, reply}});
  const char* at = reinterpret_cast<const char*>(reply.data());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].assign(at, static_cast<std::size_t>(sizes[i]));
    at += sizes[i];
  }
  return all;
}

std::vector<std::string> Rendezvous::hosts() {
  std::string seen;  // by rank 0
  if (rank_ == 0) {
    for (const Link& link : links_) seen += link.data.peer() + '\n';
  }
  const std::string table = gather(seen)[0];
  const auto four = [](const std::string& host) { return host.starts_with("127."); };
  std::vector<std::string> all{rank_ == 0 ? "127.0.0.1" : links_[0].data.peer()};
  if (four(all[0])) all[0] = "127.0.0.1";  // of a block of addresses the one that every listener has
  for (std::size_t at = 0; at < table.size();) {
    const std::size_t end = table.find('\n', at);
    const std::string host = table.substr(at, end - at);
    const bool beside_rank_0 = rank_ != 0 && (four(host) || host == "::1");
    all.push_back(beside_rank_0 ? all[0] : host);
    at = end + 1;
  }
  return all;
}

// ---- failures

Error Rendezvous::error_of(const Failure& failure) const {
  const std::string& name = names_[static_cast<std::size_t>(failure.rank)];
  return Error(ErrorId::rank_failed, "ranks",
               name.empty() ? fmt::format("rank {}", failure.rank) : fmt::format("rank {} ({})", failure.rank, name),
               "one that goes on", failure.why);
}

void Rendezvous::check() const {
  if (!has_failed_.load()) return;
  const std::lock_guard lock(failing_);
  throw error_of(*failure_);
}

void Rendezvous::throw_broken(Index rank) const {
  for (int i = 0; i < 30 && watcher_.joinable(); ++i) {  // the watch hears of it as well, and maybe why
    check();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw error_of({rank, "one that ended before this one"});
}

void Rendezvous::failed(Index rank, std::string why) noexcept {
  {
    const std::lock_guard lock(failing_);
    if (failure_) return;
    failure_ = Failure{rank, why.substr(0, most_why)};
    has_failed_.store(true);
  }
  const auto who = static_cast<std::uint64_t>(failure_->rank);
  const std::string payload = std::string(as_text(who)) + failure_->why;
  for (Link& link : links_) send(link, 'F', payload);
}

void Rendezvous::fail(std::string_view why) noexcept { failed(rank_, std::string(why)); }

void Rendezvous::send(Link& link, char kind, std::string_view payload) noexcept {
  const std::lock_guard lock(sending_);
  if (!link.control || link.left) return;
  const auto bytes = static_cast<std::uint64_t>(payload.size());
  const std::string message = std::string(1, kind).append(as_text(bytes)).append(payload);
  std::span<const std::byte> rest = text_bytes(message);
  for (int tries = 0; !rest.empty() && tries < 10;) {  // one that is stopped reads nothing
    const long written = tcp::write_some(link.control, rest);
    if (written < 0) return;
    rest = rest.subspan(static_cast<std::size_t>(written));
    if (written > 0 || rest.empty()) continue;
    if (kind == 'B' && rest.size() == message.size()) return;
    ++tries;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// ---- the watch

void Rendezvous::watch(std::shared_ptr<Watched> watched) {
  const std::lock_guard lock(sending_);
  watched_.push_back(std::move(watched));
}

bool Rendezvous::active() {
  const double now = cpu_seconds_so_far();
  const bool computed = now - cpu_seconds_ > idle_cpu_seconds;
  cpu_seconds_ = now;
  return computed || main_thread_works();
}

void Rendezvous::send_beats() {
  own_ = {waits_in_.load(), number_.load(), active() ? std::uint64_t{1} : std::uint64_t{0}};
  for (Link& link : links_) send(link, 'B', as_text(own_));
  std::vector<std::shared_ptr<Watched>> watched;
  {
    const std::lock_guard lock(sending_);
    watched = watched_;
  }
  for (const auto& one : watched) {
    if (const std::string why = one->failure(); !why.empty()) fail(why);
  }
}

void Rendezvous::hear(Link& link) {
  constexpr std::size_t head = 1 + sizeof(std::uint64_t);
  std::array<std::byte, 4096> some;
  long read = 0;
  while ((read = tcp::read_some(link.control, some)) > 0) {
    link.heard = Clock::now();
    link.inbox.insert(link.inbox.end(), some.begin(), some.begin() + read);
  }
  while (link.inbox.size() >= head) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, link.inbox.data() + 1, sizeof bytes);
    if (bytes > most_message) {
      failed(link.rank, "one that sends what is no message");
      link.left = true;
      return;
    }
    if (link.inbox.size() - head < bytes) break;
    const std::string payload(reinterpret_cast<const char*>(link.inbox.data()) + head, static_cast<std::size_t>(bytes));
    const char kind = static_cast<char>(link.inbox[0]);
    link.inbox.erase(link.inbox.begin(), link.inbox.begin() + static_cast<std::ptrdiff_t>(head + bytes));
    take(link, kind, payload);
  }
  if (read == 0 || link.left) return;
  failed(link.rank, "one that ended without a word: it was killed, or it crashed");
  link.left = true;
}

void Rendezvous::take(Link& link, char kind, std::string_view payload) {
  if (kind == 'G') {
    link.left = true;
  } else if (kind == 'B' && payload.size() == sizeof(Beat)) {
    const Beat before = link.beat;
    std::memcpy(&link.beat, payload.data(), sizeof(Beat));
    const bool moved = link.beat.waits_in != before.waits_in || link.beat.number != before.number;
    if (link.beat.active != 0 || moved) link.active = Clock::now();
  } else if (kind == 'F' && payload.size() >= sizeof(std::uint64_t)) {
    std::uint64_t rank = 0;
    std::memcpy(&rank, payload.data(), sizeof rank);
    rank = std::min(rank, static_cast<std::uint64_t>(size_ - 1));
    failed(static_cast<Index>(rank), std::string(payload.substr(sizeof rank)));
  }
}

void Rendezvous::find_silent(Clock::time_point now) {
  for (const Link& link : links_) {
    if (link.left || seconds(now - link.heard) < options_.timeout) continue;
    failed(link.rank, fmt::format("one that has not answered for {:.0f} seconds: it is stopped, or its host cannot be "
                                  "reached",
                                  options_.timeout));
  }
}

/// Rank 0 knows of all: who works, and who waits where.
void Rendezvous::find_idle(Clock::time_point now) {
  const auto idle = [&](Clock::time_point active) { return seconds(now - active) >= options_.timeout; };
  const auto idle_text = fmt::format("one that has done nothing for {:.0f} seconds: it hangs", options_.timeout);
  if (idle(own_active_) && own_.waits_in == Waiting::nothing) failed(0, idle_text);
  bool all_wait = idle(own_active_) && own_.waits_in != Waiting::nothing;
  for (const Link& link : links_) {
    if (link.left) return;
    if (idle(link.active) && link.beat.waits_in == Waiting::nothing) failed(link.rank, idle_text);
    all_wait = all_wait && idle(link.active);
  }
  if (!all_wait) return;
  for (const Link& link : links_) {
    if (link.beat.waits_in == own_.waits_in && link.beat.number == own_.number) continue;
    failed(link.rank, fmt::format("one that waits in {} {}, while rank 0 waits in {} {}: they go different ways",
                                  link.beat.waits_in == Waiting::gathering ? "gather" : "work", link.beat.number,
                                  own_.waits_in == Waiting::gathering ? "gather" : "work", own_.number));
  }
}

void Rendezvous::watch_others() {
  std::vector<const tcp::Socket*> sockets;
  Clock::time_point last = Clock::now(), last_beat{}, failed_at{}, end_of_work{};
  cpu_seconds_ = cpu_seconds_so_far();
  while (!leaving_.load()) {
    sockets.clear();
    for (const Link& link : links_) {
      if (!link.left) sockets.push_back(&link.control);
    }
    tcp::wait_for_any(sockets, static_cast<int>(1000 * moment));
    const Clock::time_point now = Clock::now();
    if (seconds(now - last) > 3) {  // this process was stopped itself, and maybe all of them
      for (Link& link : links_) link.heard = link.active = now;
      own_active_ = now;
    }
    last = now;
    for (Link& link : links_) {
      if (!link.left) hear(link);
    }
    if (seconds(now - last_beat) >= beat_seconds) {
      const Beat before = own_;
      last_beat = now;
      send_beats();
      if (own_.active != 0 || own_.waits_in != before.waits_in || own_.number != before.number) own_active_ = now;
    }
    if (options_.timeout > 0 && !has_failed_.load()) {
      find_silent(now);
      if (rank_ == 0) find_idle(now);
    }
    if (!has_failed_.load() || options_.grace == 0) continue;
    if (failed_at == Clock::time_point{}) failed_at = end_of_work = now;
    const bool saves = saves_.load() && seconds(now - failed_at) < options_.grace + options_.saving;
    if (saves) end_of_work = now;
    if (saves || seconds(now - end_of_work) < options_.grace) continue;
    const std::lock_guard lock(failing_);
    std::fprintf(stderr, "%s\n", error_of(*failure_).what());
    std::_Exit(1);
  }
}

}  // namespace binllm
