// SPDX-License-Identifier: MIT
/// What the fuzz targets share: their list, an input as a file or folder, and checksums that are made to hold.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/mapped_memory.hpp>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::fuzz {

/// A reader of bytes that nobody vouches for, which says whether it took them. Bad ones are `Error`, which `run` keeps
/// to itself; any other exception, a crash, a hang, or memory beyond what the input's size explains, is a fault.
struct Target {
  std::string_view name;
  bool (*run)(std::string_view input);
};

/// The targets that are linked in.
inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}
struct Registered {
  Registered(std::string_view name, bool (*run)(std::string_view)) { targets().push_back({name, run}); }
};

/// What must hold of whatever was read without an error.
inline void require(bool held, const char* what) {
  if (!held) throw std::logic_error(what);
}

/// An error about a checksum names the one that the file has and the one that it should have. Puts each in the place of
/// the other, so that a changed input comes to what lies behind; false where the error is about something else.
inline bool mend_checksum(std::string& input, std::string_view message) {
  constexpr std::size_t digits = 16;
  std::vector<std::string> sums;
  for (std::size_t at = 0; at < message.size();) {
    const std::size_t end = std::min(message.find_first_not_of("0123456789abcdef", at), message.size());
    if (end - at == digits) sums.emplace_back(message.substr(at, digits));
    at = end + 1;
  }
  if (sums.size() != 2) return false;
  for (const auto& [from, to] : {std::pair{sums[0], sums[1]}, std::pair{sums[1], sums[0]}}) {
    const std::size_t place = input.find(from);
    if (place == std::string::npos) continue;
    input.replace(place, digits, to);
    return true;
  }
  return false;
}

/// Calls read(input); again, with a checksum mended, as long as that is all that is wrong and an end is in sight. True
/// where the last one threw no Error.
template <class Read>
bool read_mended(std::string_view original, const Read& read) {
  std::string input(original);
  for (int tries = 8; tries > 0; --tries) {
    try {
      read(input);
      return true;
    } catch (const Error& error) {
      if (!mend_checksum(input, error.what())) return false;
    }
  }
  return false;
}

/// Bytes under a path, in memory.
class MemoryFile {
 public:
  MemoryFile() : file_(::memfd_create("fuzz", MFD_CLOEXEC)), path_(fmt::format("/proc/self/fd/{}", file_.get())) {}

  const std::filesystem::path& with(std::string_view bytes) {
    const auto size = static_cast<ssize_t>(bytes.size());
    if (::pwrite(file_.get(), bytes.data(), bytes.size(), 0) != size || ::ftruncate(file_.get(), size) != 0) ::abort();
    return path_;
  }

 private:
  FileDescriptor file_;
  std::filesystem::path path_;
};

/// Calls read(path) on a file of these bytes, as read_mended does.
template <class Read>
bool read_file(std::string_view bytes, const Read& read) {
  static MemoryFile file;
  return read_mended(bytes, [&](const std::string& input) { read(file.with(input)); });
}

/// A folder in $TMPDIR whose files stand in one input, one after the other, each behind a line "=== NAME".
class InputFolder {
 public:
  /// Files of other names are left out, so that no input leads out of the folder.
  explicit InputFolder(std::initializer_list<std::string_view> names) : names_(names) {
    std::string name = (std::filesystem::temp_directory_path() / "binllm-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    path_ = name;
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;
  ~InputFolder() { clear(); }

  const std::filesystem::path& with(std::string_view input) {
    clear();
    std::filesystem::create_directory(path_);
    constexpr std::string_view mark = "=== ";
    while (input.starts_with(mark)) {
      const std::string_view name = line_of(input);
      const std::size_t end = input.starts_with(mark) ? 0 : input.find("\n=== ");
      write(name.substr(mark.size()), input.substr(0, end));
      input.remove_prefix(std::min(end, input.size()));
      if (input.starts_with('\n')) input.remove_prefix(1);
    }
    return path_;
  }

 private:
  /// The first line, which is taken off.
  static std::string_view line_of(std::string_view& input) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    return line;
  }
  void write(std::string_view name, std::string_view content) const {
    for (const std::string_view known : names_) {
      if (name != known) continue;
      const std::filesystem::path file = path_ / known;
      std::filesystem::create_directories(file.parent_path());
      std::ofstream(file, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
    }
  }
  void clear() const {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::vector<std::string_view> names_;
  std::filesystem::path path_;
};

}  // namespace binllm::fuzz
