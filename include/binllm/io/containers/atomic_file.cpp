// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/atomic_file.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace binllm {
namespace {

/// True while the open file is still the one that bears the name.
bool bears_name(const FileDescriptor& file, const std::filesystem::path& name) {
  struct stat open_file {
  }, named_file{};
  return ::fstat(file.get(), &open_file) == 0 && ::lstat(name.c_str(), &named_file) == 0 &&
         open_file.st_dev == named_file.st_dev && open_file.st_ino == named_file.st_ino;
}

void sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.parent_path();
  const std::filesystem::path folder = parent.empty() ? "." : parent;
  const FileDescriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) detail::throw_write_failed("AtomicFile::commit", folder, errno);
  // EINVAL: this file system has nothing to sync for a folder.
  if (::fsync(file.get()) != 0 && errno != EINVAL) detail::throw_write_failed("AtomicFile::commit", folder, errno);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += ".tmp";
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored)) detail::throw_write_failed("AtomicFile", path_, EISDIR);
  FileDescriptor file(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file.get() < 0) detail::throw_write_failed("AtomicFile", temporary_, errno);
  // Two writers of one target: the second is refused. It may also have opened the file just before the first renamed
  // it, and must not empty what is the target by now.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || !bears_name(file, temporary_)) {
    throw Error(ErrorId::write_failed, "AtomicFile", path_.string(), "one writer at a time",
                temporary_.string() + " in use by another writer");
  }
  if (::ftruncate(file.get(), 0) != 0) detail::throw_write_failed("AtomicFile", temporary_, errno);
  file_ = std::move(file);
}

AtomicFile::~AtomicFile() {
  if (state_ != State::renamed) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (state_ == State::renamed) detail::throw_write_failed("AtomicFile::write", path_, EBADF);
  const State before = std::exchange(state_, State::failed);  // until all bytes are out
  detail::write_all(file_, bytes, "AtomicFile::write", path_);
  state_ = before;
}

void AtomicFile::overwrite(std::size_t offset, std::span<const std::byte> bytes) {
  const auto end = ::lseek(file_.get(), 0, SEEK_END);
  if (end < 0 || ::lseek(file_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
    detail::throw_write_failed("AtomicFile::overwrite", path_, errno);
  }
  write(bytes);
  if (::lseek(file_.get(), end, SEEK_SET) < 0) detail::throw_write_failed("AtomicFile::overwrite", path_, errno);
}

void AtomicFile::commit() {
  if (state_ != State::open) {
    throw Error(ErrorId::write_failed, "AtomicFile::commit", path_.string(), "a file whose every write succeeded",
                state_ == State::failed ? "a failed write" : "a file committed before");
  }
  if (::fsync(file_.get()) != 0) detail::throw_write_failed("AtomicFile::commit", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) detail::throw_write_failed("AtomicFile::commit", path_, errno);
  state_ = State::renamed;
  sync_folder_of(path_);
}

namespace {
/// Errors: write_failed where something that is no folder has the name.
void check_is_folder(std::string_view operation, const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored) || std::filesystem::is_directory(path, ignored)) return;
  throw Error(ErrorId::write_failed, operation, path.string(), "a folder", "a file in its place");
}
}  // namespace

void check_may_write(const std::filesystem::path& folder) {
  std::filesystem::path nearest = folder;
  while (::access(nearest.empty() ? "." : nearest.c_str(), F_OK) != 0) {
    if (errno != ENOENT || nearest.empty()) detail::throw_write_failed("check_may_write", folder, errno);
    nearest = nearest.parent_path();
  }
  if (nearest.empty()) nearest = ".";
  check_is_folder("check_may_write", nearest);
  if (::access(nearest.c_str(), W_OK | X_OK) != 0) detail::throw_write_failed("check_may_write", nearest, errno);
}

void check_may_write_file(const std::filesystem::path& file) {
  std::error_code absent;
  if (file.filename().empty() || std::filesystem::is_directory(file, absent))
    detail::throw_write_failed("check_may_write", file, EISDIR);
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!std::filesystem::exists(folder, absent)) detail::throw_write_failed("check_may_write", folder, ENOENT);
  check_may_write(folder);
}

void check_writable(const std::filesystem::path& folder) {
  check_is_folder("check_writable", folder);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) detail::throw_write_failed("check_writable", folder, error.value());
  std::string name = (folder / ".writable-XXXXXX").string();
  const FileDescriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) detail::throw_write_failed("check_writable", folder, errno);
  ::unlink(name.c_str());
  detail::write_all(file, std::array{std::byte{0}}, "check_writable", folder);
}

}  // namespace binllm
