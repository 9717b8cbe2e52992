#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Figure 4 of the paper: milliseconds a token of the shape of Llama 2 7B by threads, at 4, 2 and 1 bit. Our
# product is that of one bit; llama.cpp's Q4_0 and Q2_K stand for the others. Prints a table and draws a picture.
# usage: bench/figure4.sh BUILD_FOLDER OUT.svg        e.g. build/release figure4.svg; 9 GB of memory, 4 GB in TMPDIR
#   THREADS  default "1 2"; the fewest first
#   TYPES    the peer's linear layers, default "Q4_0 Q2_K Q1_0"
#   PROMPT, TOKENS   default 16 and 8
#   ROUNDS, REPEATS, PREFIX, PYTHON, LOG   as in bench/decode.sh, which this runs; default 3 rounds of 1
set -euo pipefail
build=${1:?usage: figure4.sh BUILD_FOLDER OUT.svg} out=${2:?usage: figure4.sh BUILD_FOLDER OUT.svg}
here=$(dirname "$0")
. "$here/support/needs.sh"
need_program "$build/bench/bench_decode" gnuplot
need_folder "$(dirname "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SHAPES=7B HEADS=int8 THREADS=${THREADS:-1 2} TYPES=${TYPES:-Q4_0 Q2_K Q1_0} PYTHON=${PYTHON:-python3}
export PROMPT=${PROMPT:-16} TOKENS=${TOKENS:-8} REPEATS=${REPEATS:-1} LOG=${LOG:-$work/log}
"$here/decode.sh" "$build" >/dev/null

"$PYTHON" - "$LOG" "$work" "$TYPES" <<'END'
import json, pathlib, statistics, sys

runs, work = {}, pathlib.Path(sys.argv[2])
for text in open(sys.argv[1]):
    row, who, values = text.split(" ", 2)
    runs.setdefault(who, {}).setdefault(int(row.split(".")[1]), []).append(json.loads(values))
weights = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
threads = sorted(runs["ours"])

def line(*cells):
    print("| " + " | ".join(cells) + " |")

def milliseconds(who, count):
    return statistics.median(run["decode_microseconds"] for run in runs[who][count]) / 1000

line("linear layers", "bits a weight", "MB", *(f"{n} thread{'s' * (n > 1)}: ms a token" for n in threads),
     *(f"{n}: over ours" for n in threads))
line(*["---"] * (3 + 2 * len(threads)))
for who in [*sys.argv[3].split(), "ours"]:
    name = "binllm, 1 bit" if who == "ours" else f"llama.cpp {who}"
    if who not in runs:
        line(name, "skipped: no llama-cpp-python", *[""] * (1 + 2 * len(threads)))
        continue
    size = runs[who][threads[0]][0]["linear_bytes"]
    times = [milliseconds(who, count) for count in threads]
    line(name, f"{8 * size / weights:.2f}", f"{size / 1e6:.0f}", *(f"{time:.1f}" for time in times),
         *(f"{time / milliseconds('ours', count):.2f}" for time, count in zip(times, threads)))
    (work / who).write_text("".join(f"{count} {time}\n" for count, time in zip(threads, times)))
    with open(work / "plot", "a") as plot:
        plot.write(f"{', ' if plot.tell() else 'plot '}'{work / who}' using 1:2 with linespoints linewidth 2 "
                   f"pointtype 7 pointsize 0.7 title '{name}'")
END
gnuplot - >"$out" <<PLOT
set terminal svg size 640,340 font 'sans-serif,13' background 'white' name 'p'
set border 3 linecolor '#555555'; set tics nomirror; set grid linecolor '#dddddd'; set key noenhanced outside right
set linetype 1 linecolor '#1f5fa8'; set linetype 2 linecolor '#2a8a50'; set linetype 3 linecolor '#8a4fa3'
set linetype 4 linecolor '#d9660a'
set xlabel 'threads'; set ylabel 'ms a token, 7B shape'; set logscale x; set yrange [0:*]
set xtics ($(sed 's/ /, /g' <<<"$THREADS")); set xrange [${THREADS%% *} * 0.9:${THREADS##* } * 1.1]
$(cat "$work/plot")
PLOT
