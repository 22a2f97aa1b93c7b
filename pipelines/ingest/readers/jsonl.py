"""JSON Lines: an object a line; plain, .gz or .zst.

Blank lines are no records; a byte order mark at the start of a file, a CR before a line's end and spaces around a record
are no part of it. Of a key that comes twice the last counts. Only what is used is checked: a byte that is not UTF-8 in a
field that nobody asked for does no harm.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pipelines.ingest.readers.record import (
    File,
    Found,
    Pieces,
    Record,
    Unusable,
    Wanted,
    encoded,
    kind_of,
    label,
    usable_text,
)
from pipelines.ingest.readers.streams import blocks

BOM = b"\xef\xbb\xbf"
AROUND = b" \t\r"


class Jsonl:
    suffixes = (".jsonl", ".ndjson", ".json")

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def misfit(self, file: File, wanted: Wanted) -> Unusable | None:  # noqa: ARG002
        return None

    def records(self, file: File, wanted: Wanted) -> Iterator[Record]:
        """Holds one line, and what one block unpacks to."""
        at, line, most = 0, Pieces(wanted.max_record_bytes), wanted.max_record_bytes
        try:
            for block in blocks(file.path, file.name):
                first, *whole = block.split(b"\n")
                line.add(first)
                if not whole:
                    continue
                last = whole.pop()
                if (record := settle(line, file.name, at)) is not None:
                    yield record
                at += line.n_bytes + 1
                for piece in whole:
                    raw = piece.strip(AROUND)
                    if raw and len(piece) <= most:
                        yield Record(file.name, at, raw)
                    elif raw:
                        yield too_long(piece, file.name, at, most)
                    at += len(piece) + 1
                line = Pieces(most)
                line.add(last)
        except Unusable as stopped:
            yield line.record(file.name, at, stopped)
            return
        if (record := settle(line, file.name, at)) is not None:
            yield record

    def parser(self, wanted: Wanted) -> Callable[[bytes], Found]:
        """Fast by a typed decoder; a record that it refuses is looked at again, for the reason."""
        names = {"id": wanted.id, "origin": wanted.origin, "license": wanted.license}
        asked = {role: name for role, name in names.items() if name is not None}
        kind: Any = msgspec.defstruct(
            "Row",
            [("text", str), *((role, str | int | None, None) for role in asked)],
            rename={"text": wanted.text, **asked},
            namespace={role: None for role in names if role not in asked},
        )
        decode = msgspec.json.Decoder(kind).decode

        def parse(raw: bytes) -> Found:
            try:
                row = decode(raw)
            except RecursionError:
                raise Unusable("too_deep", "nested deeper than the parser follows") from None
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return look_again(raw, wanted)
            usable_text(row.text)
            return Found(
                row.text.encode(),
                None if row.id is None else label("id", row.id),
                None if row.origin is None else label("origin", row.origin),
                None if row.license is None else label("license", row.license),
            )

        return parse


def settle(line: Pieces, file: str, at: int) -> Record | None:
    """A line as a record; None where it is blank."""
    raw = line.whole()
    if raw is None:
        return line.record(file, at)
    raw = (raw.removeprefix(BOM) if at == 0 else raw).strip(AROUND)
    return Record(file, at, raw) if raw else None


def too_long(piece: bytes, file: str, at: int, max_bytes: int) -> Record:
    line = Pieces(max_bytes)
    line.add(piece)
    return line.record(file, at)


def look_again(raw: bytes, wanted: Wanted) -> Found:
    """Parse a record that the fast decoder refused. Some are usable: a wrong first one of two equal keys, say.

    Raises:
        Unusable: with the reason.
    """
    not_utf8 = None
    try:
        whole = raw.decode()
    except UnicodeDecodeError as error:
        not_utf8 = Unusable("not_utf8", f"byte 0x{raw[error.start]:02x} at {error.start:,} of the record")
        whole = raw.decode(errors="surrogateescape")
    try:
        return used(json.loads(whole, parse_constant=refuse, parse_int=integer), wanted)
    except RecursionError:
        raise Unusable("too_deep", "nested deeper than the parser follows") from None
    except json.JSONDecodeError as error:
        cut_off = "" if raw.endswith((b"}", b"]")) else "; it does not end as an object does"
        raise not_utf8 or Unusable("not_json", f"at character {error.pos:,} of the record{cut_off}") from None
    except Unusable as why:
        raise (not_utf8 if not_utf8 and why.reason == "lone_surrogate" else why) from None


def used(row: object, wanted: Wanted) -> Found:
    """What is used of a parsed record.

    Raises:
        Unusable: with the reason.
    """
    if not isinstance(row, dict):
        raise Unusable("not_an_object", f"{kind_of(row)}; wanted an object a line")
    text = row.get(wanted.text)
    if text is None:
        found = "is null" if wanted.text in row else "is not there"
        raise Unusable("text_missing", f"{wanted.text!r} {found}")
    if not isinstance(text, str):
        raise Unusable("text_not_string", f"{wanted.text!r} is {kind_of(text)}")
    usable_text(text)
    names = {"id": wanted.id, "origin": wanted.origin, "license": wanted.license}
    labels = (label(role, row.get(name) if name is not None else None) for role, name in names.items())
    return Found(encoded(text, "text"), *labels)


def refuse(constant: str) -> None:
    """NaN and Infinity, which Python writes and JSON has not."""
    raise json.JSONDecodeError(constant, "", 0)


def integer(digits: str) -> int | float:
    """An int; a float where Python refuses to make an int of so many digits."""
    return int(digits) if len(digits) <= 4000 else float("inf")
