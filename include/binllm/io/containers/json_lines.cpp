// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/json_lines.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string>
#include <utility>

namespace binllm {
namespace {

/// Follows a link to a pipe or a device alone, such as /dev/stdout.
FileDescriptor open_log(const std::filesystem::path& path) {
  constexpr int flags = O_WRONLY | O_APPEND | O_CLOEXEC;
  FileDescriptor file(::open(path.c_str(), flags | O_CREAT | O_NOFOLLOW, 0666));
  if (file.get() < 0 && errno == ELOOP) {
    struct stat target {};
    if (::stat(path.c_str(), &target) != 0 || S_ISREG(target.st_mode)) {
      throw Error(ErrorId::write_failed, "JsonLines", path.string(), "a file of its own",
                  "a symbolic link, which is not followed");
    }
    file = FileDescriptor(::open(path.c_str(), flags));
  }
  if (file.get() < 0) detail::throw_write_failed("JsonLines", path, errno);
  return file;
}

}  // namespace

JsonLines::JsonLines(std::filesystem::path path, std::uint64_t keep_bytes)
    : path_(std::move(path)), file_(open_log(path_)) {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) detail::throw_write_failed("JsonLines", path_, errno);
  bytes_ = static_cast<std::uint64_t>(status.st_size);
  if (keep_bytes == npos) return;
  if (keep_bytes > bytes_) {
    throw Error(ErrorId::resume_mismatched, "JsonLines", path_.string(), fmt::format("at least {} bytes", keep_bytes),
                fmt::format("{} bytes", bytes_));
  }
  if (keep_bytes < bytes_ && ::ftruncate(file_.get(), static_cast<off_t>(keep_bytes)) != 0) {
    detail::throw_write_failed("JsonLines", path_, errno);
  }
  bytes_ = keep_bytes;
}

void JsonLines::append(std::string_view json_object_line) {
  if (json_object_line.empty() || json_object_line.find('\n') != std::string_view::npos) {
    throw Error(ErrorId::option_out_of_range, "JsonLines::append", "json_object_line",
                "one line without its line break", json_object_line.empty() ? "an empty line" : "a line break inside");
  }
  const std::string line = std::string(json_object_line) + '\n';
  try {
    detail::write_all(file_, std::as_bytes(std::span(line)), "JsonLines::append", path_);
  } catch (const Error&) {
    // A torn line would make the file unreadable; where even this fails, the first error is the one to report.
    if (::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) errno = 0;
    throw;
  }
  bytes_ += line.size();
}

void JsonLines::sync() {
  if (::fsync(file_.get()) != 0) detail::throw_write_failed("JsonLines::sync", path_, errno);
}

}  // namespace binllm
