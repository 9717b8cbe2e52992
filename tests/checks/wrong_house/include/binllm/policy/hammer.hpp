// SPDX-License-Identifier: MIT
struct Hammer {
  static constexpr std::string_view summary = "drives nails", name = "hammer";
};
struct Saw {
  static constexpr std::string_view name =
      "saw";
};
