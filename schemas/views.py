"""views.sql, and what a row of each view is."""

import re
from functools import cache
from importlib.resources import files

VIEW = re.compile(r"((?:^-- .*\n)+)CREATE VIEW (\w+) AS", re.MULTILINE)


@cache
def views() -> str:
    """The SQL that creates all views, in the order of their dependencies."""
    return files("schemas").joinpath("views.sql").read_text()


def comments() -> dict[str, str]:
    """View -> the comment before it, which begins with what one row is."""
    return {name: " ".join(comment.replace("-- ", "").split()) for comment, name in VIEW.findall(views())}
