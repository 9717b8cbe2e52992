# SPDX-License-Identifier: MIT
# Threads of WebAssembly need a server that sends certain headers, so programs have one; std::thread refuses another.
if(NOT TARGET Threads::Threads)
  add_library(Threads::Threads INTERFACE IMPORTED GLOBAL)
endif()
set(Threads_FOUND TRUE)
