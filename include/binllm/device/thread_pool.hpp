// SPDX-License-Identifier: MIT
/// One pool of threads, and `parallel_for` on it. A call ends when its tiles are done, whether all threads came or
/// none: the caller waits for tiles that others have begun, never for threads. Who waits watches for some microseconds,
/// then sleeps. The caller cuts work into tiles by shape alone and each tile is computed by one thread, so results do
/// not depend on how many threads there are.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/mutex.hpp>
#include <binllm/core/shape.hpp>
#include <binllm/core/steady_seconds.hpp>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace binllm {

/// Bytes that belong to one thread while it works on one tile; 64-byte aligned, kept between calls.
class Scratch {
 public:
  void reserve(std::size_t bytes) {
    if (bytes <= capacity_) return;
    block_.reset();
    capacity_ = 0;
    block_.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}, std::nothrow)));
    if (!block_) {
      throw Error(ErrorId::out_of_memory, "parallel_for", "scratch", "memory for the request",
                  message("{} bytes refused", bytes));
    }
    capacity_ = bytes;
  }
  [[nodiscard]] std::byte* data() const noexcept { return block_.get(); }

 private:
  struct Release {
    void operator()(std::byte* pointer) const noexcept { ::operator delete (pointer, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Release> block_;
  std::size_t capacity_ = 0;
};

class ThreadPool {
 public:
  explicit ThreadPool(int threads = 1) { resize(threads); }
  ~ThreadPool() { stop(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Errors: option_out_of_range unless 1 <= threads <= 1024; out_of_memory where the system has none to give, and then
  /// there is one. Not to be called from inside a tile.
  void resize(int threads) {
    if (threads < 1 || threads > 1024) {
      throw Error(ErrorId::option_out_of_range, "ThreadPool", "threads", "1 to 1024", message("{}", threads));
    }
    const Lock one_caller(caller_);
    stop();
    stopping_ = false;
    scratch_.resize(static_cast<std::size_t>(threads));
    workers_.reserve(scratch_.size());  // threads hold addresses of theirs
    for (int slot = 1; slot < threads; ++slot) {
      workers_.push_back({this, slot, {}});
      const int error = ::pthread_create(&workers_.back().thread, nullptr, &Worker::run, &workers_.back());
      if (error == 0) continue;
      workers_.pop_back();
      stop();
      throw Error(ErrorId::out_of_memory, "ThreadPool", "threads", message("{} threads", threads),
                  std::strerror(error));
    }
  }

  /// Runs tile(0), ..., tile(count - 1), each once, on any thread, with `scratch_bytes` of its own for each running
  /// tile. A tile must not throw. Inside a tile a nested call runs on the calling thread and may not ask for scratch; a
  /// call of one tile without scratch is no more than that tile, and calls in it are not nested. Calls from several
  /// host threads wait for each other.
  template <class Tile>
  void run(Index count, std::size_t scratch_bytes, const Tile& tile) {
    run({&tile, [](const void* object, Index i, std::byte* memory) { (*static_cast<const Tile*>(object))(i, memory); }},
        count, scratch_bytes);
  }

 private:
  struct Worker {
    ThreadPool* pool;
    int slot;
    pthread_t thread;

    static void* run(void* worker) {
      const auto* const self = static_cast<const Worker*>(worker);
      self->pool->serve(self->slot);
      return nullptr;
    }
  };
  /// A tile function without its type, so that the pool is compiled once and not once a kernel.
  struct Call {
    const void* object = nullptr;
    void (*function)(const void*, Index, std::byte*) = nullptr;
    void operator()(Index i, std::byte* memory) const { function(object, i, memory); }
  };
  void run(const Call& call, Index count, std::size_t scratch_bytes) {
    if (count <= 1 && scratch_bytes == 0) {  // as most calls on small tensors are
      if (count == 1) call(0, nullptr);
      return;
    }
    if (inside_tile()) {
      assert(scratch_bytes == 0);
      for (Index i = 0; i < count; ++i) call(i, nullptr);
      return;
    }
    const Lock one_caller(caller_);
    reserve(scratch_bytes);
    if (workers_.empty() || count <= 1) {
      inside_tile() = true;
      for (Index i = 0; i < count; ++i) call(i, scratch_[0].data());
      inside_tile() = false;
      return;
    }
    begin(call, count);
    drain(0);
    const auto finished = [this] { return unfinished_.load() == 0; };
    if (watch(finished)) return;
    const Lock lock(mutex_);
    caller_sleeps_ = true;
    done_.wait(lock, finished);
    caller_sleeps_ = false;
  }
  /// Publishes the call: who takes a tile from `unclaimed_` sees everything that was written before.
  void begin(const Call& call, Index count) {
    call_ = call;
    count_ = count;
    unfinished_.store(count, std::memory_order_relaxed);
    unclaimed_.store(count);
    if (sleeping_.load() == 0) return;
    { const Lock lock(mutex_); }  // a worker either sees the tiles or already sleeps
    wake_.notify_all();
  }
  /// Takes tiles until none is left. To take one is to subtract 1 from `unclaimed_` while it is positive. Whatever the
  /// thread believed before, its tile is of the call that runs at that moment; and that call cannot end, so `call_`,
  /// `count_` and the scratch memory stay as they are, until the thread has subtracted the tile from `unfinished_` as
  /// well. A thread that comes late finds nothing, or tiles of the next call, and nobody waits for it.
  void drain(int slot) {
    Index unclaimed = unclaimed_.fetch_sub(1);
    if (unclaimed <= 0) return;
    const Call call = call_;
    const Index count = count_;
    std::byte* const memory = scratch_[static_cast<std::size_t>(slot)].data();
    Index done = 0;
    inside_tile() = true;
    for (; unclaimed > 0; unclaimed = unclaimed_.fetch_sub(1), ++done) call(count - unclaimed, memory);
    inside_tile() = false;
    if (unfinished_.fetch_sub(done) > done || !caller_sleeps_) return;
    { const Lock lock(mutex_); }  // the caller either sees the end or already sleeps
    done_.notify_one();
  }
  void serve(int slot) {
    const auto called = [this] { return unclaimed_.load() > 0 || stopping_.load(); };
    for (;;) {
      if (!watch(called)) {
        const Lock lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, called);
        --sleeping_;
      }
      if (stopping_) return;
      drain(slot);
    }
  }
  /// Looks at `condition` for half a millisecond, after a fifth of it only between other threads' turns. Sleep costs
  /// more than the 50 microseconds of waking up: the scheduler of a virtual machine tends to wake a thread on its
  /// caller's processor and takes some milliseconds to part the two. A training step has a thousand calls with little
  /// between them; a program that does something else sleeps soon.
  template <class Condition>
  static bool watch(const Condition& condition) {
    if (condition()) return true;
    const double start = steady_seconds();
    for (;;) {
      for (int look = 0; look < 64; ++look) {
        if (condition()) return true;
      }
      const double watched = steady_seconds() - start;
      if (watched > 500e-6) return false;
      if (watched > 100e-6) ::sched_yield();
    }
  }
  static bool& inside_tile() {
    thread_local bool inside = false;
    return inside;
  }
  void reserve(std::size_t bytes) {
    for (Scratch& scratch : scratch_) scratch.reserve(bytes);
  }
  void stop() {
    {
      const Lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (const Worker& worker : workers_) ::pthread_join(worker.thread, nullptr);
    workers_.clear();
  }

  Mutex caller_, mutex_;
  ConditionVariable wake_, done_;
  std::vector<Worker> workers_;
  std::vector<Scratch> scratch_;
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stopping_{false}, caller_sleeps_{false};
  alignas(64) std::atomic<Index> unclaimed_{0};  // on the cache line that waiting workers read; 0 or less: no tile
  Index count_ = 0;
  Call call_;
  alignas(64) std::atomic<Index> unfinished_{0};  // on the one that the waiting caller reads
};

/// Hardware threads that this process may use, 1 to 1024: those that it may run on, and no more than the processor time
/// of its control group keeps busy.
[[nodiscard]] inline int machine_threads() noexcept {
  int threads = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
#if defined(__linux__)
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) threads = CPU_COUNT(&allowed);
  if (std::FILE* const limit = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {  // "200000 100000": two; "max 100000": all
    long quota = 0, period = 0;
    if (std::fscanf(limit, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
      threads = std::min(threads, static_cast<int>(std::min(1024L, (quota + period - 1) / period)));
    std::fclose(limit);
  }
#endif
  return std::clamp(threads, 1, 1024);
}

namespace detail {
/// As many threads as the machine has, or one where the system gives no more.
struct MachinePool : ThreadPool {
  MachinePool() {
    try {
      resize(machine_threads());
    } catch (const Error&) {
      resize(1);
    }
  }
};
}  // namespace detail

/// The pool that `Backend<Cpu>` works with: `machine_threads()` threads unless `set_thread_count` says otherwise.
[[nodiscard]] inline ThreadPool& thread_pool() {
  static detail::MachinePool pool;
  return pool;
}
inline void set_thread_count(int threads) { thread_pool().resize(threads); }

/// Runs tile(i) for i in [0, count).
template <class Tile>
void parallel_for(Index count, const Tile& tile) {
  thread_pool().run(count, 0, [&tile](Index i, std::byte*) { tile(i); });
}
/// Runs tile(i, memory) with `scratch_bytes` of 64-byte aligned memory that no other running tile sees.
template <class Tile>
void parallel_for(Index count, std::size_t scratch_bytes, const Tile& tile) {
  thread_pool().run(count, scratch_bytes, tile);
}

}  // namespace binllm
