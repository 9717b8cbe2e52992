// SPDX-License-Identifier: MIT
/// Ranks that are threads of one process: trainings on several ranks without MPI.
#pragma once
#include <binllm/ranks/communicator.hpp>

#include <barrier>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace binllm::test {

/// When work that was begun is done: a communicator may do it at any time until `finish`.
enum class WorkDone { at_once, at_finish };

/// A rank. What was asked for and is not finished yet, is known to no other rank.
class ThreadRank {
 public:
  struct Shared {
    explicit Shared(Index ranks, WorkDone done)
        : size(ranks), when(done), meeting(ranks), views(static_cast<std::size_t>(ranks)), texts(views.size()) {}
    Index size;
    WorkDone when;
    std::barrier<> meeting;
    std::vector<void*> views;
    std::vector<std::string> texts;
  };
  ThreadRank(std::shared_ptr<Shared> shared, Index rank)
      : shared_(std::move(shared)), rank_(rank), begun_(std::make_shared<Begun>()) {}

  [[nodiscard]] Index rank() const { return rank_; }
  [[nodiscard]] Index size() const { return shared_->size; }
  template <class T>
  Work sum(View<T> view) {
    return begin(view, [](ThreadRank& self, void* data, Index size) {
      self.all_shares(static_cast<T*>(data), size, /*sums=*/true, /*gathers=*/true);
    });
  }
  template <class T>
  Work sum_share(View<T> view) {
    return begin(view, [](ThreadRank& self, void* data, Index size) {
      self.all_shares(static_cast<T*>(data), size, true, false);
    });
  }
  template <class T>
  Work gather_shares(View<T> view) {
    return begin(view, [](ThreadRank& self, void* data, Index size) {
      self.all_shares(static_cast<T*>(data), size, false, true);
    });
  }
  void finish(Work work) {
    for (; begun_->finished < work; ++begun_->finished) {
      const One& one = begun_->works[begun_->finished];
      if (shared_->when == WorkDone::at_finish) one.run(*this, one.data, one.size);
    }
  }
  void finish() { finish(begun_->works.size()); }
  [[nodiscard]] double sum(double number) {
    double total = 0;
    for (const std::string& bytes : gather({reinterpret_cast<const char*>(&number), sizeof number})) {
      double one = 0;
      bytes.copy(reinterpret_cast<char*>(&one), sizeof one);
      total += one;
    }
    return total;
  }
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes) {
    shared_->texts[static_cast<std::size_t>(rank_)] = bytes;
    meet();
    std::vector<std::string> all = shared_->texts;
    meet();
    return all;
  }
  [[nodiscard]] std::string broadcast(std::string_view bytes) { return gather(rank_ == 0 ? bytes : "").front(); }
  void barrier() { meet(); }

  /// How many it was asked for, of all copies of this rank.
  [[nodiscard]] Index works() const { return static_cast<Index>(begun_->works.size()); }

 private:
  struct One {
    void (*run)(ThreadRank&, void*, Index);
    void* data;
    Index size;
  };
  struct Begun {
    std::vector<One> works;
    std::size_t finished = 0;
  };
  template <class T>
  Work begin(View<T> view, void (*run)(ThreadRank&, void*, Index)) {
    begun_->works.push_back({run, view.data, view.size()});
    if (shared_->when == WorkDone::at_once) run(*this, view.data, view.size());
    return begun_->works.size();
  }
  void meet() { shared_->meeting.arrive_and_wait(); }

  template <class T>
  void all_shares(T* mine, Index size, bool sums, bool gathers) {
    shared_->views[static_cast<std::size_t>(rank_)] = mine;
    meet();
    const Share own = share_of(size, rank_, shared_->size);
    const auto of = [&](Index rank) { return static_cast<const T*>(shared_->views[static_cast<std::size_t>(rank)]); };
    std::vector<T> whole(mine, mine + size);
    if (sums) {  // what nobody may read afterwards is destroyed
      for (Index i = 0; i < size; ++i) {
        T total = 0;
        for (Index rank = 0; rank < shared_->size; ++rank) total += of(rank)[i];
        const bool kept = gathers || (i >= own.begin && i < own.begin + own.size);
        whole[static_cast<std::size_t>(i)] = kept ? total : T(1e9);
      }
    } else {
      for (Index rank = 0; rank < shared_->size; ++rank) {
        const Share share = share_of(size, rank, shared_->size);
        std::copy_n(of(rank) + share.begin, share.size, whole.begin() + share.begin);
      }
    }
    meet();
    std::copy(whole.begin(), whole.end(), mine);
    meet();
  }

  std::shared_ptr<Shared> shared_;
  Index rank_;
  std::shared_ptr<Begun> begun_;
};
static_assert(Communicator<ThreadRank>);

/// Calls f(rank) on so many ranks, all of which must come to the same end, and rethrows what rank 0 threw. Where ranks
/// throw, all have to, and none inside of a work.
template <class F>
void on_ranks(Index ranks, WorkDone when, const F& f) {
  const auto shared = std::make_shared<ThreadRank::Shared>(ranks, when);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (Index rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        f(ThreadRank(shared, rank));
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
        shared->meeting.arrive_and_drop();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace binllm::test
