# SPDX-License-Identifier: MIT
"""Numbers that the tests compute too (tests/support/golden_values.hpp), so that weights are no files."""
import numpy


def numbers(name, count):
    """Multiples of 2^-23 in [-1, 1): the upper bits of a hash of the index, started by a hash of the name."""
    mask = (1 << 64) - 1
    start = 0xCBF29CE484222325  # FNV-1a
    for byte in name.encode():
        start = (start ^ byte) * 0x100000001B3 & mask
    with numpy.errstate(over="ignore"):  # splitmix64
        x = numpy.uint64(start) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        x = x ^ (x >> numpy.uint64(31))
    return (x >> numpy.uint64(40)).astype(numpy.float64) / 2**23 - 1
