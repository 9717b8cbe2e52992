// SPDX-License-Identifier: MIT
#include <binllm/ranks/host_ranks.hpp>

#include <algorithm>
#include <array>

namespace binllm {

namespace {

void check_block(const CommunicatedBlock& block, bool adds) {
  if (block.on_gpu) {
    throw Error(ErrorId::shape_mismatch, "ranks", "view", "memory of the host: these ranks are CPUs",
                "memory of a GPU");
  }
  if (adds && block.dtype == DType::u8)
    throw Error(ErrorId::dtype_unsupported, "ranks", "view", "F32, F64 or BF16 to sum", "U8");
}

/// to = the sum of the terms, from the first on; `to` may be one of them.
template <class T>
void add_in_order(const std::vector<std::span<const std::byte>>& terms, std::span<std::byte> to) {
  constexpr std::size_t piece = 1024;
  std::array<master_t<T>, piece> sum;
  const std::size_t count = to.size() / sizeof(T);
  for (std::size_t at = 0; at < count; at += piece) {
    const std::size_t some = std::min(piece, count - at);
    sum.fill(0);
    for (const auto& term : terms) {
      const T* const from = reinterpret_cast<const T*>(term.data()) + at;
      for (std::size_t i = 0; i < some; ++i) sum[i] += static_cast<master_t<T>>(from[i]);
    }
    T* const out = reinterpret_cast<T*>(to.data()) + at;
    for (std::size_t i = 0; i < some; ++i) out[i] = static_cast<T>(sum[i]);
  }
}

}  // namespace

std::span<std::byte> HostRanks::share(const CommunicatedBlock& block, Index rank) const {
  const Share share = share_of(block.size, rank, size());
  const std::size_t each = bytes_per_element(block.dtype);
  return {static_cast<std::byte*>(block.data) + static_cast<std::size_t>(share.begin) * each,
          static_cast<std::size_t>(share.size) * each};
}

void HostRanks::add_up(const CommunicatedBlock& block) {
  const std::span<std::byte> own = share(block, rank());
  received_.resize(own.size() * static_cast<std::size_t>(size()));
  std::vector<std::span<const std::byte>> out, terms;
  std::vector<std::span<std::byte>> in;
  for (Index r = 0; r < size(); ++r) {
    out.push_back(share(block, r));
    in.push_back(std::span(received_).subspan(static_cast<std::size_t>(r) * own.size(), own.size()));
    terms.push_back(r == rank() ? std::span<const std::byte>(own) : in.back());
  }
  transport_->exchange(++exchanges_, out, in);
  if (block.dtype == DType::f64) add_in_order<double>(terms, own);
  if (block.dtype == DType::f32) add_in_order<float>(terms, own);
  if (block.dtype == DType::bf16) add_in_order<bf16>(terms, own);
}

void HostRanks::send_shares(const CommunicatedBlock& block) {
  std::vector<std::span<const std::byte>> out;
  std::vector<std::span<std::byte>> in;
  for (Index r = 0; r < size(); ++r) {
    out.push_back(share(block, rank()));
    in.push_back(share(block, r));
  }
  transport_->exchange(++exchanges_, out, in);
}

Work HostRanks::sum(const CommunicatedBlock& block) {
  check_block(block, true);
  return queue_.begin([this, block] {
    add_up(block);
    send_shares(block);
  });
}
Work HostRanks::sum_share(const CommunicatedBlock& block) {
  check_block(block, true);
  return queue_.begin([this, block] { add_up(block); });
}
Work HostRanks::gather_shares(const CommunicatedBlock& block) {
  check_block(block, false);
  return queue_.begin([this, block] { send_shares(block); });
}
void HostRanks::finish(Work work) {
  const Rendezvous::Waiting waiting(*rendezvous_, Rendezvous::Waiting::exchanging, work);
  queue_.finish(work);
}

}  // namespace binllm
