"""The table agrees with Python and with the names of characters, one by one."""
# ruff: noqa: RUF001 letters that look alike are the matter here

import re
import sys
import unicodedata

import pytest

from pipelines.dedup.characters import (
    ALONE,
    CASED,
    CODE,
    DOTTED_I,
    IGNORABLE,
    KIND_BIT,
    LETTER,
    MARK,
    OTHER,
    SIGMA,
    UNSPACED,
    characters,
)
from tests.pipelines.dedup.slow import kind

POINTS = [p for p in range(sys.maxunicode + 1) if not 0xD800 <= p < 0xE000]
EVERYTHING = [chr(p) for p in POINTS if unicodedata.category(chr(p)) not in {"Cn", "Co"}]
KINDS = {"other": OTHER, "joined": LETTER, "alone": ALONE, "mark": MARK}
NAMES = re.compile(  # names never change: Unicode's stability policy
    r"(CJK (UNIFIED|COMPATIBILITY) IDEOGRAPH|CJK STROKE|IDEOGRAPHIC (ITERATION|CLOSING|NUMBER)|HANGZHOU NUMERAL|VERTICAL (KANA|IDEOGRAPHIC)"
    r"|(HALFWIDTH )?KATAKANA|HIRAGANA|HENTAIGANA|BOPOMOFO|MASU MARK|YI|THAI|LAO|KHMER|MYANMAR|TAI|NEW TAI LUE|BALINESE"
    r"|JAVANESE|AHOM|OLD CHINESE|TANGUT|NUSHU|KHITAN)\b"
)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_what_is_no_character_yet_separates_words(unit):
    assigned = {ord(c) for c in EVERYTHING}
    kinds = characters(unit)[[p for p in POINTS if p not in assigned]] >> KIND_BIT
    assert (kinds == OTHER).all()


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_every_character_has_its_lower_case_and_its_kind(unit):
    table = characters(unit)
    for character in EVERYTHING:
        if character not in (SIGMA, DOTTED_I):
            entry = table[ord(character)]
            lowered = character.lower()
            assert entry >> KIND_BIT == KINDS[kind(lowered, unit)], f"{character!r}"
            assert entry >> KIND_BIT == OTHER or chr(entry & CODE) == lowered
    assert [chr(table[ord(c)] & CODE) for c in (SIGMA, DOTTED_I)] == ["σ", "i"]


def test_the_kinds_around_a_sigma():
    """CASED and IGNORABLE are what Python uses, seen by whether a sigma before the character is final."""
    table = characters("words")
    for character in EVERYTHING:
        is_cased = f"aΣ{character}".lower()[1] == "σ"
        is_ignorable = not is_cased and f"aΣ{character}a".lower()[1] == "σ"
        assert table[ord(character)] & (CASED | IGNORABLE) == is_cased * CASED + is_ignorable * IGNORABLE, (
            f"{character!r}"
        )


def test_the_blocks_have_the_scripts_that_are_written_without_spaces():
    """Against the names: no such letter is outside the blocks, and nothing else that a word can hold is in them."""
    strange = {c for c in EVERYTHING if 0x3190 <= ord(c) < 0x3400}  # numbers and letters in circles and brackets
    for character in EVERYTHING:
        if re.match(r"\w", character) and character not in strange:
            is_unspaced = any(first <= ord(character) <= last for first, last in UNSPACED)
            name = unicodedata.name(character, "TANGUT IDEOGRAPH")  # the only ones that Python has no names of
            assert is_unspaced == bool(NAMES.match(name)), name
