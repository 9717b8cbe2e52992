// SPDX-License-Identifier: MIT
struct Dense {
  static constexpr std::string_view name = "dense";
};
template <class Kind>
struct Quantised {
  static constexpr std::string_view name = Kind::name;
};
template <class T>
struct Plank {
  static constexpr std::string_view name = "plank", summary = "sawn";
  struct Part {};
};
template <class T>
using Board =
    Quantised<Plank<T>>;
struct Shelf : Board<float> {};
