# SPDX-License-Identifier: MIT
# What a script asks before it runs for minutes; sourced. Each names what is missing, and ends the script with status 1.

missing() { echo "${0##*/}: $*" >&2; exit 1; }
# need_program PROGRAM...: built, or on the path
need_program() {
  local program
  for program in "$@"; do command -v "$program" >/dev/null || missing "not built, or not on the path: $program"; done
}
# need_text FILE...: files with something in them
need_text() {
  local file
  for file in "$@"; do { [ -f "$file" ] && [ -s "$file" ]; } || missing "no file, or an empty one: $file"; done
}
# need_model MODEL...: model folders, or GGUF files
need_model() {
  local model
  for model in "$@"; do { [ -f "$model/config.json" ] || [ -f "$model" ]; } || missing "no model folder: $model"; done
}
# need_folder FOLDER...: that files may be written in, now or once it is made
need_folder() {
  local folder
  for folder in "$@"; do mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || missing "not a folder to write in: $folder"; done
}
# need_module PYTHON MODULE
need_module() { "$1" -c "import $2" 2>/dev/null || missing "no module $2 in $1"; }
