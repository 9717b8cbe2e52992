// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/ranks/mpi.hpp>

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace binllm {

namespace {

/// An address of the library, as the kind of pointer that it is given to.
struct Symbol {
  void* address;
  template <class F>
  operator F*() const {  // the declaration on the left names the type
    return reinterpret_cast<F*>(address);
  }
};

void* open_library() {  // globally, since its plugins look for its functions
  static void* const handle = ::dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);
  return handle;
}

constexpr int serialised = 2;                             // MPI_THREAD_SERIALIZED
constexpr std::size_t most_bytes = std::size_t{1} << 30;  // of a message: sizes are int

}  // namespace

/// What is used of OpenMPI 4 and 5, whose handles are addresses of the library's own variables.
struct Mpi::Library {
  void* handle;
  std::vector<void*> requests{};

  [[nodiscard]] Symbol operator[](const char* name) const {
    void* const address = ::dlsym(handle, name);
    if (address == nullptr) throw Error(ErrorId::rank_failed, "mpi", "libmpi.so.40", name, "a library without it");
    return {address};
  }
  int (*init)(int*, char***, int, int*) = (*this)["MPI_Init_thread"];
  int (*finalise)() = (*this)["MPI_Finalize"];
  int (*comm_rank)(void*, int*) = (*this)["MPI_Comm_rank"];
  int (*comm_size)(void*, int*) = (*this)["MPI_Comm_size"];
  int (*bcast)(void*, int, void*, int, void*) = (*this)["MPI_Bcast"];
  int (*isend)(const void*, int, void*, int, int, void*, void**) = (*this)["MPI_Isend"];
  int (*irecv)(void*, int, void*, int, int, void*, void**) = (*this)["MPI_Irecv"];
  int (*cancel)(void**) = (*this)["MPI_Cancel"];
  int (*free)(void**) = (*this)["MPI_Request_free"];
  int (*testall)(int, void**, int*, void*) = (*this)["MPI_Testall"];
  void* world = (*this)["ompi_mpi_comm_world"].address;
  void* byte = (*this)["ompi_mpi_byte"].address;

  static void check(int status, const char* call) {
    if (status != 0) throw Error(ErrorId::rank_failed, "mpi", call, "success", fmt::format("status {}", status));
  }
  /// After an error: nobody writes any more to where it was to be received.
  void cancel_all() noexcept {
    for (void*& request : requests) {
      if (request == nullptr) continue;
      cancel(&request);
      free(&request);
    }
    requests.clear();
  }
  /// A message in pieces that an int can count.
  template <class Pointer, class Start>
  void begin(Pointer data, std::size_t bytes, const Start& start) {
    for (std::size_t at = 0; at < bytes; at += most_bytes) {
      requests.push_back(nullptr);
      start(data + at, static_cast<int>(std::min(most_bytes, bytes - at)), &requests.back());
    }
  }
};

bool Mpi::available() noexcept { return open_library() != nullptr; }

Mpi::Mpi() {
  void* const handle = open_library();
  if (handle == nullptr) {
    throw Error(ErrorId::rank_failed, "mpi", "libmpi.so.40", "OpenMPI 4 or 5 (Debian: libopenmpi3)",
                "none that can be loaded");
  }
  library_.reset(new Library{handle});
  int provided = 0;
  Library::check(library_->init(nullptr, nullptr, serialised, &provided), "MPI_Init_thread");
  if (provided < serialised)
    throw Error(ErrorId::rank_failed, "mpi", "MPI_Init_thread", "threads", fmt::format("level {}", provided));
}
Mpi::~Mpi() {
  try {
    if (rendezvous_ != nullptr) rendezvous_->check();
    library_->finalise();
  } catch (const Error&) {
  }
}

Index Mpi::rank() const {
  int rank = 0;
  Library::check(library_->comm_rank(library_->world, &rank), "MPI_Comm_rank");
  return rank;
}
Index Mpi::size() const {
  int size = 1;
  Library::check(library_->comm_size(library_->world, &size), "MPI_Comm_size");
  return size;
}

std::string Mpi::broadcast(std::string text) {
  auto bytes = static_cast<std::uint64_t>(text.size());
  Library::check(library_->bcast(&bytes, sizeof bytes, library_->byte, 0, library_->world), "MPI_Bcast");
  text.resize(static_cast<std::size_t>(bytes));
  Library::check(library_->bcast(text.data(), static_cast<int>(bytes), library_->byte, 0, library_->world),
                 "MPI_Bcast");
  return text;
}

void Mpi::exchange(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
                   const std::vector<std::span<std::byte>>& in) {
  try {
    begin(number, out, in);
    wait();
  } catch (...) {
    library_->cancel_all();
    throw;
  }
}

void Mpi::begin(std::uint64_t number, const std::vector<std::span<const std::byte>>& out,
                const std::vector<std::span<std::byte>>& in) {
  Library& l = *library_;
  const int tag = static_cast<int>(number % 32768);
  const auto own = static_cast<std::size_t>(rank());
  std::size_t messages = 0;
  for (std::size_t r = 0; r < out.size(); ++r) messages += out[r].size() / most_bytes + in[r].size() / most_bytes + 2;
  l.requests.clear();
  l.requests.reserve(messages);
  for (std::size_t r = 0; r < out.size(); ++r) {
    if (r == own) continue;
    const int other = static_cast<int>(r);
    l.begin(in[r].data(), in[r].size(), [&](std::byte* data, int bytes, void** request) {
      Library::check(l.irecv(data, bytes, l.byte, other, tag, l.world, request), "MPI_Irecv");
    });
    l.begin(out[r].data(), out[r].size(), [&](const std::byte* data, int bytes, void** request) {
      Library::check(l.isend(data, bytes, l.byte, other, tag, l.world, request), "MPI_Isend");
    });
  }
}

/// Ranks may share cores: who finds nothing to do lets others work, and asks less and less often, so that a rank which
/// waits in vain is seen to do nothing.
void Mpi::wait() {
  using namespace std::chrono_literals;
  constexpr int spins = 1000, each = 100, most_doublings = 9;
  Library& l = *library_;
  auto asked = std::chrono::steady_clock::now();
  for (int done = 0, tries = 0;; ++tries) {
    Library::check(l.testall(static_cast<int>(l.requests.size()), l.requests.data(), &done, nullptr), "MPI_Testall");
    if (done != 0) return;
    if (tries < spins) {
      std::this_thread::yield();
      continue;
    }
    const auto pause = 50us * (1 << std::min(most_doublings, (tries - spins) / each));
    std::this_thread::sleep_for(std::min<std::chrono::microseconds>(20ms, pause));
    const auto now = std::chrono::steady_clock::now();
    if (rendezvous_ == nullptr || now - asked < 200ms) continue;
    asked = now;
    rendezvous_->check();
  }
}

}  // namespace binllm
