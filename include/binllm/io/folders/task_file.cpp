// SPDX-License-Identifier: MIT
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/containers/text_lines.hpp>
#include <binllm/io/folders/task_file.hpp>

#include <nlohmann/json.hpp>

#include <charconv>
#include <string>
#include <utility>

namespace binllm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view operation = "load_task";

/// A line of a task's file.
class JsonRow final : public TaskRow {
 public:
  JsonRow(std::string place, const json& object) : place_(std::move(place)), object_(object) {}

  [[nodiscard]] bool has(std::string_view field) const override { return find(field) != nullptr; }
  [[nodiscard]] std::string text(std::string_view field) const override { return as_text(field, at(field)); }
  [[nodiscard]] std::vector<std::string> texts(std::string_view field) const override {
    const json& list = at(field);
    if (!list.is_array()) refuse(field, "a list of strings", list.type_name());
    std::vector<std::string> result;
    for (const json& one : list) result.push_back(as_text(field, one));
    return result;
  }
  [[nodiscard]] Index number(std::string_view field) const override {
    const json& value = at(field);
    if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{1} << 62)
      refuse(field, "a small whole number", value.dump());
    if (value.is_number_integer()) return value.get<Index>();
    if (value.is_string()) {
      const std::string digits = value.get<std::string>();
      Index result = 0;
      const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result);
      if (error == std::errc{} && rest == digits.data() + digits.size()) return result;
      refuse(field, "a whole number", "\"" + digits.substr(0, 64) + "\"");
    }
    refuse(field, "a whole number", value.type_name());
  }
  [[noreturn]] void refuse(std::string_view field, std::string_view wanted, std::string_view found) const override {
    throw Error(ErrorId::config_invalid, operation, fmt::format("{}: {}", place_, field), wanted, found);
  }

 private:
  [[nodiscard]] const json* find(std::string_view field) const {
    const json* value = &object_;
    while (value != nullptr && !field.empty()) {
      const std::size_t end = std::min(field.find('.'), field.size());
      const auto found = value->is_object() ? value->find(std::string(field.substr(0, end))) : value->end();
      value = found == value->end() ? nullptr : &*found;
      field.remove_prefix(std::min(end + 1, field.size()));
    }
    return value;
  }
  [[nodiscard]] const json& at(std::string_view field) const {
    if (const json* const value = find(field)) return *value;
    refuse(field, "such a field", "none");
  }
  [[nodiscard]] std::string as_text(std::string_view field, const json& value) const {
    if (!value.is_string()) refuse(field, "a string", value.type_name());
    return value.get<std::string>();
  }

  std::string place_;
  const json& object_;
};

void check(const TaskItem& item, const JsonRow& row) {
  const Index count = std::ssize(item.choices);
  if (count < 2) row.refuse("choices", "two or more", fmt::format("{}", count));
  for (const TaskChoice& choice : item.choices)
    if (choice.characters == 0 || choice.continuation == " ") row.refuse("choices", "texts", "an empty one");
  if (item.gold < 0 || item.gold >= count)
    row.refuse("gold", fmt::format("one of the {} choices, the first is 0", count), fmt::format("{}", item.gold));
}

fs::path file_of(const Task& task, const fs::path& folder) {
  const std::string name = std::string(task.name) + ".jsonl";
  std::error_code ignored;
  if (fs::exists(folder / name, ignored)) return folder / name;
  if (!task.other_file.empty() && fs::exists(folder / task.other_file, ignored)) return folder / task.other_file;
  throw Error(ErrorId::file_missing, operation, folder.string(),
              task.other_file.empty() ? name : fmt::format("{} or {}", name, task.other_file), "no such file");
}

}  // namespace

std::vector<TaskItem> load_task(const Task& task, const fs::path& folder, Index most) {
  if (most < 1) {
    throw Error(ErrorId::option_out_of_range, operation, "most", "at least 1", fmt::format("{}", most));
  }
  const fs::path path = file_of(task, folder);
  const MappedFile file(path);
  std::vector<TaskItem> items;
  for_each_line(file.text(), [&](std::string_view line, std::size_t number) {
    if (line.find_first_not_of(" \t\r") == line.npos) return true;
    const std::string place = fmt::format("{}: line {}", path.string(), number);
    const json object = detail::parse_json_object(line, 4, {ErrorId::config_invalid, std::string(operation), place});
    const JsonRow row(place, object);
    items.push_back(task.item(row));
    check(items.back(), row);
    return std::ssize(items) < most;
  });
  if (items.empty()) throw Error(ErrorId::config_invalid, operation, path.string(), "an item a line", "none");
  return items;
}

}  // namespace binllm
