"""Names in a recipe of either kind."""

from collections.abc import Sequence
from typing import Protocol

MIX_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # it becomes a folder


class Named(Protocol):
    @property
    def name(self) -> str: ...


def check_names(sources: Sequence[Named]) -> None:
    """
    Raises:
        ValueError: two sources have the same name.
    """
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"sources: two are named {twice[0]!r}; give each a name of its own")
