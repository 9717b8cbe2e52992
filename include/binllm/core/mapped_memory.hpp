// SPDX-License-Identifier: MIT
/// Files as memory: read-only mappings, and unlinked temporary files that are written once and then mapped,
/// so that data larger than memory needs no code of its own. POSIX.
#pragma once
#include <binllm/core/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>

namespace binllm {

/// Owns an open file descriptor; move-only.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// Read-only pages of a file; move-only. The pages stay valid after the file is closed or unlinked,
/// but not after another process truncates it.
class MappedMemory {
 public:
  MappedMemory() = default;
  MappedMemory(MappedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedMemory& operator=(MappedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedMemory() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  /// Maps a whole regular file. Errors: file_missing, file_unreadable (no permission, a folder, a pipe).
  [[nodiscard]] static MappedMemory of_file(const std::string& path) {
    // Without O_NONBLOCK, opening a pipe would wait for its writer instead of being refused below.
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.get() < 0) {
      const bool missing = errno == ENOENT || errno == ENOTDIR;
      throw Error(missing ? ErrorId::file_missing : ErrorId::file_unreadable, "open", path, "a readable file",
                  std::strerror(errno));
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      throw Error(ErrorId::file_unreadable, "open", path, "a regular file", "a folder or a device");
    }
    return of_descriptor(file.get(), static_cast<std::size_t>(status.st_size), path);
  }

  /// Maps the first `bytes` of an open file; `name` is for the message only. Errors: file_unreadable.
  [[nodiscard]] static MappedMemory of_descriptor(int descriptor, std::size_t bytes, const std::string& name) {
    MappedMemory memory;
    if (bytes == 0) return memory;  // mmap refuses empty mappings
    void* const data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
      throw Error(ErrorId::file_unreadable, "map", name, "a file that can be mapped", std::strerror(errno));
    }
    memory.data_ = data;
    memory.size_ = bytes;
    return memory;
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(data_), size_};
  }
  /// The whole pages of a part of `bytes()` need not stay in memory; who reads them again reads the file again.
  void release(std::span<const std::byte> part) const noexcept {
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto start = static_cast<std::size_t>(part.data() - static_cast<const std::byte*>(data_));
    const std::size_t first = (start + page - 1) / page * page, last = (start + part.size()) / page * page;
    if (first < last) ::madvise(static_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Keeps the memory of a reader bounded who goes through mapped pages once, from the first to the last: pages behind
/// them are given back to the system. Whoever reads them again reads the file again.
class ReadOnce {
 public:
  explicit ReadOnce(const MappedMemory& memory) : pages_(memory.bytes()) {}

  /// All before this byte of the memory has been read.
  void passed(const void* position) noexcept {
    const auto done = static_cast<std::size_t>(static_cast<const std::byte*>(position) - pages_.data());
    const std::size_t end = done / step * step;
    if (end <= given_back_) return;
    ::madvise(const_cast<std::byte*>(pages_.data()) + given_back_, end - given_back_, MADV_DONTNEED);
    given_back_ = end;
  }

 private:
  static constexpr std::size_t step = std::size_t{1} << 24;  // whole pages of any size

  std::span<const std::byte> pages_;
  std::size_t given_back_ = 0;
};

/// A file without a name in $TMPDIR (or /tmp): it vanishes with its last user, however the process ends.
class TemporaryFile {
 public:
  /// Errors: write_failed where the folder cannot be written.
  TemporaryFile() {
    const char* const folder = std::getenv("TMPDIR");
    name_ = std::string(folder != nullptr && *folder != '\0' ? folder : "/tmp") + "/binllm-XXXXXX";
    file_ = FileDescriptor(::mkostemp(name_.data(), O_CLOEXEC));
    if (file_.get() < 0) fail();
    ::unlink(name_.c_str());
  }

  /// Appends `count` bytes. Errors: write_failed (disk full, say).
  void append(const void* data, std::size_t count) {
    const auto* position = static_cast<const char*>(data);
    size_ += count;
    while (count > 0) {
      const ssize_t written = ::write(file_.get(), position, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      position += written;
      count -= static_cast<std::size_t>(written);
    }
  }

  /// All that was appended, as memory that outlives this object.
  [[nodiscard]] MappedMemory map() const { return MappedMemory::of_descriptor(file_.get(), size_, name_); }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorId::write_failed, "temporary file", name_, "room to write", std::strerror(errno));
  }

  std::string name_;
  FileDescriptor file_;
  std::size_t size_ = 0;
};

}  // namespace binllm
