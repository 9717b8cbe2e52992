# SPDX-License-Identifier: MIT
"""The estimator that IR-Net and AdaBin share."""
import torch


def error_decay(t):
    """k t (1 - tanh^2(t x)), k = max(1/t, 1)."""
    k = max(1 / t, 1)
    return lambda x: k * t * (1 - torch.tanh(t * x) ** 2)
