"""JSON Lines: one object per line; plain or compressed.

Blank lines are skipped. A byte order mark at the start of a file, a CR at the end of a line, and spaces or tabs around a
record are stripped. Of duplicate keys the last counts. Only the fields that are used are checked: invalid UTF-8 in
another field is ignored.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pipelines.ingest.readers.record import (
    ROLES,
    Fields,
    File,
    Parsed,
    Parts,
    Record,
    RecordBuffer,
    Unusable,
    check_text,
    encoded,
    json_type,
    label,
)
from pipelines.ingest.readers.streams import blocks

BOM = b"\xef\xbb\xbf"
WHITESPACE = b" \t\r"


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
                first, *lines = block.split(b"\n")
                line.add(first)
                if not lines:
                    continue
                last = lines.pop()
                if (record := record_of(line, file.name, offset)) is not None:
                    yield record
                offset += line.n_bytes + 1
                for data in lines:
                    raw = data.strip(WHITESPACE)
                    if raw and len(data) <= max_bytes:
                        yield Record(file.name, offset, raw)
                    elif raw:
                        yield too_large(data, file.name, offset, max_bytes)
                    offset += len(data) + 1
                line = RecordBuffer(max_bytes)
                line.add(last)
        except Unusable as error:
            yield line.record(file.name, offset, error)
            return
        if (record := record_of(line, file.name, offset)) is not None:
            yield record

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        """A typed decoder, which is fast. A record that it refuses is parsed again by parse_slowly, for the reason."""
        if fields.parts:
            return parser_of_parts(fields, fields.parts)
        labels = fields.labels
        row_type: Any = msgspec.defstruct(
            "Row",
            [("text", str), *((role, str | int | None, None) for role in labels)],
            rename={"text": fields.text, **labels},
            namespace={role: None for role in ROLES if role not in labels},
        )
        decode = msgspec.json.Decoder(row_type).decode

        def parse(raw: bytes) -> Parsed:
            try:
                row = decode(raw)
            except RecursionError:
                raise Unusable("too_deep", "nested deeper than the parser follows") from None
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return parse_slowly(raw, fields)
            check_text(row.text)
            return Parsed(
                row.text.encode(),
                None if row.id is None else label("id", row.id),
                None if row.origin is None else label("origin", row.origin),
                None if row.license is None else label("license", row.license),
            )

        return parse


def parser_of_parts(fields: Fields, parts: Parts) -> Callable[[bytes], Parsed]:
    """The parser of records whose text is several fields: it decodes these and the labels alone."""
    names = tuple(dict.fromkeys([*parts.columns, *fields.labels.values()]))
    slots = {f"field_{i}": name for i, name in enumerate(names)}
    row_type: Any = msgspec.defstruct("Row", [(slot, Any, None) for slot in slots], rename=slots)
    decode = msgspec.json.Decoder(row_type).decode

    def parse(raw: bytes) -> Parsed:
        try:
            row = decode(raw)
        except RecursionError:
            raise Unusable("too_deep", "nested deeper than the parser follows") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return parse_slowly(raw, fields)
        return parsed({name: getattr(row, slot) for slot, name in slots.items()}, fields)

    return parse


def record_of(line: RecordBuffer, file: str, offset: int) -> Record | None:
    """A line as a record; None if it is blank."""
    raw = line.data()
    if raw is None:
        return line.record(file, offset)
    raw = (raw.removeprefix(BOM) if offset == 0 else raw).strip(WHITESPACE)
    return Record(file, offset, raw) if raw else None


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
        return parsed(json.loads(text, parse_constant=reject_constant, parse_int=integer), fields)
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
    labels = {role: row.get(name) for role, name in fields.labels.items()}
    if fields.parts:
        data = fields.parts.text(row)
        return Parsed(data, *(label(role, labels.get(role)) for role in ROLES))
    text = row.get(fields.text)
    if text is None:
        state = "is null" if fields.text in row else "is not there"
        raise Unusable("text_missing", f"{fields.text!r} {state}")
    if not isinstance(text, str):
        raise Unusable("text_not_string", f"{fields.text!r} is {json_type(text)}")
    check_text(text)
    return Parsed(encoded(text, "text"), *(label(role, labels.get(role)) for role in ROLES))


def reject_constant(constant: str) -> None:
    """NaN and Infinity, which Python writes and JSON does not allow."""
    raise json.JSONDecodeError(constant, "", 0)


def integer(digits: str) -> int | float:
    """An int; a float if it has more digits than Python converts to an int."""
    return int(digits) if len(digits) <= 4000 else float("inf")
