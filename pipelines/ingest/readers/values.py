"""The values of a record's fields: labels as strings, texts joined, and messages on fields that are missing."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipelines.ingest.readers.record import Fields, Unusable, json_type

EXACT = 2.0**63  # a float below it without a fraction is written as an integer
N_NAMES, NAME_CHARS = 20, 40  # of the fields that a message lists
MISSING = object()


# -- labels


def label(value: object) -> str | None:
    """An id, origin or license as a string; None if NULL or empty. No value of a label costs the record its text.

    A float without a fraction is written as an integer: pandas makes floats of the integers of a column that lacks some.
    Everything else that is no string is written as JSON with sorted keys.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else escaped(value)
    if type(value) is int or isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    try:
        return escaped(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str))
    except RecursionError:
        return None


def escaped(text: str) -> str:
    """The text with NUL, and halves of surrogate pairs, as \\u0000. A byte that is not UTF-8 was decoded to such a half."""
    return text.replace("\0", "\\u0000").encode(errors="backslashreplace").decode()


# -- fields by their names


def prefixes(name: str) -> list[str]:
    """The fields of a record that a name may lead to, or into: a.b.c, a.b and a, in this order."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]


def value_at(row: Mapping[str, Any], name: str) -> Any:
    """The field of this name, or else the field b of the object a for the name a.b; MISSING if there is neither."""
    for prefix in prefixes(name):
        if prefix == name and name in row:
            return row[name]
        inside = row.get(prefix) if prefix != name else None
        if isinstance(inside, dict) and (value := value_at(inside, name[len(prefix) + 1 :])) is not MISSING:
            return value
    return MISSING


def names_in(row: Mapping[str, Any], texts: Sequence[str], prefix: str = "") -> list[str]:
    """The names of a record's fields, sorted; those inside of an object if a name in `texts` leads into it."""
    names: list[str] = []
    for name, value in row.items():
        full = prefix + name
        inside = isinstance(value, dict) and any(text.startswith(f"{full}.") for text in texts)
        names += names_in(value, texts, f"{full}.") if inside else [full]
    return sorted(names)


# -- texts


def text_in(row: Mapping[str, Any], fields: Fields) -> str:
    """The text of a record. Of several fields those without text are left out.

    Raises:
        Unusable: text_missing or text_not_string.
    """
    values = {name: value_at(row, name) for name in fields.texts}
    texts = [text_of(value, name, fields) for name, value in values.items() if value is not MISSING]
    present = [text for text in texts if text is not None]
    if present:
        return fields.separator.join(text for text in present if text)
    if not texts:
        raise missing_text(fields.texts, names_in(row, fields.texts))
    nulls = [repr(name) for name, value in values.items() if value is not MISSING]
    raise Unusable("text_missing", f"{' and '.join(nulls)} {'is' if len(nulls) == 1 else 'are'} null")


def text_of(value: Any, name: str, fields: Fields) -> str | None:
    """A string as it is, a list of strings joined.

    Raises:
        Unusable: text_not_string.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        wrong = next((item for item in value if not (item is None or isinstance(item, str))), None)
        if wrong is None:
            return fields.separator.join(item for item in value if item is not None)
        raise wrong_text(name, f"a list with {json_type(wrong)}")
    raise wrong_text(name, json_type(value), sorted(value) if isinstance(value, dict) else ())


# -- messages


def missing_text(texts: Sequence[str], names: Sequence[str], what: str = "field") -> Unusable:
    """text_missing of a record, or of a table, that has fields of these names."""
    place = f"no {what} {' or '.join(map(repr, texts))}"
    return Unusable("text_missing", f"{place}; there are {listed(names)}" if names else f"{place}, nor any other")


def wrong_text(name: str, kind: str, fields: Sequence[str] = ()) -> Unusable:
    """text_not_string. kind: in words. fields: the names in an object."""
    if not fields:
        return Unusable("text_not_string", f"{name!r} is {kind}; wanted a string or a list of strings")
    return Unusable(
        "text_not_string", f"{name!r} is {kind} with {listed(fields)}; name one as {name}.{shown(fields[0])}"
    )


def listed(names: Sequence[str]) -> str:
    """The first names, each cut to a length that a line has room for."""
    more = f" and {len(names) - N_NAMES:,} more" if len(names) > N_NAMES else ""
    return ", ".join(shown(name) for name in names[:N_NAMES]) + more


def shown(name: str) -> str:
    """A name in one line: cut, and with escapes for what no line shows."""
    cut = name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}\u2026"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
