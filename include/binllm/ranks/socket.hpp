// SPDX-License-Identifier: MIT
/// TCP connections as ranks use them: each wait has an end. Link binllm::ranks.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace binllm::tcp {

/// An open socket.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  [[nodiscard]] explicit operator bool() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// The address at the other end, as numbers.
  [[nodiscard]] std::string peer() const;
  /// The port at this end.
  [[nodiscard]] int port() const;

 private:
  int descriptor_ = -1;
};

/// Asked about every 200 ms of a wait whether it goes on; may throw as well.
class Patience {
 public:
  /// Refers to a function, which has to outlive the wait.
  template <class F>
  requires(!std::is_same_v<F, Patience>) Patience(const F& goes_on)  // NOLINT(google-explicit-constructor)
      : function_(&goes_on), call_([](const void* f) -> bool { return (*static_cast<const F*>(f))(); }) {}
  [[nodiscard]] bool operator()() const { return call_(function_); }

 private:
  const void* function_;
  bool (*call_)(const void*);
};

/// Listens; port 0: any that is free. Where `host` is 127.* or ::1, only processes of this host reach it; else it has all
/// addresses of this host. An empty socket where the port is taken.
[[nodiscard]] Socket listen_on(int port, const std::string& host = {});
/// The next connection; an empty socket when patience is over.
[[nodiscard]] Socket accept_one(const Socket& listener, const Patience& patience);
/// Tries until somebody listens there; an empty socket when patience is over.
[[nodiscard]] Socket connect_to(const std::string& host, int port, const Patience& patience);
/// Addresses of this host that others may reach, then the one that only it reaches.
[[nodiscard]] std::vector<std::string> own_addresses();

/// One side of an exchange: what is left to send to and to receive from one connection.
struct Transfer {
  const Socket* socket = nullptr;
  std::span<const std::byte> out{};
  std::span<std::byte> in{};
};
/// Sends and receives on all connections at once. The place in the list of one that broke, or that had something to do
/// when patience was over; -1: all is done.
[[nodiscard]] int transfer(std::span<Transfer> transfers, const Patience& patience);

/// Bytes that are there to be read; -1 where the connection ended. Does not wait.
[[nodiscard]] long read_some(const Socket& socket, std::span<std::byte> to);
/// As many bytes as the system takes at once.
[[nodiscard]] long write_some(const Socket& socket, std::span<const std::byte> from);
/// Until one of the sockets has something to read, or so many milliseconds have gone.
void wait_for_any(std::span<const Socket* const> sockets, int milliseconds);

}  // namespace binllm::tcp
