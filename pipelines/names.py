"""Names in a recipe of either kind."""

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

MIX_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # it becomes a folder
MOST_CHOICES = 20  # that a message lists
MOST_COMPARED = 100  # characters of a name that is compared with others


class Named(Protocol):
    @property
    def name(self) -> str: ...


def check_names(sources: Sequence[Named]) -> None:
    """
    Raises:
        ValueError: two sources have the same name.
    """
    twice = sorted(name for name, n in Counter(source.name for source in sources).items() if n > 1)
    if twice:
        raise ValueError(f"sources: two are named {twice[0]!r}; give each a name of its own")


def meant(name: str, choices: Sequence[str], *, shows_all: bool = True) -> str:
    close = difflib.get_close_matches(name[:MOST_COMPARED], choices, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(sorted(choices)[:MOST_CHOICES])}" if shows_all else "; remove it"
