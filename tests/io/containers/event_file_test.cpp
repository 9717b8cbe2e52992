// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/containers/event_file.hpp>

#include <string>

using namespace binllm::test;
using binllm::Error;
using binllm::ErrorId;
using binllm::EventFile;

TEST_CASE("crc32c: the check value of its specification, and a block of zeros (RFC 3720, B.4)") {
  CHECK(binllm::crc32c("123456789") == 0xe3069283);
  CHECK(binllm::crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(binllm::crc32c("") == 0);
}

TEST_CASE("an event file holds what TensorBoard's own writer would: bytes by hand") {
  const TemporaryFolder folder;
  const auto path = folder / "events.out.tfevents.0";
  write_text(path, "an old file");
  EventFile file(path);
  file.scalar("loss", 300, 1.5, 2.0);
  const std::string bytes = read_text(path);

  // Event { wall_time: 0, file_version: "brain.Event:2" } and Event { wall_time: 2, step: 300, summary: ... }
  const std::string version = std::string("\x09") + std::string(8, '\0') + "\x1a\x0d" + "brain.Event:2";
  const std::string number = std::string("\x0a\x04") + "loss" + std::string("\x15\x00\x00\xc0\x3f", 5);
  const std::string summary = "\x0a" + std::string(1, static_cast<char>(number.size())) + number;
  const std::string event = std::string("\x09\x00\x00\x00\x00\x00\x00\x00\x40\x10\xac\x02", 12) + "\x2a" +
                            std::string(1, static_cast<char>(summary.size())) + summary;
  REQUIRE(bytes.size() == 2 * 16 + version.size() + event.size());
  CHECK(bytes[0] == static_cast<char>(version.size()));
  CHECK(bytes.substr(12, version.size()) == version);
  CHECK(bytes.substr(28 + version.size(), event.size()) == event);
  // The masked checksum of the length 24, as tensorboard 2.x writes it.
  CHECK(version.size() == 24);
  CHECK(bytes.substr(8, 4) == std::string("\xa3\x7f\x4b\x22", 4));
}

TEST_CASE("an event file that cannot be written is an error") {
  const TemporaryFolder folder;
  const Error error = error_of([&] { EventFile file(folder / "absent" / "events.out.tfevents.0"); });
  CHECK(error.id() == ErrorId::write_failed);
}
