#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Hours of use in one run, and a table of it: fuzz targets, trainings that are killed, disks that are full, descriptors
# that are closed. Exit status 1 where anything was found.
# usage: tests/soak.sh [--only fuzz|kill|full|calls|closed]... [--runs N] [--folder-runs N] [--seconds S] [--kills N]
#                      [--fuzz FOLDER] [--program FILE] [--keep FOLDER]
#   --runs         executions of each reader of files in memory (10000000)
#   --folder-runs  executions of each reader of folders (100000)
#   --seconds      at most so long for each of them (0: no limit); the table has what was reached
#   --kills        kills of each training (250)
#   --fuzz         where the programs of the preset fuzz are (build/fuzz/tests/fuzz)
#   --program      binllm (build/release/examples/binllm)
#   --keep         where corpora and what was found stay (build/soak)
# The disks are tmpfs of a few pages each, so the part "full" wants root, or `unshare -rm tests/soak.sh`.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=() runs=10000000 folder_runs=100000 seconds=0 kills=250
fuzz=build/fuzz/tests/fuzz program=build/release/examples/binllm keep=build/soak
while [ $# -gt 0 ]; do
  case $1 in
    --only) parts+=("$2") ;;
    --runs) runs=$2 ;;
    --folder-runs) folder_runs=$2 ;;
    --seconds) seconds=$2 ;;
    --kills) kills=$2 ;;
    --fuzz) fuzz=$2 ;;
    --program) program=$2 ;;
    --keep) keep=$2 ;;
    *) sed -n '/^# usage/,/^set/p' "$0" | grep '^#' >&2; exit 2 ;;
  esac
  shift 2
done
[ ${#parts[@]} -gt 0 ] || parts=(fuzz kill full calls closed)
program=$(realpath "$program")
mkdir -p "$keep"
memory=/dev/shm
[ -d "$memory" ] || memory=${TMPDIR:-/tmp}
work=$(mktemp -d "$memory/binllm-soak.XXXXXX")
disk=
clean() {
  [ -z "$disk" ] || umount "$disk" 2>/dev/null || true
  rm -rf "$work"
}
trap clean EXIT
found=0
row() { printf '| %-44s | %10s | %s |\n' "$1" "$2" "$3"; }
fault() {
  found=$((found + 1))
  printf 'FOUND: %s\n' "$*" >&2
}

# ---- fuzz targets ----

in_memory=(safetensors gguf config sentencepiece tokenizer_json chat_template text checkpoint predictions tokens npy)
in_folders=(model_folder tokenizer_folder run_folder)

# Address space of a reader is bounded by its input: 8 KiB of input, 512 MB at most in one block.
fuzz_target() {
  local target=$1 wanted=$2 log="$work/$1.log" extra=() status=0 executed covered took
  [ -x "$fuzz/fuzz_$target" ] || { row "fuzz_$target" 0 "not built"; return; }
  case $target in
    tokenizer_json)
      mkdir -p "$work/golden"
      cp tests/golden/tokenizers/{llama3,neox,qwen2,smollm}.json "$work/golden"
      extra=("$work/golden")
      ;;
    gguf) mkdir -p "$work/blocks" && cp tests/io/containers/gguf/*.gguf "$work/blocks" && extra=("$work/blocks") ;;
  esac
  mkdir -p "$keep/corpus/$target" "$keep/found"
  TMPDIR="$work" "$fuzz/fuzz_$target" -runs="$wanted" -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=2000 \
    -malloc_limit_mb=512 -timeout=20 -keep_seed=1 -print_final_stats=1 -artifact_prefix="$keep/found/$target-" \
    "$keep/corpus/$target" "tests/fuzz/seeds/$target" "${extra[@]}" >"$log" 2>&1 || status=$?
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(grep -oE 'cov: [0-9]+' "$log" | tail -1 || true)
  took=$(sed -nE 's/^Done [0-9]+ runs in ([0-9]+) second.*/\1/p' "$log")
  if [ "$status" -ne 0 ]; then
    fault "fuzz_$target: $(grep -E 'what\(\)|SUMMARY|ERROR' "$log" | head -2 | tr '\n' ' ') (inputs in $keep/found)"
  fi
  row "fuzz_$target" "${executed:-0}" "${covered:-no coverage measured}; ${took:-?} s"
}

part_fuzz() {
  local target
  for target in "${in_memory[@]}"; do fuzz_target "$target" "$runs"; done
  for target in "${in_folders[@]}"; do fuzz_target "$target" "$folder_runs"; done
}

# ---- commands that write, and what a whole run of each leaves ----

# Sets `arguments` to those of a command that writes to $1; what they read is in $work.
shape=(--dim 16 --hidden 24 --layers 1 --heads 2 --kv-heads 1)
training() {  # of which --out is the first flag
  arguments=("$@" --built-in --valid-windows 4 --context 32 --batch 4 --threads 1 --checkpoint-every 7
    --tokens "$tokens")
  [ ! -e "$3/run.json" ] || arguments+=(--resume)  # one that was stopped early enough has left no run
}
pretrain() { training pretrain --out "$1" "${shape[@]}"; }
binarize() { training binarize --out "$1" --model "$work/dense" --chunks 5; }
pack() { arguments=(pack --model "$work/dense" --out "$1"); }
convert() { arguments=(convert "$work/dense" "$1.gguf"); }
tokenize() { arguments=(tokenize --text tests/soak.sh --tokenizer byte --out "$1"); }
teach() {
  arguments=(teach --model "$work/dense" --text LICENSE --context 32 --top 4 --threads 1 --out "$1")
}
writers=(pretrain binarize pack convert tokenize teach)

# Every file but checkpoints (an older one may stay for a moment), README.md (which tells the time) and commands.jsonl
# (which tells how often it was begun), without what the clock says.
digest() {
  (cd "$1" && find . -type f ! -path '*/checkpoints/*' ! -name '*.tmp' ! -name '.writable-*' ! -name README.md \
    ! -name commands.jsonl -print0 | sort -z |
    while IFS= read -r -d '' file; do
      printf '%s %s\n' "$file" "$(sed -E 's/"(tokens_per_second|seconds)":[^,}]*//g' "$file" | sha256sum)"
    done)
}

# The digest that an undisturbed run of a command leaves. Always the same path: some files name it.
undisturbed() {
  rm -rf "$work/disk"
  mkdir -p "$work/disk"
  "$1" "$work/disk/out"
  "$program" "${arguments[@]}" >/dev/null 2>"$work/error" || fault "$1, undisturbed: $(tail -1 "$work/error")"
  digest "$work/disk" >"$work/wanted"
  rm -rf "$work/disk"
  mkdir -p "$work/disk"
}
same() {  # what, in words
  digest "$work/disk" >"$work/got"
  cmp -s "$work/wanted" "$work/got" || fault "$1: $(diff "$work/wanted" "$work/got" | head -4 | tr '\n' ' ')"
}
# Runs a command once more, on from where it was stopped.
again() {
  "$1" "$work/disk/out"
  "$program" "${arguments[@]}" >/dev/null 2>"$work/error"
}
prepare() {
  tokens=1024
  pretrain "$work/dense"
  [ -d "$work/dense" ] || "$program" "${arguments[@]}" >/dev/null 2>"$work/error" || { cat "$work/error" >&2; exit 1; }
}

# ---- kill -9 ----

# Starts again and again in one folder, each time for a random part of a whole run. What comes to its end is compared.
kill_command() {
  local command=$1 killed=0 whole=0 started length part child status
  tokens=65536
  started=$(date +%s%N)
  undisturbed "$command"
  length=$((($(date +%s%N) - started) / 1000))
  while [ "$killed" -lt "$kills" ] || [ -e "$work/disk/out" ]; do
    part=$((RANDOM * 32768 + RANDOM))
    part=$((part * length / 1073741824))
    [ "$killed" -lt "$kills" ] || part=$((100 * length))  # the last one may end
    status=0
    "$command" "$work/disk/out"
    {  # whose own standard error gets what bash says of the dead
      timeout -s KILL "$((part / 1000000)).$(printf '%06d' $((part % 1000000)))" \
        "$program" "${arguments[@]}" >/dev/null 2>"$work/error" || status=$?
    } 2>/dev/null
    if [ "$status" -eq 137 ]; then
      killed=$((killed + 1))
    else
      [ "$status" -eq 0 ] || fault "$command, resumed after a kill: $(tail -1 "$work/error")"
      same "$command, killed and resumed"
      whole=$((whole + 1))
      rm -rf "$work/disk/out"
    fi
  done
  row "kill -9, $command" "$killed" "$whole runs came to their end, each compared with one that nobody disturbed"
}
part_kill() {
  local command
  prepare
  for command in pretrain binarize; do kill_command "$command"; done
}

# ---- full disks ----

# A disk of one page, or one file, more each time, until the command fits. Refused, it says so in one line; with more
# room it goes on to what an undisturbed one leaves.
full_command() {
  local command=$1 limit=$2 room=0 status
  undisturbed "$command"
  disk=$work/disk
  while :; do
    room=$((room + 1))
    case $limit in
      pages) mount -t tmpfs -o "size=$((4 * room))k" soak "$disk" ;;
      files) mount -t tmpfs -o "size=64m,nr_inodes=$room" soak "$disk" ;;
    esac
    status=0
    "$command" "$disk/out"
    "$program" "${arguments[@]}" >/dev/null 2>"$work/error" || status=$?
    if [ "$status" -eq 0 ]; then
      same "$command on $room $limit"
      umount "$disk"
      break
    fi
    if [ "$status" -ne 1 ] || ! tail -1 "$work/error" | grep -q '^binllm: E207: '; then
      fault "$command on $room $limit: status $status, $(tail -1 "$work/error")"
    fi
    mount -o remount,size=64m,nr_inodes=1000 "$disk"
    again "$command" || fault "$command with more than $room $limit: $(tail -1 "$work/error")"
    same "$command with more than $room $limit"
    umount "$disk"
  done
  disk=
  row "disk full, $command" "$((room - 1))" "disks of too few $limit, refused, and resumed with more"
}
part_full() {
  local command limit
  prepare
  mkdir -p "$work/disk"
  if ! mount -t tmpfs -o size=4k soak "$work/disk" 2>/dev/null; then
    row "disk full" 0 "left out: only root mounts a tmpfs (unshare -rm tests/soak.sh)"
    return
  fi
  umount "$work/disk"
  for command in "${writers[@]}"; do
    for limit in pages files; do full_command "$command" "$limit"; done
  done
}

# ---- calls that fail ----

# Each call of the kernel that writes fails once, the first, the second, ...: an error of the disk at any moment. The
# command either says so, and ends as ever when it is run again, or could do without.
call_command() {
  local command=$1 call=$2 error=$3 number=0 refused=0 status
  undisturbed "$command"
  while :; do
    number=$((number + 1)) status=0
    "$command" "$work/disk/out"
    strace -f -o "$work/calls" -e trace="$call" -e inject="$call:error=$error:when=$number" \
      "$program" "${arguments[@]}" >/dev/null 2>"$work/error" || status=$?
    if ! grep -q '(INJECTED)' "$work/calls"; then break; fi
    if [ "$status" -ne 0 ]; then
      refused=$((refused + 1))
      if [ "$status" -ne 1 ] || ! tail -1 "$work/error" | grep -q '^binllm: E[0-9]*: '; then
        fault "$command, $call $number fails: status $status, $(tail -1 "$work/error")"
      fi
      again "$command" || fault "$command after $call $number failed: $(tail -1 "$work/error")"
    fi
    same "$command, $call $number fails"
    rm -rf "$work/disk" && mkdir -p "$work/disk"
  done
  row "$call fails, $command" "$((number - 1))" "$refused refused, and run again"
}
part_calls() {
  local command call
  if ! command -v strace >/dev/null; then
    row "calls that fail" 0 "left out: no strace here"
    return
  fi
  prepare
  for command in "${writers[@]}"; do
    call_command "$command" write ENOSPC
    for call in fsync rename ftruncate mkdir unlink; do call_command "$command" "$call" EIO; done
  done
}

# ---- closed descriptors ----

printers=("inspect --model dense" "evaluate --model dense --built-in --windows 2 --context 32 --threads 1"
  "generate --model dense --prompt a --max-tokens 2 --threads 1" "bits --shape llama-7b" "--help")

# Runs the program with the descriptors of $1 closed, or, for "full", with no room behind the standard output.
without() {
  local closed=$1
  shift
  case $closed in
    full) "$program" "$@" >/dev/full 2>"$work/error" ;;
    0) "$program" "$@" <&- >"$work/printed" 2>"$work/error" ;;
    1) "$program" "$@" >&- 2>"$work/error" ;;
    2) "$program" "$@" >"$work/printed" 2>&- ;;
    01) "$program" "$@" <&- >&- 2>"$work/error" ;;
    02) "$program" "$@" <&- >"$work/printed" 2>&- ;;
    12) "$program" "$@" >&- 2>&- ;;
    012) "$program" "$@" <&- >&- 2>&- ;;
  esac
}
# Files are what they always are, or the command says by its status that something could not be written.
part_closed() {
  local command closed status tried=0
  prepare
  for command in "${writers[@]}"; do
    for closed in full 0 1 2 01 02 12 012; do
      undisturbed "$command"
      status=0
      without "$closed" "${arguments[@]}" || status=$?
      tried=$((tried + 1))
      [ "$status" -le 1 ] || fault "$command without $closed: status $status"
      if [ "$status" -ne 0 ] && [[ $closed != *1* ]] && [ "$closed" != full ]; then
        fault "$command without $closed: $(tail -1 "$work/error")"
      fi
      [ "$status" -eq 0 ] || again "$command" || fault "$command after $closed: $(tail -1 "$work/error")"
      same "$command without $closed"
    done
  done
  row "closed or full descriptors, writing" "$tried" "${#writers[@]} commands"
  tried=0
  for command in "${printers[@]}"; do
    for closed in full 1 01 12 012; do
      status=0
      (cd "$work" && without "$closed" $command) || status=$?
      tried=$((tried + 1))
      [ "$status" -eq 1 ] || fault "$command without $closed: status $status, though nobody can read its results"
    done
  done
  row "closed or full descriptors, printing" "$tried" "${#printers[@]} commands"
}

printf '| %-44s | %10s | %s |\n| --- | ---: | --- |\n' "what" "times" "what came of it"
for part in "${parts[@]}"; do "part_$part"; done
printf '\n%d found in %d s\n' "$found" "$SECONDS"
[ "$found" -eq 0 ]
