// SPDX-License-Identifier: MIT
/// A mutex, and a condition to sleep on: POSIX's, as `std::mutex` and `std::condition_variable` are here. Those stand
/// in headers with clocks, stop tokens and semaphores in them, which every unit that computes on the CPU would parse.
#pragma once
#include <pthread.h>

namespace binllm {

class Mutex {
 public:
  constexpr Mutex() noexcept = default;
  ~Mutex() { ::pthread_mutex_destroy(&mutex_); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

 private:
  friend class Lock;
  friend class ConditionVariable;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

/// Holds a mutex as long as it lives.
class Lock {
 public:
  explicit Lock(Mutex& mutex) noexcept : mutex_(mutex) { ::pthread_mutex_lock(&mutex_.mutex_); }
  ~Lock() { ::pthread_mutex_unlock(&mutex_.mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  friend class ConditionVariable;
  Mutex& mutex_;
};

class ConditionVariable {
 public:
  constexpr ConditionVariable() noexcept = default;
  ~ConditionVariable() { ::pthread_cond_destroy(&condition_); }
  ConditionVariable(const ConditionVariable&) = delete;
  ConditionVariable& operator=(const ConditionVariable&) = delete;

  /// Sleeps, without the lock, until `holds()` does.
  template <class Holds>
  void wait(const Lock& lock, const Holds& holds) noexcept {
    while (!holds()) ::pthread_cond_wait(&condition_, &lock.mutex_.mutex_);
  }
  void notify_one() noexcept { ::pthread_cond_signal(&condition_); }
  void notify_all() noexcept { ::pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace binllm
