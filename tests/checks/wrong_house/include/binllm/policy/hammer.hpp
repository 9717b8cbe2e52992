// SPDX-License-Identifier: MIT
struct Hammer {
  static constexpr std::string_view summary = "drives nails", name = "hammer";
};
struct Saw {
  static constexpr std::string_view name =
      "saw";
};
struct Row {
  static constexpr std::string_view name = big ? "row" : "big-row";
};
struct Column {
  static constexpr std::string_view name = "column";
};
