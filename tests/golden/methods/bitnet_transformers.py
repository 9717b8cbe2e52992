#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BitNet b1.58 as the package transformers trains it (5.24: integrations/bitnet.py, which quantises in float):
    TORCHDYNAMO_DISABLE=1 python3 tests/golden/methods/bitnet_transformers.py"""
from transformers.integrations.bitnet import ActQuant, WeightQuant

from layer_with_sides import write

write("bitnet_transformers", lambda w: {"weight": w},
      lambda p, x, _: ActQuant.apply(x) @ WeightQuant.apply(p["weight"]).T, {"weight"})
