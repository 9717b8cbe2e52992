// SPDX-License-Identifier: MIT
/// Work of the host that goes on beside the thread that asks for it: one piece after the other, on a thread of its own.
#pragma once
#include <binllm/ranks/communicator.hpp>

#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace binllm {

class WorkQueue {
 public:
  WorkQueue() : thread_([this] { run(); }) {}
  /// What has not begun by then is dropped.
  ~WorkQueue() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  template <class F>
  Work begin(F work) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back(std::move(work));
    changed_.notify_all();
    return ++begun_;
  }
  /// Waits for it and those before it. Errors: what one of them threw; no later one runs.
  void finish(Work work) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ >= work || error_; });
    if (error_) std::rethrow_exception(error_);
  }
  [[nodiscard]] Work begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ends_ || (!waiting_.empty() && !error_); });
      if (ends_) return;
      std::packaged_task<void()> work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      std::exception_ptr error;
      try {
        auto result = work.get_future();
        work();
        result.get();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = error;
      ++done_;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> waiting_;
  Work begun_ = 0, done_ = 0;
  std::exception_ptr error_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace binllm
