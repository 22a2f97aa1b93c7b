"""JSON over several lines: an array of records, or indented objects one after another.

The values are found by brackets, quotes and escapes alone, without parsing: one element of the array and one block of
the file are in memory. A line feed inside a string is no JSON: there a broken element ends, so that a missing quote
costs one record and not the rest of the file.
"""

import re
from collections.abc import Iterator

from pipelines.ingest.readers.record import Fault, Fields, File, Record, RecordBuffer, Unusable, hash_of
from pipelines.ingest.readers.streams import blocks

BLANK = b" \t\r\n\xef\xbb\xbf"  # white space, and the bytes of a byte order mark
QUOTE, LINE_FEED, BACKSLASH, COMMA, OPENS, CLOSES = b'"'[0], b"\n"[0], b"\\"[0], b","[0], b"{[", b"}]"
BETWEEN = re.compile(rb'["{}\[\],\n]')  # what matters outside of all elements
INSIDE = re.compile(rb'["{}\[\]]')  # inside an element, outside of strings
STRING = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')  # the rest of a string up to its end or its fault
SKIPPED = re.compile(rb"[ \t\r\n,]+")  # before a value; a file may consist of it
FIRST_LINE = re.compile(rb"(\[[^\n]*\])\s*\n\s*[{\[]")  # a line that is a list, and another value after it


def spans_lines(head: bytes) -> bool:
    """Whether a file that begins with `head` has values over several lines, or is an array; else it has one a line."""
    head = head.lstrip(BLANK)
    if head.startswith(b"["):
        return FIRST_LINE.match(head) is None
    return re.match(rb"\{[ \t\r]*\n", head) is not None


def records(file: File, fields: Fields) -> Iterator[Record]:
    """Holds one value and one decompressed block in memory."""
    values = Values(fields.max_record_bytes)
    try:
        for block in blocks(file):
            for offset, value in values.split(block):
                if (record := record_of(value, file.name, offset)) is not None:
                    yield record
    except Unusable as error:
        yield values.value.record(file.name, values.offset, error)
        return
    record = record_of(values.value, file.name, values.offset)
    if record is not None:
        yield record
    elif values.in_array:
        detail = "the file ends before its array does"
        yield Record(file.name, values.offset, b"", Fault("truncated_json", detail, None, hash_of(b"")))


def record_of(value: RecordBuffer, file: str, offset: int) -> Record | None:
    """A value as a record; None if it is blank."""
    data = value.data()
    if data is None:
        return value.record(file, offset)
    raw = data.lstrip(BLANK)
    return Record(file, offset + len(data) - len(raw), raw.rstrip(BLANK)) if raw else None


class Values:
    """Splits a stream of JSON at its records, in blocks that may end anywhere.

    value: what was read of the value that is not complete yet. offset: of its first byte.
    in_array: whether the values are elements of an array, which is not closed yet.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.value, self.offset = RecordBuffer(max_bytes), 0
        self.in_array = self.in_string = self.is_escaped = False
        self.depth = 0  # of brackets inside the value

    def split(self, block: bytes) -> Iterator[tuple[int, RecordBuffer]]:
        """The values that end in this block, some of them blank, each with its offset."""
        start = at = 0  # of what belongs to the value; of what is looked at
        while at < len(block):
            if start == at and not self.value.n_bytes and (blank := SKIPPED.match(block, at)):
                self.offset += blank.end() - at
                start = at = blank.end()
                continue
            if self.in_string:
                at, is_broken = self.string_end(block, at)
                ends, skips = is_broken, 0
            else:
                found = (INSIDE if self.depth else BETWEEN).search(block, at)
                if found is None:
                    break
                at, byte = found.end(), block[found.start()]
                is_first = self.depth == 0 and byte == OPENS[1] and self.is_blank(block[start : at - 1])
                ends, skips = self.step(byte, is_first)
            if ends:
                yield self.taken(block[start : at - skips], skips)
                start = at
        if start < len(block):
            self.value.add(block[start:])

    def is_blank(self, last: bytes) -> bool:
        """Whether the value, with its last bytes, is nothing yet."""
        return not last.strip(BLANK) and not (self.value.data() or b"").strip(BLANK)

    def step(self, byte: int, is_first: bool) -> tuple[bool, int]:
        """Whether the value ends at this byte, and how many of its last bytes are a separator.

        is_first: whether the byte opens a list, and nothing of the value was read before it.
        """
        if byte == QUOTE:
            self.in_string = True
        elif self.depth:
            self.depth += 1 if byte in OPENS else -1
            return self.depth == 0, 0
        elif byte in (COMMA, LINE_FEED):
            return True, 1
        elif byte in OPENS and (byte == OPENS[0] or self.in_array):
            self.depth = 1
        elif byte == OPENS[1] and is_first:
            self.in_array = True
            return True, 1
        elif byte == CLOSES[1] and self.in_array:
            self.in_array = False
            return True, 1
        return False, 0

    def string_end(self, block: bytes, at: int) -> tuple[int, bool]:
        """Where the string ends or the block does; whether the string is broken by a line feed."""
        if self.is_escaped and block[at] != LINE_FEED:
            at += 1
        self.is_escaped = False
        at = STRING.match(block, at).end()  # type: ignore[union-attr]  # it matches no byte too
        if at == len(block):
            return at, False
        if block[at] == BACKSLASH and at + 1 == len(block):
            self.is_escaped = True
            return at + 1, False
        self.in_string = False
        if block[at] == QUOTE:
            return at + 1, False
        self.depth = 0
        return at + 1 + (block[at] == BACKSLASH), True

    def taken(self, last: bytes, n_separators: int) -> tuple[int, RecordBuffer]:
        value, offset = self.value, self.offset
        value.add(last)
        self.value, self.offset = RecordBuffer(self.max_bytes), offset + value.n_bytes + n_separators
        return offset, value
