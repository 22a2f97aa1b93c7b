"""The coordinates of a scrambled Sobol' sequence in two dimensions, as ufuncs of uint32."""

import numpy as np
from numba import njit, uint32, vectorize


@njit(uint32(uint32), cache=True)
def reverse(x: np.uint32) -> np.uint32:
    x = (x >> uint32(16)) | (x << uint32(16))
    x = ((x & uint32(0xFF00FF00)) >> uint32(8)) | ((x & uint32(0x00FF00FF)) << uint32(8))
    x = ((x & uint32(0xF0F0F0F0)) >> uint32(4)) | ((x & uint32(0x0F0F0F0F)) << uint32(4))
    x = ((x & uint32(0xCCCCCCCC)) >> uint32(2)) | ((x & uint32(0x33333333)) << uint32(2))
    return ((x & uint32(0xAAAAAAAA)) >> uint32(1)) | ((x & uint32(0x55555555)) << uint32(1))


@vectorize([uint32(uint32)], cache=True)
def reversed_bits(n: np.uint32) -> np.uint32:
    """The first coordinate of point n, as a fraction of 2**32: the van der Corput sequence."""
    return reverse(n)


@vectorize([uint32(uint32)], cache=True)
def sobol(n: np.uint32) -> np.uint32:
    """The second coordinate of point n of the Sobol' sequence, as a fraction of 2**32."""
    value, direction = uint32(0), uint32(1 << 31)
    while n:
        if n & uint32(1):
            value ^= direction
        n >>= uint32(1)
        direction ^= direction >> uint32(1)
    return value


@vectorize([uint32(uint32, uint32)], cache=True)
def scrambled(x: np.uint32, seed: np.uint32) -> np.uint32:
    """Owen's nested scrambling by a hash: the higher bits decide whether each bit is flipped.

    Source: B. Burley, "Practical hash-based Owen scrambling", JCGT 9(4), 2020; the Laine-Karras permutation.
    """
    x = reverse(x) + seed
    x ^= x * uint32(0x6C50B47C)
    x ^= x * uint32(0xB82F1E52)
    x ^= x * uint32(0xC7AFE638)
    x ^= x * uint32(0x8D22F6E6)
    return reverse(x)
