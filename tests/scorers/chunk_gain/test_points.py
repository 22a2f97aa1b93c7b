"""scorers/chunk_gain/points.py: the bits of a Sobol' sequence, against plain code."""

import numpy as np

from scorers.chunk_gain.points import reversed_bits, scrambled, sobol

N = np.arange(512, dtype=np.uint32)


def fraction_bits(values):
    return [f"{int(value):032b}" for value in values]


def test_the_first_coordinate_is_the_number_read_backwards():
    assert fraction_bits(reversed_bits(N)) == [f"{n:032b}"[::-1] for n in range(512)]


def test_each_power_of_two_of_points_has_one_in_every_elementary_interval():
    """What defines a (0, m, 2)-net in base 2, for the plain and for the scrambled sequence."""
    for x, y in (
        (reversed_bits(N), sobol(N)),
        (scrambled(reversed_bits(N), np.uint32(7)), scrambled(sobol(N), np.uint32(9))),
    ):
        for m in range(10):
            columns, rows = fraction_bits(x[: 1 << m]), fraction_bits(y[: 1 << m])
            for k in range(m + 1):
                assert len({(a[:k], b[: m - k]) for a, b in zip(columns, rows, strict=True)}) == 1 << m


def test_scrambling_keeps_prefixes_apart_and_depends_on_the_seed():
    bits = fraction_bits(scrambled(N << np.uint32(23), np.uint32(3)))
    assert len({b[:9] for b in bits}) == 512
    assert fraction_bits(scrambled(N << np.uint32(23), np.uint32(4))) != bits
