#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes pb_llm_post_training.txt: PB-LLM after training (Shang et al., arXiv 2310.00034, gptq_pb) as its code computes
it, in double.

    python3 tests/golden/methods/pb_llm_post_training.py            (numpy)

Lines, by metric and share of binary weights: the restored matrix, its error and the number of salient weights.
"""
import numpy
from calibrated_layer import example, upper_factor, write


def pb_llm(w, h, metric, binary_share):
    u = upper_factor(h)
    d = numpy.diag(u)
    score = w**2 / d**2 if metric == "hessian" else numpy.abs(w)
    binary = score <= numpy.sort(score.ravel())[int(score.size * binary_share)]
    kept = w * binary
    mean = kept.mean(axis=1)
    scale = numpy.abs(kept - mean[:, None]).mean(axis=1)
    low, high = numpy.minimum(w.min(axis=1), 0), numpy.maximum(w.max(axis=1), 0)
    step = (high - low) / 255
    zero = numpy.round(-low / step)

    q, rest = numpy.zeros_like(w), w.copy()
    for j in range(w.shape[1]):
        x = rest[:, j]
        sign = scale * numpy.sign(x - mean) + mean
        eight = step * (numpy.clip(numpy.round(x / step) + zero, 0, 255) - zero)
        q[:, j] = numpy.where(binary[:, j], sign, eight)
        rest[:, j:] -= numpy.outer((x - q[:, j]) / d[j], u[j, j:])
    return q, numpy.trace((w - q) @ h @ (w - q).T), (~binary).sum()


if __name__ == "__main__":
    layer, results = example(), {}
    for metric in ("hessian", "magnitude"):
        for share in (0.9, 0.5):
            key = f"{metric}_{share}"
            results[key], results[key + "_error"], results[key + "_salient"] = pb_llm(*layer, metric, share)
    write(__file__, results)
