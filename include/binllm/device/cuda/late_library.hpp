// SPDX-License-Identifier: MIT
/// Shared libraries that are loaded when first used. Linked, cuBLASLt alone would cost a program 157 MB from its start,
/// also where it never uses a GPU.
#pragma once
#include <binllm/core/error.hpp>

#include <dlfcn.h>

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>

namespace binllm::cuda {

/// One library of CUDA's; once open, it stays so until the process ends.
class LateLibrary {
 public:
  /// The address of a function, as the kind of pointer that it is given to.
  struct Function {
    void* address;
    template <class F>
    operator F*() const {  // the declaration on the left names the type
      return reinterpret_cast<F*>(address);
    }
  };

  /// Opens a file such as "libcublasLt.so.13": first where the system looks (LD_LIBRARY_PATH, ldconfig), then in the
  /// folder lib64 of $CUDA_PATH, $CUDA_HOME and /usr/local/cuda. Errors: device_missing, naming the file, for the sake
  /// of `operation`.
  LateLibrary(std::string_view operation, const std::string& file) : operation_(operation), file_(file) {
    open(file);
    const std::string reason = handle_ == nullptr ? ::dlerror() : "";
    const std::initializer_list<const char*> folders{std::getenv("CUDA_PATH"), std::getenv("CUDA_HOME"),
                                                     "/usr/local/cuda"};
    for (const char* folder : folders) {
      if (handle_ == nullptr && folder != nullptr) open(folder + ("/lib64/" + file));
    }
    if (handle_ != nullptr) return;
    throw Error(ErrorId::device_missing, operation, file, "a library of CUDA, in LD_LIBRARY_PATH or $CUDA_PATH/lib64",
                reason);
  }
  /// Errors: device_failed, naming a function that the library does not have.
  [[nodiscard]] Function operator[](const char* name) const {
    void* const address = ::dlsym(handle_, name);
    if (address == nullptr) throw Error(ErrorId::device_failed, operation_, file_, name, "a library without it");
    return {address};
  }

 private:
  void open(const std::string& path) { handle_ = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL); }

  std::string operation_, file_;
  void* handle_ = nullptr;
};

}  // namespace binllm::cuda
