"""The definition of shingles in plain Python: `str.lower`, `re` and `unicodedata`, one character at a time."""

import re
import unicodedata
from functools import cache

from pipelines.dedup.characters import UNSPACED


@cache
def kind(character, unit):
    """Of a lowered character: alone (a word of its own), mark (continues such a word), joined (to a word), or other."""
    is_word, category = re.fullmatch(r"\w", character), unicodedata.category(character)
    is_unspaced = any(first <= ord(character) <= last for first, last in UNSPACED)
    if category[0] == "M" and (is_unspaced or unit == "characters"):
        return "mark"
    if not is_word:
        return "other"
    return "alone" if unit == "characters" or (is_unspaced and category != "Nd") else "joined"


def words_of(text, unit="words"):
    words, before = [], "other"
    for character in text.lower():
        now = kind(character, unit)
        if (before, now) in {("joined", "joined"), ("alone", "mark")}:
            words[-1] += character
            continue
        if now in {"alone", "joined"}:
            words.append(character)
        before = "other" if now == "mark" else now
    return words


def windows(text, length=5, unit="words"):
    words = words_of(text, unit)
    return {tuple(words[i : i + length]) for i in range(max(1, len(words) - length + 1))} if words else set()
