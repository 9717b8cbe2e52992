// SPDX-License-Identifier: MIT
/// Which instructions the kernels of packed products and of products of bf16 use: chosen once, when the program runs,
/// whatever flags it was compiled with.
#pragma once
#include <binllm/core/error.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace binllm {

/// In order of preference, least first. Each includes those before it of the same kind of processor.
enum class InstructionSet : std::uint8_t {
  plain,        ///< C++ alone
  simd128,      ///< WebAssembly; a program has it or not from when it is compiled (-msimd128)
  neon,         ///< ARM64, all of them
  avx2,         ///< with FMA: x86-64-v3
  avx512,       ///< F, BW, DQ, VL, VBMI and VNNI: Ice Lake and later
  avx512_bf16,  ///< avx512 with BF16: Zen 4, Sapphire Rapids and later
  amx,          ///< avx512_bf16 with AMX int8 and bf16 tiles: Sapphire Rapids and later
};
inline constexpr std::array instruction_sets{
    InstructionSet::plain,  InstructionSet::simd128,     InstructionSet::neon, InstructionSet::avx2,
    InstructionSet::avx512, InstructionSet::avx512_bf16, InstructionSet::amx};

[[nodiscard]] constexpr std::string_view name_of(InstructionSet set) noexcept {
  constexpr std::array<std::string_view, instruction_sets.size()> names{"plain",  "simd128",     "neon", "avx2",
                                                                        "avx512", "avx512-bf16", "amx"};
  return names[static_cast<std::size_t>(set)];
}

/// The set of that name. Errors: unknown_name, listing the known ones.
[[nodiscard]] inline InstructionSet instruction_set_named(std::string_view name, std::string_view argument = "name") {
  for (const InstructionSet set : instruction_sets) {
    if (name_of(set) == name) return set;
  }
  throw Error(ErrorId::unknown_name, "instruction_set", argument,
              "plain, simd128, neon, avx2, avx512, avx512-bf16 or amx", name);
}

namespace detail {

/// Whether the set is one of the kind of processor that this program was compiled for.
[[nodiscard]] constexpr bool is_of_this_kind(InstructionSet set) noexcept {
#if defined(__x86_64__)
  return set != InstructionSet::simd128 && set != InstructionSet::neon;
#elif defined(__wasm_simd128__)
  return set == InstructionSet::plain || set == InstructionSet::simd128;
#elif defined(__aarch64__)
  return set == InstructionSet::plain || set == InstructionSet::neon;
#else
  return set == InstructionSet::plain;
#endif
}

#if defined(__x86_64__)
/// Tiles keep 8 KiB of state a thread, so Linux lends them to programs that ask.
[[nodiscard]] inline bool tiles_granted() noexcept {
#if defined(__linux__)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
[[nodiscard]] inline bool has_amx() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & (bf16 | tile | int8)) == (bf16 | tile | int8) &&
         tiles_granted();
}
#endif

/// The best set without tiles, for which nobody's permission is needed.
[[nodiscard]] inline InstructionSet detect_vector_set() noexcept {
#if defined(__x86_64__)
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return InstructionSet::plain;
  const bool vectors = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool look_up = __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
  if (!(vectors && look_up)) return InstructionSet::avx2;
  return __builtin_cpu_supports("avx512bf16") ? InstructionSet::avx512_bf16 : InstructionSet::avx512;
#elif defined(__wasm_simd128__)
  return InstructionSet::simd128;
#elif defined(__aarch64__)
  return InstructionSet::neon;
#else
  return InstructionSet::plain;
#endif
}

[[nodiscard]] inline InstructionSet best_vector_set() noexcept {
  static const InstructionSet best = detect_vector_set();
  return best;
}

}  // namespace detail

/// The best set that this processor and its operating system have.
[[nodiscard]] inline InstructionSet best_instruction_set() noexcept {
#if defined(__x86_64__)
  static const InstructionSet best = detail::best_vector_set() == InstructionSet::avx512_bf16 && detail::has_amx()
                                         ? InstructionSet::amx
                                         : detail::best_vector_set();
  return best;
#else
  return detail::best_vector_set();
#endif
}
/// Asks for the permission to use tiles only where the set is amx.
[[nodiscard]] inline bool is_supported(InstructionSet set) noexcept {
  if (!detail::is_of_this_kind(set)) return false;
  return set <= detail::best_vector_set() || (set == InstructionSet::amx && best_instruction_set() == set);
}

namespace detail {

[[nodiscard]] inline InstructionSet checked(InstructionSet set, std::string_view argument) {
  if (is_supported(set)) return set;
  throw Error(ErrorId::option_out_of_range, "instruction_set", argument,
              message("at most '{}', the best of this processor", name_of(best_instruction_set())),
              message("'{}'", name_of(set)));
}
/// What the environment variable asks for; the best set where it is absent or empty.
[[nodiscard]] inline InstructionSet instruction_set_asked_for(const char* name) {
  if (name == nullptr || *name == '\0') return best_instruction_set();
  return checked(instruction_set_named(name, "BINLLM_FORCE_ISA"), "BINLLM_FORCE_ISA");
}
[[nodiscard]] inline InstructionSet& chosen_instruction_set() {
  static InstructionSet chosen = instruction_set_asked_for(std::getenv("BINLLM_FORCE_ISA"));
  return chosen;
}

}  // namespace detail

/// The set in use: the best one, or the one that the environment variable BINLLM_FORCE_ISA names.
/// Errors, at the first call: unknown_name, option_out_of_range (this processor does not have it).
[[nodiscard]] inline InstructionSet instruction_set() { return detail::chosen_instruction_set(); }

/// Uses another one from now on; not while a product runs. Errors: option_out_of_range.
inline void set_instruction_set(InstructionSet set) { detail::chosen_instruction_set() = detail::checked(set, "set"); }

}  // namespace binllm
