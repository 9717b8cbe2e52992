#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Zero-shot tasks beside lm-evaluation-harness: `binllm evaluate --tasks` and its peer turn by turn, the same items;
# then whether they chose alike.
# usage: bench/tasks.sh PROGRAM MODEL TASKS_DATA     e.g. build/release/examples/binllm models/smollm2 data/tasks
#   PEER_MODEL  the same model as transformers reads it (default MODEL)
#   TASKS       default all
#   ITEMS       of each task (default 200)
#   THREADS     default 2
#   BATCHES     the peer's batch sizes (default "1 16"; 1 is the harness's own default)
#   ROUNDS      turns of each (default 1); the least of them counts
#   BOS         none or tokenizer (default none)
#   PYTHON      default python3, with lm-eval
# Prints for each the seconds of the tasks, the seconds that processors were at work (ours: of the whole program,
# loading included), and ours divided by the peer's. The second ratio is the one to read on a busy machine.
set -euo pipefail
program=${1:?usage: tasks.sh PROGRAM MODEL TASKS_DATA} model=${2:?a model} data=${3:?a folder of tasks}
here=$(dirname "$0")
common=(--tasks-data "$data" --tasks "${TASKS:-all}" --items "${ITEMS:-200}")
common+=(--threads "${THREADS:-2}" --bos "${BOS:-none}")
python=${PYTHON:-python3}
. "$here/support/needs.sh"
need_program "$program" "$python"
need_model "$model" "${PEER_MODEL:-$model}"
[ -d "$data" ] || missing "no folder of tasks: $data"
need_module "$python" lm_eval
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
TIMEFORMAT='%U %S'

for round in $(seq "${ROUNDS:-1}"); do
  echo "round $round: binllm" >&2
  {
    time "$program" evaluate --model "$model" "${common[@]}" --json --out "$folder/ours.jsonl" >"$folder/json"
  } 2>"$folder/time"
  "$python" - "$folder/json" "$folder/time" >>"$folder/seconds" <<'PYTHON'
import json, sys
tasks = json.load(open(sys.argv[1]))["tasks"]
print("binllm", sum(task["seconds"] for task in tasks), sum(map(float, open(sys.argv[2]).read().split())))
PYTHON
  for batch in ${BATCHES:-1 16}; do
    echo "round $round: lm-evaluation-harness, batch $batch" >&2
    "$python" "$here/peers/lm_eval_tasks.py" "${PEER_MODEL:-$model}" "${common[@]}" --batch-size "$batch" \
      --out "$folder/theirs.jsonl" 2>"$folder/errors" >"$folder/lines" || { cat "$folder/errors" >&2; exit 1; }
    "$python" - "$folder/lines" "batch_$batch" >>"$folder/seconds" <<'PYTHON'
import json, sys
tasks = [json.loads(line) for line in open(sys.argv[1])]
print(sys.argv[2], *(sum(task[key] for task in tasks) for key in ("seconds", "processor_seconds")))
PYTHON
  done
done

"$python" - "$folder/seconds" <<'PYTHON'
import sys
best = {}
for line in open(sys.argv[1]):
    name, *seconds = line.split()
    seconds = [float(one) for one in seconds]
    best[name] = [min(pair) for pair in zip(best.get(name, seconds), seconds)]
print("| | seconds | binllm's share | at work | binllm's share |\n| --- | ---: | ---: | ---: | ---: |")
for name, (wall, work) in best.items():
    print(f"| {name} | {wall:.1f} | {best['binllm'][0] / wall:.2f} | {work:.1f} | {best['binllm'][1] / work:.2f} |")
PYTHON
"$python" "$here/peers/lm_eval_tasks.py" --compare "$folder/ours.jsonl" "$folder/theirs.jsonl"
