r"""How the shingles see each character: the tables behind their definition, from Python's `str.lower`, `re` and
`unicodedata`.

Scripts that are written without spaces between words are listed by blocks. The list follows the line breaking classes
of Unicode (UAX #14, LineBreak.txt): ID and CJ (ideographs, kana, Bopomofo, Yi, Tangut, Nushu, Khitan), SA (Thai, Lao,
Khmer, Myanmar, the Tai scripts, Ahom) and, of the Brahmic scripts that break between syllables, Balinese and Javanese.
Hangul has spaces and Tibetan has a mark after each syllable, so they are not in it.
"""

import sys
import unicodedata
from functools import cache
from typing import Literal

import numpy as np

UNICODE = unicodedata.unidata_version  # another version may classify other characters as letters

Unit = Literal["words", "characters"]

UNSPACED = (  # first and last code point of adjacent blocks; source: Blocks.txt of Unicode 16
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3000, 0x312F),  # CJK Symbols, Hiragana, Katakana, Bopomofo
    (0x3190, 0xA4CF),  # Kanbun, Bopomofo Extended, Katakana Extensions, Enclosed CJK, Unified Ideographs, Yi
    (0xA980, 0xA9FF),  # Javanese, Myanmar Extended-B
    (0xAA60, 0xAADF),  # Myanmar Extended-A, Tai Viet
    (0xF900, 0xFAFF),  # CJK Compatibility Ideographs
    (0xFF65, 0xFF9F),  # halfwidth Katakana
    (0x116D0, 0x116FF),  # Myanmar Extended-C
    (0x11700, 0x1174F),  # Ahom
    (0x16FE0, 0x18DFF),  # Ideographic Symbols, Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana Extended and Supplement, Nushu
    (0x20000, 0x3FFFF),  # the planes of ideographs
)

SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"  # lowered to another letter at the end of a word
SMALL_SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
FINAL_SIGMA = "\N{GREEK SMALL LETTER FINAL SIGMA}"
DOTTED_I = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"  # its lower case is two characters: i, and a mark
DOT_ABOVE = "\N{COMBINING DOT ABOVE}"

# An entry of the table: the lowered code point, what surrounds a sigma, and the kind of the lowered character.
CODE = np.uint32(0x1FFFFF)
IGNORABLE = np.uint32(1 << 28)  # skipped by the rule of the final sigma
CASED = np.uint32(1 << 29)  # a letter for that rule; never set with IGNORABLE
KIND_BIT = np.uint32(30)
OTHER, LETTER, ALONE, MARK = range(4)  # separates words; joins a word; begins a word of its own; continues such a word


@cache
def characters(unit: Unit) -> np.ndarray:
    r"""[code points] uint32: an entry for each character, see above.

    In words, ALONE are the letters and numbers of UNSPACED other than decimal digits, MARK are the combining marks of
    UNSPACED, and LETTER is every other `\w`. In characters, ALONE is every `\w`, and MARK every combining mark.
    """
    points = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE1000)]  # no others hold letters or marks
    text = "".join(map(chr, points)).replace(DOTTED_I, "I").replace(SIGMA, SMALL_SIGMA)
    lowered = text.lower()
    assert len(lowered) == len(text), "a character other than DOTTED_I is lowered to several"
    category = np.frombuffer("".join(map(unicodedata.category, lowered)).encode(), "S2")
    is_word = np.fromiter(map(str.isalnum, lowered), bool, len(lowered))
    is_word[ord("_")] = True
    is_mark = np.char.startswith(category, b"M")
    is_alone = np.ones(len(lowered), bool)
    if unit == "words":
        numbers = np.array(points)
        is_unspaced = np.any([(first <= numbers) & (numbers <= last) for first, last in UNSPACED], axis=0)
        is_mark &= is_unspaced
        is_alone = is_unspaced & (category != b"Nd")
    kind = np.select([is_word & is_alone, is_word, is_mark], [ALONE, LETTER, MARK], OTHER).astype(np.uint32)
    table = np.zeros(sys.maxunicode + 1, np.uint32)
    table[points] = np.frombuffer(lowered.encode("utf-32-le"), np.uint32) | (kind << KIND_BIT) | sigma_bits(text)
    return table


def sigma_bits(text: str) -> np.ndarray:
    """[n] uint32: CASED and IGNORABLE of each character, by what Python makes of a sigma before it."""
    before = ("aΣ" + " aΣ".join(text) + " ").lower()[1::4]  # "aΣ", the character, " ": final unless it is cased
    across = ("aΣ" + "a aΣ".join(text) + "a ").lower()[1::5]  # "aΣ", the character, "a ": final unless also skipped
    is_cased = np.frombuffer(before.encode("utf-32-le"), np.uint32) != ord(FINAL_SIGMA)
    is_skipped = np.frombuffer(across.encode("utf-32-le"), np.uint32) != ord(FINAL_SIGMA)
    return np.where(is_cased, CASED, np.where(is_skipped, IGNORABLE, np.uint32(0)))
