// SPDX-License-Identifier: MIT
#include <binllm/io/containers/strict_json.hpp>

#include <nlohmann/json.hpp>

#include <set>
#include <utility>
#include <vector>

namespace binllm::detail {
namespace {

using nlohmann::json;

/// Watches the parser: depth is limited before memory is spent on it, and keys are compared as they come.
class Watch {
 public:
  Watch(int max_depth, const JsonOrigin& origin) : max_depth_(max_depth), origin_(origin) {}

  void operator()(int depth, json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth >= max_depth_) {
      refuse(fmt::format("at most {} levels of nesting", max_depth_), "more");
    }
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(parsed.get<std::string>()).second) {
      refuse("every key once", fmt::format("key \"{}\" twice", parsed.get<std::string>().substr(0, 128)));
    }
  }

  [[noreturn]] void refuse(std::string wanted, std::string found) const {
    throw Error(origin_.id, origin_.operation, origin_.argument, std::move(wanted), std::move(found));
  }

 private:
  int max_depth_;
  const JsonOrigin& origin_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

json parse_json_object(std::string_view text, int max_depth, const JsonOrigin& origin) {
  Watch watch(max_depth, origin);
  // The parser takes a zero byte for the end of its input, and would not look at what follows.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    watch.refuse("valid JSON", fmt::format("a zero byte at byte {}", zero + 1));
  }
  json value;
  try {
    value = json::parse(text.begin(), text.end(), [&](int depth, json::parse_event_t event, json& parsed) {
      watch(depth, event, parsed);
      return true;
    });
  } catch (const json::parse_error& error) {
    watch.refuse("valid JSON", fmt::format("an error at byte {}", error.byte));
  } catch (const json::exception& error) {
    watch.refuse("valid JSON", error.what());
  }
  if (!value.is_object()) watch.refuse("a JSON object", value.type_name());
  return value;
}

}  // namespace binllm::detail
