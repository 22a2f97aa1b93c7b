"""JSON Lines: one object per line; plain or compressed.

Blank lines are skipped. A byte order mark at the start of a line (files that were joined have one there), a CR at its end,
and spaces or tabs around a record are stripped. Of duplicate keys the last counts. Only the text is checked: NaN, which
Python writes and JSON does not allow, or invalid UTF-8 elsewhere costs no record.
"""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from pipelines.ingest.readers.record import (
    ROLES,
    Fields,
    File,
    Parsed,
    Record,
    RecordBuffer,
    Unusable,
    check_text,
    encoded,
    json_type,
)
from pipelines.ingest.readers.streams import blocks
from pipelines.ingest.readers.values import MISSING, label, prefixes, text_in, value_at

BOM = b"\xef\xbb\xbf"
WHITESPACE = b" \t\r"
LINE = re.compile(rb"[^\n]+")
DENSE = 4  # bytes a line, with its line feed


class Jsonl:
    suffixes = (".jsonl", ".ndjson", ".json")
    may_be_compressed = True

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:  # noqa: ARG002
        return None

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        """Holds one line and one decompressed block in memory."""
        offset, line, max_bytes = 0, RecordBuffer(fields.max_record_bytes), fields.max_record_bytes
        try:
            for block in blocks(file):
                end, last = block.find(b"\n"), block.rfind(b"\n")
                if end < 0:
                    line.add(block)
                    continue
                line.add(block[:end])
                if (record := record_of(line, file.name, offset)) is not None:
                    yield record
                offset += line.n_bytes + 1
                for place, data in lines_of(block[end + 1 : max(last, end + 1)], offset):
                    raw = stripped(data)
                    if raw and len(data) <= max_bytes:
                        yield Record(file.name, place, raw)
                    elif raw:
                        yield too_large(data, file.name, place, max_bytes)
                offset += last - end
                line = RecordBuffer(max_bytes)
                line.add(block[last + 1 :])
        except Unusable as error:
            yield line.record(file.name, offset, error)
            return
        if (record := record_of(line, file.name, offset)) is not None:
            yield record

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        """A typed decoder, which is fast. A record that it refuses is parsed again by parse_slowly, for the reason."""
        names = (*fields.texts, *fields.labels.values())
        if fields.parts or len(fields.texts) > 1 or any("." in name for name in names):
            return parser_of_several(fields)
        labels = fields.labels
        row_type: Any = msgspec.defstruct(
            "Row",
            [("text", str | list[str | None]), *((role, str | int | None, None) for role in labels)],
            rename={"text": fields.texts[0], **labels},
            namespace={role: None for role in ROLES if role not in labels},
        )
        decode, separator = msgspec.json.Decoder(row_type).decode, fields.separator

        def parse(raw: bytes) -> Parsed:
            try:
                row = decode(raw)
            except RecursionError:
                raise Unusable("too_deep", "nested deeper than the parser follows") from None
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return parse_slowly(raw, fields)
            text = row.text
            if isinstance(text, list):
                text = separator.join(item for item in text if item is not None)
            check_text(text)
            return Parsed(
                text.encode(),
                None if row.id is None else label(row.id),
                None if row.origin is None else label(row.origin),
                None if row.license is None else label(row.license),
            )

        return parse


def parser_of_several(fields: Fields) -> Callable[[bytes], Parsed]:
    """The parser of records whose text is several fields or inside of one: it decodes these and the labels alone."""
    texts = fields.parts.columns if fields.parts else [p for name in fields.texts for p in prefixes(name)]
    names = tuple(dict.fromkeys([*texts, *(p for name in fields.labels.values() for p in prefixes(name))]))
    slots = {f"field_{i}": name for i, name in enumerate(names)}
    row_type: Any = msgspec.defstruct("Row", [(slot, Any, msgspec.UNSET) for slot in slots], rename=slots)
    decode = msgspec.json.Decoder(row_type).decode

    def parse(raw: bytes) -> Parsed:
        try:
            row = decode(raw)
        except RecursionError:
            raise Unusable("too_deep", "nested deeper than the parser follows") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return parse_slowly(raw, fields)
        values = {name: value for slot, name in slots.items() if (value := getattr(row, slot)) is not msgspec.UNSET}
        try:
            return parsed(values, fields)
        except Unusable as error:
            if error.reason not in ("text_missing", "sample_missing"):
                raise
            return parse_slowly(raw, fields)  # whose message names all fields

    return parse


def lines_of(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The lines and their offsets; not the empty ones where most are empty, of which split() makes a long list."""
    if data.count(b"\n") * DENSE > len(data):
        yield from ((offset + match.start(), match[0]) for match in LINE.finditer(data))
        return
    for line in data.split(b"\n"):
        yield offset, line
        offset += len(line) + 1


def record_of(line: RecordBuffer, file: str, offset: int) -> Record | None:
    """A line as a record; None if it is blank."""
    raw = line.data()
    if raw is None:
        return line.record(file, offset)
    raw = stripped(raw)
    return Record(file, offset, raw) if raw else None


def stripped(line: bytes) -> bytes:
    raw = line.strip(WHITESPACE)
    while raw.startswith(BOM):
        raw = raw[len(BOM) :].strip(WHITESPACE)
    return raw


def too_large(data: bytes, file: str, offset: int, max_bytes: int) -> Record:
    line = RecordBuffer(max_bytes)
    line.add(data)
    return line.record(file, offset)


def parse_slowly(raw: bytes, fields: Fields) -> Parsed:
    """Parse a record that the typed decoder refused.

    Some of these are usable, such as an object with duplicate keys where only an earlier value has the wrong type.

    Raises:
        Unusable: with the reason.
    """
    not_utf8 = None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        not_utf8 = Unusable("not_utf8", f"byte 0x{raw[error.start]:02x} at {error.start:,} of the record")
        text = raw.decode(errors="surrogateescape")
    try:
        return parsed(json.loads(text, parse_int=integer), fields)
    except RecursionError:
        raise Unusable("too_deep", "nested deeper than the parser follows") from None
    except json.JSONDecodeError as error:
        cut_off = "" if raw.endswith((b"}", b"]")) else "; it does not end as an object does"
        raise not_utf8 or Unusable("not_json", f"at character {error.pos:,} of the record{cut_off}") from None
    except Unusable as error:
        raise (not_utf8 if not_utf8 and error.reason == "lone_surrogate" else error) from None


def parsed(row: object, fields: Fields) -> Parsed:
    """The used values of a decoded record.

    Raises:
        Unusable: with the reason.
    """
    if not isinstance(row, dict):
        raise Unusable("not_an_object", f"{json_type(row)}; wanted an object a line")
    labels = {role: value_at(row, name) for role, name in fields.labels.items()}
    if fields.parts:
        text = fields.parts.text(row)
    else:
        joined = text_in(row, fields)
        check_text(joined)
        text = encoded(joined, "text")
    return Parsed(text, *(None if labels.get(role, MISSING) is MISSING else label(labels[role]) for role in ROLES))


def integer(digits: str) -> int | Decimal:
    """An integer, of any number of digits."""
    return int(digits) if len(digits) <= 4000 else Decimal(digits)
