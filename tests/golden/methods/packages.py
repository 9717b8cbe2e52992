#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layer of calibrated_layer.py as Python packages quantise it: GPTQ by GPTQModel, scales by AutoAWQ, whose
quantiser is loaded without the models and kernels around it. AutoAWQ's clipping is left out: a range from -a to a has
its zero between two codes, and the last bit of a float decides. Writes packages.txt.

    pip install --no-deps gptqmodel logbar pypcre device-smi tokenicer threadpoolctl defuser       (beside transformers)
    pip download --no-deps autoawq && tar xzf autoawq-*.tar.gz
    python3 tests/golden/methods/packages.py autoawq-0.2.9                   (made by gptqmodel 7.7.0, autoawq 0.2.9)
"""
import importlib.util
import pathlib
import sys
import unittest.mock

import numpy
import torch
from gptqmodel.quantization import QuantizeConfig
from gptqmodel.quantization.gptq import GPTQ

from calibrated_layer import COLS, example, inputs, numbers, write


def tensor(x):
    return torch.tensor(x, dtype=torch.float32)


def linear(w):
    layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = tensor(w)
    return layer.requires_grad_(False)


def gptq(w, x, bits, group=-1, order=False):
    layer, static = linear(w), order and group > 0
    method = GPTQ(layer, QuantizeConfig(bits=bits, group_size=group, sym=False, desc_act=order, static_groups=static,
                                        act_group_aware=False))
    method.quantizer.configure(perchannel=True)
    method.add_batch(tensor(x)[None], None)
    method.hf_quantize(128, 0.01, 0.0015, group, order, static, act_group_aware=False)
    return layer.weight.double().numpy()


def awq(folder, bits, group):
    """AutoAWQ's quantiser, with the options that its formulas read."""
    for name in "utils.calib_data", "quantize.scale", "utils.utils", "modules.linear", "utils.module":
        sys.modules["awq." + name] = unittest.mock.MagicMock()
    file = pathlib.Path(folder) / "awq/quantize/quantizer.py"
    spec = importlib.util.spec_from_file_location("autoawq_quantizer", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    quantiser = object.__new__(module.AwqQuantizer)
    quantiser.w_bit, quantiser.group_size, quantiser.zero_point = bits, group, True
    quantiser.duo_scaling, quantiser.max_chunk_memory = False, 1 << 30
    quantiser.n_parallel_calib_samples = None
    return quantiser


def main():
    w, x, results = example()[0], inputs(), {}
    for name, options in {"4": dict(bits=4), "3": dict(bits=3), "2-group": dict(bits=2, group=32),
                          "3-order": dict(bits=3, order=True), "3-order-group": dict(bits=3, group=32, order=True)}.items():
        results["gptq-" + name] = gptq(w, x, **options)
    quantiser = awq(sys.argv[1], 3, 50)
    tokens = tensor(numbers("tokens", 60, COLS) * numpy.abs(numbers("size", COLS)))
    layer = linear(w)
    results["awq-scale"] = quantiser._compute_best_scale(tokens, layer.weight.abs().mean(0), tokens.abs().mean(0), layer,
                                                         [layer], layer(tokens)).double().numpy()
    write(__file__, results)


if __name__ == "__main__":
    main()
