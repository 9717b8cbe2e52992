// SPDX-License-Identifier: MIT
/// Options of a command are plain structs that name their members once, in `visit(v, self)`:
///
///     v("valid_windows", self.valid_windows, "judge by its first so many windows only", at_least(1));
///
/// Here is what comes from that list: flags and --help, checks, records in run.json, and the list of `--options`. The
/// flag of a member has its name, with '-' for '_'.
#pragma once
#include <binllm/core/counts.hpp>
#include <binllm/core/nearest_word.hpp>
#include <binllm/core/type_list.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace program {

using binllm::above;
using binllm::any;
using binllm::at_least;
using binllm::at_least_or_infinite;
using binllm::between;
using binllm::count_from;
using binllm::OptionRange;
using binllm::OptionSet;

/// A range, and what a command line wants to know besides.
struct Flag : OptionRange {
  bool required = false;
  bool repeated = false;          ///< one value at a time; again for another
  std::string_view default_is{};  ///< what --help says of a default that is no value
  std::vector<std::string> one_of{};
  bool positional = false;            ///< may stand without its name
  std::string (*listed)() = nullptr;  ///< what the value `list` prints, in place of all that the command does
  bool may_be_empty = false;          ///< whether '' is a value of a text
  std::vector<std::string> known{};   ///< values that a shell offers, where there are others, too
};
[[nodiscard]] inline Flag required() { return {any, true, false, {}, {}, false}; }
/// Required, and may stand without its name: in the order of such members.
[[nodiscard]] inline Flag positional() { return {any, true, false, {}, {}, true}; }
/// The same, not required.
[[nodiscard]] inline Flag optional_positional() { return {any, false, false, {}, {}, true}; }
[[nodiscard]] inline Flag repeated() { return {any, false, true, {}, {}, false}; }
/// The same, where a text without a character is one too.
[[nodiscard]] inline Flag repeated_texts() { return {any, false, true, {}, {}, false, nullptr, true}; }
/// The value `list` prints a text, and the program ends.
[[nodiscard]] inline Flag with_list(std::string (*text)(), std::string_view default_is,
                                    std::vector<std::string> known) {
  known.emplace_back("list");
  return {any, false, false, default_is, {}, false, text, false, std::move(known)};
}
/// The same flag, of whose values these are known.
[[nodiscard]] inline Flag with_known(std::vector<std::string> words, Flag flag = {}) {
  flag.known = std::move(words);
  return flag;
}
/// The names of a list of types, or of a table whose rows have a `name`.
template <class Types>
[[nodiscard]] std::vector<std::string> names_in() {
  std::vector<std::string> names;
  binllm::for_each_type<Types>([&]<class T>() { names.emplace_back(T::name); });
  return names;
}
template <class Table>
[[nodiscard]] std::vector<std::string> names_in(const Table& table) {
  std::vector<std::string> names;
  for (const auto& row : table) names.emplace_back(row.name);
  return names;
}
[[nodiscard]] inline Flag shown_as(std::string_view default_is, OptionRange range = any) {
  return {range, false, false, default_is, {}, false};
}

namespace detail {

template <class N>
inline constexpr bool is_number = std::is_arithmetic_v<N> && !std::is_same_v<N, bool>;

template <class N>
[[nodiscard]] constexpr const char* type_name() {
  return std::is_floating_point_v<N> ? "FLOAT" : std::is_unsigned_v<N> ? "UINT" : "INT";
}

/// The whole text as a number, decimal, 0x... or 0...; false for anything else, and for what N cannot hold.
template <class N>
[[nodiscard]] bool parse(const std::string& text, N& number) {
  if (text.empty() || text.front() == ' ') return false;
  char* rest = nullptr;
  errno = 0;
  if constexpr (std::is_floating_point_v<N>) {
    number = static_cast<N>(std::strtod(text.c_str(), &rest));
    return *rest == '\0';
  } else if constexpr (std::is_unsigned_v<N>) {
    const auto found = std::strtoull(text.c_str(), &rest, 0);
    number = static_cast<N>(found);
    return *rest == '\0' && errno == 0 && text.front() != '-' && number == found;
  } else {
    const auto found = std::strtoll(text.c_str(), &rest, 0);
    number = static_cast<N>(found);
    return *rest == '\0' && errno == 0 && number == found;
  }
}

template <class Rule>
[[nodiscard]] Flag flag_of(const Rule& rule) {
  if constexpr (std::is_same_v<Rule, Flag>) {
    return rule;
  } else {
    return {rule, false, false, {}, {}, false};
  }
}

}  // namespace detail

/// "a, b, c".
[[nodiscard]] inline std::string listed(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}
/// ": did you mean windows?" where one of the words is near, else nothing.
[[nodiscard]] inline std::string did_you_mean(std::string_view word, const std::vector<std::string>& words) {
  const std::string meant = binllm::nearest_word(word, words);
  return meant.empty() ? meant : ": did you mean " + meant + "?";
}
/// Takes one of the words.
[[nodiscard]] inline CLI::Validator one_of(const std::vector<std::string>& words) {
  return {[words](const std::string& found) {
            if (std::find(words.begin(), words.end(), found) != words.end()) return std::string();
            return fmt::format("wanted {}, found {}{}", listed(words), found, did_you_mean(found, words));
          },
          "{" + listed(words) + "}"};
}

/// A visitor that passes one member by.
template <class V>
[[nodiscard]] auto without(std::string_view name, V& v) {
  return [name, &v](std::string_view member, auto& value, std::string_view help, const auto& rule) {
    if (member != name) v(member, value, help, rule);
  };
}

[[nodiscard]] inline std::string flag_name(std::string_view member) {
  std::string name = "--" + std::string(member);
  for (char& c : name) c = c == '_' ? '-' : c;
  return name;
}

/// A flag with the name that it had in earlier versions, where that was another.
[[nodiscard]] inline std::string with_former_name(const std::string& flag) {
  return flag == "--sharpness" ? flag + ",--hardness" : flag;
}

/// Adds a flag for each member; present values are the defaults.
struct AddFlags {
  CLI::App& command;

  template <class Member, class Rule>
  void operator()(std::string_view member, Member& value, std::string_view help, const Rule& rule) const {
    if constexpr (OptionSet<Member>) {
      Member::visit(*this, value);
    } else {
      const Flag flag = detail::flag_of(rule);
      CLI::Option* const option = add(flag_name(member), value, std::string(help), flag);
      if (flag.required) option->required();
      if (flag.repeated) option->allow_extra_args(false);
      if (!flag.one_of.empty()) option->check(one_of(flag.one_of));
      if (!flag.default_is.empty()) option->default_str(std::string(flag.default_is));
      if (flag.listed != nullptr) {
        option->each([listed = flag.listed](const std::string& value) {
          if (value != "list") return;
          std::fputs(listed().c_str(), stdout);
          throw CLI::Success();
        });
      }
    }
  }

 private:
  CLI::Option* add(const std::string& name, bool& value, const std::string& help, const Flag&) const {
    return command.add_flag(value ? name + ",!--no-" + name.substr(2) : name, value, help)->disable_flag_override();
  }
  template <class N>
  requires detail::is_number<N> CLI::Option* add(const std::string& name, N& value, const std::string& help,
                                                 const Flag& flag) const {
    const auto read = [name, &value](const std::string& text) {
      if (!detail::parse(text, value)) throw CLI::ConversionError({text}, name);
    };
    return command
        .add_option_function<std::string>(with_former_name(name), read, fmt::format("{} ({})", help, flag.text()))
        ->type_name(detail::type_name<N>())
        ->default_str(fmt::format("{}", value));
  }
  template <class Words>
  CLI::Option* add(const std::string& name, Words& value, const std::string& help, const Flag& flag) const {
    const std::string names = flag.positional ? name + "," + name.substr(2) : name;
    CLI::Option* const option = command.add_option(names, value, help);
    const auto refuse_nothing = [](const std::string& word) {
      return word.empty() ? std::string("wanted a value, found nothing") : std::string();
    };
    if (!flag.may_be_empty) option->check(CLI::Validator(refuse_nothing, "", ""));
    if (!value.empty()) option->capture_default_str();
    return option;
  }
};

/// Refuses numbers that are out of range; options with a check of their own are asked before. Errors:
/// option_out_of_range.
template <class Options>
void check_ranges(std::string_view command, const Options& options) {
  if constexpr (requires { options.check(); }) options.check();
  const auto check_member = [&]<class Member>(std::string_view name, const Member& value, const auto&,
                                              const OptionRange& range) {
    if constexpr (OptionSet<Member>) {
      check_ranges(command, value);
    } else if constexpr (detail::is_number<Member>) {
      if (range.holds(static_cast<double>(value))) return;
      throw binllm::Error(binllm::ErrorId::option_out_of_range, command, flag_name(name), range.text(),
                          fmt::format("{}", value));
    }
  };
  Options::visit(check_member, options);
}

/// The members as a JSON object, groups within it as objects of their own.
template <OptionSet Options>
[[nodiscard]] nlohmann::ordered_json to_json(const Options& options) {
  auto object = nlohmann::ordered_json::object();
  Options::visit(
      [&]<class Member>(std::string_view member, const Member& value, const auto&, const OptionRange&) {
        if constexpr (OptionSet<Member>) {
          object[std::string(member)] = to_json(value);
        } else {
          object[std::string(member)] = value;
        }
      },
      options);
  return object;
}

/// A line of JSON for each flag: the list that `binllm --options` prints.
struct ListFlags {
  std::string_view command;
  std::string& lines;

  template <class Member, class Rule>
  void operator()(std::string_view member, const Member& value, std::string_view help, const Rule& rule) const {
    if constexpr (OptionSet<Member>) {
      Member::visit(*this, value);
    } else {
      const Flag flag = detail::flag_of(rule);
      nlohmann::ordered_json line{{"command", command}, {"flag", flag_name(member)}, {"help", help}};
      if constexpr (detail::is_number<Member>) {
        line["type"] = detail::type_name<Member>();
        line["range"] = flag.text();
        line["infinity"] = flag.holds(std::numeric_limits<double>::infinity());
        line["negative"] = flag.holds(-1);
        if (std::isfinite(flag.least)) line["least"] = flag.least;
        if (std::isfinite(flag.most)) line["most"] = flag.most;
      } else {
        line["type"] = std::is_same_v<Member, bool> ? "FLAG" : "TEXT";
        if (!flag.one_of.empty()) line["one_of"] = flag.one_of;
        if (!flag.known.empty()) line["known"] = flag.known;
        line["may_be_empty"] = flag.may_be_empty;
      }
      if (!flag.default_is.empty()) {
        line["default"] = flag.default_is;
      } else if constexpr (detail::is_number<Member>) {
        line["default"] = fmt::format("{}", value);
      } else if constexpr (std::is_convertible_v<Member, std::string>) {
        line["default"] = std::string(value);
      }
      line["required"] = flag.required;
      lines += line.dump() + '\n';
    }
  }
};

/// Which members the command line gave.
struct GivenFlags {
  std::string command;
  std::set<std::string, std::less<>> flags;

  [[nodiscard]] bool has(std::string_view member) const { return flags.contains(flag_name(member)); }
  /// No flag does nothing in silence: where one of `members` was given, and another setting leaves it without effect,
  /// that is an error. It says what was `wanted` beside the flag, and what was `found`. Errors: config_inconsistent.
  void refuse(std::initializer_list<std::string_view> members, std::string_view wanted, std::string_view found) const {
    for (const std::string_view member : members) {
      if (has(member))
        throw binllm::Error(binllm::ErrorId::config_inconsistent, command, flag_name(member), wanted, found);
    }
  }
};

[[nodiscard]] inline GivenFlags given_flags(const CLI::App& command) {
  GivenFlags given{command.get_name(), {}};
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0) given.flags.insert(option->get_name());
  }
  return given;
}

/// A subcommand: its flags, and run(options) once they are checked: each by itself, then what `refuse_idle(given)` of
/// the options has against flags beside others. Adds what it takes to `list`.
template <OptionSet Options, class Run>
requires std::invocable<Run&, Options&>
void add_command(CLI::App& app, std::string& list, const std::string& name, const std::string& help, Run run) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand(name, help);
  Options::visit(AddFlags{command}, *options);
  Options::visit(ListFlags{name, list}, *options);
  command.callback([options, run, name, &command] {
    check_ranges(name, *options);
    const GivenFlags given = given_flags(command);
    if constexpr (requires { options->common.given; }) options->common.given = given;
    if constexpr (requires { options->refuse_idle(given); }) options->refuse_idle(given);
    run(*options);
  });
}
/// The same, of a function that says by its argument what the options are.
template <OptionSet Options>
void add_command(CLI::App& app, std::string& list, const std::string& name, const std::string& help,
                 void (*run)(Options&)) {
  add_command<Options, void (*)(Options&)>(app, list, name, help, run);
}

}  // namespace program
