// SPDX-License-Identifier: MIT
/// What every communicator promises, checked from within its ranks.
#pragma once
#include <binllm/ranks/any_communicator.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace {

/// Numbers whose sums depend on the order, different on each rank.
template <class T>
std::vector<T> numbers_of(binllm::Index rank, binllm::Index count) {
  std::vector<T> numbers;
  for (binllm::Index i = 0; i < count; ++i) {
    const double angle = static_cast<double>(i + 1) * (0.37 + static_cast<double>(rank));
    numbers.push_back(static_cast<T>(static_cast<float>(std::sin(angle) * std::exp(4 * std::cos(3 * angle)))));
  }
  return numbers;
}

template <class T>
std::vector<T> sum_in_order(binllm::Index ranks, binllm::Index count) {
  std::vector<binllm::master_t<T>> sums(static_cast<std::size_t>(count), 0);
  for (binllm::Index rank = 0; rank < ranks; ++rank) {
    const auto term = numbers_of<T>(rank, count);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<binllm::master_t<T>>(term[i]);
  }
  std::vector<T> rounded;
  for (const auto sum : sums) rounded.push_back(static_cast<T>(sum));
  return rounded;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b, binllm::Share share) {
  const auto begin = static_cast<std::size_t>(share.begin), size = static_cast<std::size_t>(share.size);
  return size == 0 || std::memcmp(a.data() + begin, b.data() + begin, size * sizeof(T)) == 0;
}

/// Empty if sums and shares of `count` numbers are right, else what is wrong.
template <class T>
std::string wrong_sums(const binllm::AnyCommunicator& ranks, binllm::Index count) {
  using binllm::View;
  const auto expected = sum_in_order<T>(ranks.size(), count);
  const binllm::Share everything{0, count};
  auto whole = numbers_of<T>(ranks.rank(), count), parts = whole;
  const View<T> of_whole(whole.data(), binllm::Shape{count}), of_parts(parts.data(), binllm::Shape{count});
  const binllm::Work first = ranks.sum(of_whole);
  ranks.sum_share(of_parts);  // begun before the first is done
  ranks.finish(first);
  if (!same_bits(whole, expected, everything)) return "sum";
  ranks.finish();
  if (!same_bits(parts, expected, binllm::share_of(count, ranks.rank(), ranks.size()))) return "sum_share";
  ranks.finish(ranks.gather_shares(of_parts));
  return same_bits(parts, expected, everything) ? "" : "gather_shares";
}

/// All that a communicator of CPUs does.
inline std::string wrong_collectives(const binllm::AnyCommunicator& ranks) {
  std::string wrong;
  for (const binllm::Index count : {1, 15, 16, 100, 16 * 12, 70000}) {
    wrong += wrong_sums<float>(ranks, count) + wrong_sums<double>(ranks, count);
    wrong += wrong_sums<binllm::bf16>(ranks, count);
  }
  const auto size = static_cast<double>(ranks.size());
  if (ranks.sum(static_cast<double>(ranks.rank()) + 0.25) != size * (size - 1) / 2 + 0.25 * size) wrong += " number";
  const std::string own(static_cast<std::size_t>(ranks.rank()) * 1000, static_cast<char>('a' + ranks.rank()));
  const auto all = ranks.gather(own);
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (all[r] != std::string(r * 1000, static_cast<char>('a' + r))) wrong += " gather";
  }
  if (ranks.broadcast(ranks.rank() == 0 ? "news" : "old") != "news") wrong += " broadcast";
  ranks.barrier();
  return wrong;
}

}  // namespace
