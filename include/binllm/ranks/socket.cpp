// SPDX-License-Identifier: MIT
#include <binllm/ranks/socket.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace binllm::tcp {

namespace {

constexpr int moment = 200;  // milliseconds

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const std::string& host, int port) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) found = nullptr;
  return {found, &freeaddrinfo};
}

/// Never blocks, sends small messages at once, and is not inherited by programs that are started.
void prepare(int descriptor) {
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL, 0) | O_NONBLOCK);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool ready(int descriptor, short event, int milliseconds) {
  pollfd one{descriptor, event, 0};
  return poll(&one, 1, milliseconds) > 0;
}

Socket try_address(const addrinfo& address) {
  Socket made(::socket(address.ai_family, address.ai_socktype, address.ai_protocol));
  if (!made) return {};
  prepare(made.descriptor());
  if (::connect(made.descriptor(), address.ai_addr, address.ai_addrlen) == 0) return made;
  if (errno != EINPROGRESS || !ready(made.descriptor(), POLLOUT, 2000)) return {};
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(made.descriptor(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0 ? std::move(made) : Socket();
}

std::string numbers_of(const sockaddr* address, socklen_t length) {
  char text[NI_MAXHOST];
  return getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 ? text : "";
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}
Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}
std::string Socket::peer() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(descriptor_, generic, &length) != 0) return {};
  const std::string text = numbers_of(generic, length);
  return text.rfind("::ffff:", 0) == 0 ? text.substr(7) : text;  // an address of four bytes, seen by a listener of both
}
int Socket::port() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Socket listen_on(int port, const std::string& host) {
  const int on = 1, off = 0;
  const bool four_alone = host.starts_with("127."), six_alone = host == "::1";
  Socket made = four_alone ? Socket() : Socket(::socket(AF_INET6, SOCK_STREAM, 0));
  const bool has_six = static_cast<bool>(made);
  if (!has_six) made = Socket(::socket(AF_INET, SOCK_STREAM, 0));
  prepare(made.descriptor());
  setsockopt(made.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  four.sin_family = AF_INET;
  six.sin6_port = four.sin_port = htons(static_cast<std::uint16_t>(port));
  if (six_alone) six.sin6_addr = in6addr_loopback;
  if (four_alone) inet_pton(AF_INET, host.c_str(), &four.sin_addr);
  if (has_six) setsockopt(made.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const int bound = has_six ? ::bind(made.descriptor(), reinterpret_cast<const sockaddr*>(&six), sizeof six)
                            : ::bind(made.descriptor(), reinterpret_cast<const sockaddr*>(&four), sizeof four);
  if (bound != 0 || ::listen(made.descriptor(), SOMAXCONN) != 0) return {};
  return made;
}

Socket accept_one(const Socket& listener, const Patience& patience) {
  while (patience()) {
    if (!ready(listener.descriptor(), POLLIN, moment)) continue;
    Socket made(::accept(listener.descriptor(), nullptr, nullptr));
    if (!made) continue;
    prepare(made.descriptor());
    return made;
  }
  return {};
}

Socket connect_to(const std::string& host, int port, const Patience& patience) {
  while (patience()) {
    const Addresses found = resolve(host, port);
    for (const addrinfo* a = found.get(); a != nullptr; a = a->ai_next) {
      if (Socket made = try_address(*a)) return made;
    }
    poll(nullptr, 0, moment);
  }
  return {};
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> far, near;
  ifaddrs* found = nullptr;
  if (getifaddrs(&found) != 0) return {"127.0.0.1"};
  for (const ifaddrs* i = found; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || (i->ifa_flags & IFF_UP) == 0 || i->ifa_addr->sa_family != AF_INET) continue;
    const std::string address = numbers_of(i->ifa_addr, sizeof(sockaddr_in));
    if (!address.empty()) ((i->ifa_flags & IFF_LOOPBACK) != 0 ? near : far).push_back(address);
  }
  freeifaddrs(found);
  far.insert(far.end(), near.begin(), near.end());
  return far;
}

long read_some(const Socket& socket, std::span<std::byte> to) {
  const ssize_t read = ::recv(socket.descriptor(), to.data(), to.size(), 0);
  if (read > 0) return read;
  return read < 0 && would_block() ? 0 : -1;
}

long write_some(const Socket& socket, std::span<const std::byte> from) {
  const ssize_t written = ::send(socket.descriptor(), from.data(), from.size(), MSG_NOSIGNAL);
  if (written >= 0) return written;
  return would_block() ? 0 : -1;
}

int transfer(std::span<Transfer> transfers, const Patience& patience) {
  std::vector<pollfd> waits(transfers.size());
  for (;;) {
    int waiting = -1;
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      const Transfer& t = transfers[i];
      const int events = (t.out.empty() ? 0 : POLLOUT) | (t.in.empty() ? 0 : POLLIN);
      waits[i] = {events == 0 ? -1 : t.socket->descriptor(), static_cast<short>(events), 0};
      if (events != 0) waiting = static_cast<int>(i);
    }
    if (waiting < 0) return -1;
    if (poll(waits.data(), waits.size(), moment) == 0 && !patience()) return waiting;
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      Transfer& t = transfers[i];
      if (waits[i].revents == 0) continue;
      const long read = t.in.empty() ? 0 : read_some(*t.socket, t.in);
      const long written = t.out.empty() ? 0 : write_some(*t.socket, t.out);
      if (read < 0 || written < 0) return static_cast<int>(i);
      t.in = t.in.subspan(static_cast<std::size_t>(read));
      t.out = t.out.subspan(static_cast<std::size_t>(written));
    }
  }
}

void wait_for_any(std::span<const Socket* const> sockets, int milliseconds) {
  std::vector<pollfd> waits;
  for (const Socket* socket : sockets) waits.push_back({socket->descriptor(), POLLIN, 0});
  poll(waits.data(), waits.size(), milliseconds);
}

}  // namespace binllm::tcp
