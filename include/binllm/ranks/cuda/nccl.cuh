// SPDX-License-Identifier: MIT
/// The communicator of GPUs over NCCL. nvcc only.
#pragma once
#include <binllm/device/cuda/late_library.hpp>
#include <binllm/device/cuda/runtime.cuh>
#include <binllm/ranks/nccl.hpp>

#include <cstring>
#include <string>
#include <vector>

namespace binllm::cuda {

struct NcclId {
  char bytes[128];
};

/// What is used of NCCL 2. Declared here, so that a program can be built where NCCL is not.
struct NcclLibrary {
  using Handle = void*;
  static constexpr int sum = 0, success = 0, in_progress = 7;

  LateLibrary library{"nccl", "libnccl.so.2"};
  int (*unique_id)(NcclId*) = library["ncclGetUniqueId"];
  int (*init)(Handle*, int, NcclId, int) = library["ncclCommInitRank"];
  int (*all_reduce)(const void*, void*, std::size_t, int, int, Handle, cudaStream_t) = library["ncclAllReduce"];
  int (*reduce_scatter)(const void*, void*, std::size_t, int, int, Handle, cudaStream_t) = library["ncclReduceScatter"];
  int (*all_gather)(const void*, void*, std::size_t, int, Handle, cudaStream_t) = library["ncclAllGather"];
  int (*reduce)(const void*, void*, std::size_t, int, int, int, Handle, cudaStream_t) = library["ncclReduce"];
  int (*broadcast)(const void*, void*, std::size_t, int, int, Handle, cudaStream_t) = library["ncclBroadcast"];
  int (*group_start)() = library["ncclGroupStart"];
  int (*group_end)() = library["ncclGroupEnd"];
  int (*async_error)(Handle, int*) = library["ncclCommGetAsyncError"];
  const char* (*error_text)(int) = library["ncclGetErrorString"];

  void check(int status, std::string_view operation) const {
    if (status != success) throw Error(ErrorId::device_failed, operation, "nccl", "success", error_text(status));
  }
};
/// Errors: device_missing where the library is not to be found.
[[nodiscard]] inline const NcclLibrary& nccl() {
  static const NcclLibrary functions;
  return functions;
}

/// ncclFloat32 and its like.
[[nodiscard]] inline int nccl_type(DType dtype) {
  return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 7 : dtype == DType::bf16 ? 9 : 1;
}

class NcclRanks final : public AnyCommunicator::Interface {
 public:
  explicit NcclRanks(std::shared_ptr<HostRanks> host) : host_(std::move(host)), handle_(std::make_shared<Handle>()) {
    NcclId id{};
    if (rank() == 0) nccl().check(nccl().unique_id(&id), "ncclGetUniqueId");
    const std::string sent = host_->broadcast({id.bytes, sizeof id.bytes});
    std::memcpy(id.bytes, sent.data(), std::min(sent.size(), sizeof id.bytes));
    (void)cuda::stream();  // the GPU is chosen
    nccl().check(nccl().init(&handle_->value, static_cast<int>(size()), id, static_cast<int>(rank())),
                 "ncclCommInitRank");
    int least = 0, greatest = 0;
    cuda::check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "ranks");
    cuda::check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest), "ranks");
    cuda::check(cudaEventCreateWithFlags(&asked_, cudaEventDisableTiming), "ranks");
    done_.resize(most_unfinished);
    for (cudaEvent_t& event : done_) cuda::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "ranks");
    host_->rendezvous().watch(handle_);
  }
  ~NcclRanks() override {
    host_->fail_if_unwinding();  // else the GPU might wait for the others, and they for it
    cudaStreamSynchronize(stream_);
    for (const cudaEvent_t event : done_) cudaEventDestroy(event);
    cudaEventDestroy(asked_);
    cudaStreamDestroy(stream_);
  }

  [[nodiscard]] Index rank() const override { return host_->rank(); }
  [[nodiscard]] Index size() const override { return host_->size(); }
  Work sum(const CommunicatedBlock& block) override {
    check_block(block, true);
    return begin([&](const NcclLibrary& n) {
      n.check(n.all_reduce(block.data, block.data, count(block.size), nccl_type(block.dtype), n.sum, handle_->value,
                           stream_),
              "ncclAllReduce");
    });
  }
  Work sum_share(const CommunicatedBlock& block) override {
    check_block(block, true);
    const int type = nccl_type(block.dtype);
    return begin([&](const NcclLibrary& n) {
      if (divides(block)) {
        const Share own = share_of(block.size, rank(), size());
        n.check(
            n.reduce_scatter(block.data, at(block, own.begin), count(own.size), type, n.sum, handle_->value, stream_),
            "ncclReduceScatter");
        return;
      }
      each_share(n, block, [&](const Share& share, int root) {
        void* const data = at(block, share.begin);
        n.check(n.reduce(data, data, count(share.size), type, n.sum, root, handle_->value, stream_), "ncclReduce");
      });
    });
  }
  Work gather_shares(const CommunicatedBlock& block) override {
    check_block(block, false);
    const int type = nccl_type(block.dtype);
    return begin([&](const NcclLibrary& n) {
      if (divides(block)) {
        const Share own = share_of(block.size, rank(), size());
        n.check(n.all_gather(at(block, own.begin), block.data, count(own.size), type, handle_->value, stream_),
                "ncclAllGather");
        return;
      }
      each_share(n, block, [&](const Share& share, int root) {
        void* const data = at(block, share.begin);
        n.check(n.broadcast(data, data, count(share.size), type, root, handle_->value, stream_), "ncclBroadcast");
      });
    });
  }
  void finish(Work work) override {
    if (work <= finished_) return;
    cuda::check(cudaStreamWaitEvent(cuda::stream(), done_[work % most_unfinished], 0), "ranks");
    finished_ = work;
  }
  void finish() override { finish(begun_); }
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes) override { return host_->gather(bytes); }
  [[nodiscard]] std::string broadcast(std::string_view bytes) override { return host_->broadcast(bytes); }
  void fail(std::string_view why) noexcept override { host_->fail(why); }
  void check() const override { host_->check(); }
  void defer_exit(bool on) noexcept override { host_->defer_exit(on); }

 private:
  static constexpr Work most_unfinished = 256;

  /// NCCL's communicator. It is never destroyed: that would wait for all ranks of the host, of which one may work on
  /// alone; the end of the process frees it as well.
  struct Handle final : Rendezvous::Watched {
    NcclLibrary::Handle value = nullptr;
    [[nodiscard]] std::string failure() override {
      int status = NcclLibrary::success;
      const int asked = nccl().async_error(value, &status);
      if (asked != NcclLibrary::success) status = asked;
      if (status == NcclLibrary::success || status == NcclLibrary::in_progress) return {};
      return std::string("NCCL: ") + nccl().error_text(status);
    }
  };

  static void check_block(const CommunicatedBlock& block, bool adds) {
    if (!block.on_gpu)
      throw Error(ErrorId::shape_mismatch, "ranks", "view", "memory of a GPU: these ranks are GPUs",
                  "memory of the host");
    if (adds && block.dtype == DType::u8)
      throw Error(ErrorId::dtype_unsupported, "ranks", "view", "F32, F64 or BF16 to sum", "U8");
  }
  [[nodiscard]] static std::size_t count(Index size) { return static_cast<std::size_t>(size); }
  [[nodiscard]] static void* at(const CommunicatedBlock& block, Index element) {
    return static_cast<std::byte*>(block.data) + count(element) * bytes_per_element(block.dtype);
  }
  [[nodiscard]] bool divides(const CommunicatedBlock& block) const { return block.size % (size() * share_step) == 0; }
  template <class Call>
  void each_share(const NcclLibrary& n, const CommunicatedBlock& block, const Call& call) const {
    n.check(n.group_start(), "ncclGroupStart");
    for (Index rank = 0; rank < size(); ++rank) {
      const Share share = share_of(block.size, rank, size());
      if (share.size > 0) call(share, static_cast<int>(rank));
    }
    n.check(n.group_end(), "ncclGroupEnd");
  }
  /// After all that the GPU was asked for, beside what it is asked for next.
  template <class Call>
  Work begin(const Call& call) {
    if (begun_ - finished_ == most_unfinished) finish(finished_ + 1);
    const NcclLibrary& n = nccl();
    cuda::check(cudaEventRecord(asked_, cuda::stream()), "ranks");
    cuda::check(cudaStreamWaitEvent(stream_, asked_, 0), "ranks");
    call(n);
    ++begun_;
    cuda::check(cudaEventRecord(done_[begun_ % most_unfinished], stream_), "ranks");
    return begun_;
  }

  std::shared_ptr<HostRanks> host_;
  std::shared_ptr<Handle> handle_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t asked_ = nullptr;
  std::vector<cudaEvent_t> done_;
  Work begun_ = 0, finished_ = 0;
};

template <class Unused>
AnyCommunicator Nccl<Unused>::open(std::shared_ptr<HostRanks> host) {
  return AnyCommunicator(std::make_shared<NcclRanks>(std::move(host)));
}

}  // namespace binllm::cuda
