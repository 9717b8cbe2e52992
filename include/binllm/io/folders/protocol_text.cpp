// SPDX-License-Identifier: MIT
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/containers/text_lines.hpp>
#include <binllm/io/folders/protocol_text.hpp>

#include <nlohmann/json.hpp>

#include <vector>

namespace binllm {
namespace {

constexpr const char* operation = "read_protocol_text";

/// The member "text" of each line.
std::vector<std::string> json_documents(std::string_view lines, const std::string& path, Index most) {
  std::vector<std::string> documents;
  for_each_line(lines, [&](std::string_view line, std::size_t number) {
    if (line.find_first_not_of(" \t\r") == line.npos) return true;
    const std::string place = fmt::format("{}: line {}", path, number);
    const auto object = detail::parse_json_object(line, 8, {ErrorId::config_invalid, operation, place});
    const auto text = object.find("text");
    if (text == object.end() || !text->is_string()) {
      throw Error(ErrorId::config_invalid, operation, place + ": text", "a string",
                  text == object.end() ? "no such field" : text->type_name());
    }
    documents.push_back(text->get<std::string>());
    return std::ssize(documents) < most;
  });
  return documents;
}

}  // namespace

std::string read_protocol_text(const Protocol& protocol, const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const std::string extension = file.extension().string();
  const bool json = protocol.rows == ProtocolRows::documents && (extension == ".json" || extension == ".jsonl");
  const auto rows = json ? json_documents(mapped.text(), file.string(), protocol.most_rows)
                         : protocol_rows(protocol.rows, mapped.text(), protocol.most_rows);
  if (rows.empty()) throw Error(ErrorId::text_too_short, operation, file.string(), "a row of text", "none");
  return joined(protocol, rows);
}

}  // namespace binllm
