"""Records on their way from a reader to the tables: raw, parsed or rejected.

Record and Parsed are created by the hundred thousand and contain no cycles, so the garbage collector does not track them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import msgspec

from pipelines.ingest.readers.reasons import REASONS, SAMPLE_REASONS  # noqa: F401 imported from here too

ROLES = ("id", "origin", "license")  # of the labels of a record
HEAD_BYTES = 65_536  # stored of a rejected record


class Unusable(Exception):  # noqa: N818 a property of the input, not an error of the program
    """A record, or the rest of a file, cannot be used.

    reason: a key of reasons.REASONS. detail: the specifics of this record, as in REJECTED.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Fault(NamedTuple):
    """The rejection of a record that is not completely in memory or needs no parsing."""

    reason: str
    detail: str
    n_bytes: int | None  # None: the record could not be read to its end
    record_hash: str  # of all its bytes that could be read


class Record(msgspec.Struct, frozen=True, gc=False):
    """An input record before parsing."""

    file: str  # relative to the source's root
    offset: int  # of its first byte in the decompressed file; in tabular formats, its row number
    raw: bytes  # all bytes; with a fault, only the head
    fault: Fault | None = None


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """The values of a record that are used."""

    text: bytes  # UTF-8
    id: str | None
    origin: str | None
    license: str | None


@dataclass(frozen=True)
class File:
    """A file of a source. `path` is never part of a result."""

    name: str  # relative to the source's root, as in DOCUMENTS
    path: str
    n_bytes: int = 0
    mtime_ns: int = 0  # 0: not a local file
    hash: str = ""  # of its bytes
    fault: tuple[str, str] | None = None  # reason and detail of a file that can't be read at all
    zstd_long: int = 27  # base-2 logarithm of the widest window that its decompression may need


class Parts(Protocol):
    """Fields that together are the text of a record."""

    @property
    def columns(self) -> tuple[str, ...]: ...  # the names that they may have

    def missing(self, names: Sequence[str]) -> str | None:
        """Why records with fields of these names have no text; None if they may have one."""
        ...

    def text(self, row: Mapping[str, Any]) -> bytes:
        """The text of a record, in UTF-8. It raises Unusable and nothing else."""
        ...


@dataclass(frozen=True)
class Fields:
    """The names of the fields that are used, None for a label that is not read; and the size limit of a record.

    parts: fields that together are the text, in place of `text`.
    """

    text: str
    id: str | None
    origin: str | None
    license: str | None
    max_record_bytes: int
    parts: Parts | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Role -> name, of the labels that are read."""
        names = {"id": self.id, "origin": self.origin, "license": self.license}
        return {role: name for role, name in names.items() if name is not None}

    @property
    def remedy(self) -> str:
        """What to do where no record has the text."""
        if self.parts:
            return "set the source's messages, or its instruction and response, to the fields that hold them"
        return "set the source's text to its text column"


class RecordBuffer:
    """A record that arrives in pieces. Beyond `max_bytes` it keeps only the head, the length and the hash."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self.pieces: list[bytes] = []
        self.digest: blake2b | None = None

    def add(self, piece: bytes) -> None:
        self.n_bytes += len(piece)
        if self.digest:
            self.digest.update(piece)
            return
        self.pieces.append(piece)
        if self.n_bytes > self.max_bytes:
            data = b"".join(self.pieces)
            self.digest = blake2b(data, digest_size=16)
            self.pieces = [data[:HEAD_BYTES]]

    def data(self) -> bytes | None:
        """All bytes; None if there are more than `max_bytes`."""
        return None if self.digest else b"".join(self.pieces)

    def record(self, file: str, offset: int, error: Unusable | None = None) -> Record:
        """The record; with a fault if it is too long, or if reading stopped inside it with `error`."""
        raw = b"".join(self.pieces)
        if error:
            fault = Fault(error.reason, error.detail, None, self.hash())
        elif self.digest:
            detail = f"{self.n_bytes:,} bytes; max_record_bytes is {self.max_bytes:,}"
            fault = Fault("too_large", detail, self.n_bytes, self.hash())
        else:
            return Record(file, offset, raw)
        return Record(file, offset, raw[:HEAD_BYTES], fault)

    def hash(self) -> str:
        return self.digest.hexdigest() if self.digest else hash_of(b"".join(self.pieces))


def hash_of(raw: bytes) -> str:
    """blake2b-128, hex."""
    return blake2b(raw, digest_size=16).hexdigest()


def rejected_file(file: File, error: Unusable) -> Record:
    """A file without a usable record, as one rejected record."""
    buffer = RecordBuffer(HEAD_BYTES)
    with open(file.path, "rb") as stream:
        while block := stream.read(1 << 20):
            buffer.add(block)
    fault = Fault(error.reason, error.detail, buffer.n_bytes, buffer.hash())
    return Record(file.name, 0, b"".join(buffer.pieces)[:HEAD_BYTES], fault)


# -- values of fields


def check_text(text: str) -> None:
    """
    Raises:
        Unusable: text_empty or nul.
    """
    if not text or text.isspace():
        raise Unusable("text_empty", "white space alone" if text else "no character")
    if "\0" in text:
        raise Unusable("nul", f"at character {text.index(chr(0)):,} of the text")


def decoded(data: bytes, field: str) -> str:
    """
    Raises:
        Unusable: not_utf8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Unusable("not_utf8", f"byte 0x{data[error.start]:02x} at {error.start:,} of the {field}") from None


def label(role: str, value: object) -> str | None:
    """An id, origin or license as a string; an integer in decimal; None if NULL or empty.

    Raises:
        Unusable: ROLE_wrong_type, nul or lone_surrogate.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Unusable(f"{role}_wrong_type", f"{json_type(value)}; wanted a string or an integer")
    if "\0" in value:
        raise Unusable("nul", f"in the {role}")
    if not value.isascii():
        encoded(value, role)
    return value


def encoded(text: str, field: str) -> bytes:
    """
    Raises:
        Unusable: lone_surrogate.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        detail = f"\\u{ord(text[error.start]):04x} at character {error.start:,} of the {field}"
        raise Unusable("lone_surrogate", detail) from None


def json_type(value: object) -> str:
    """The type of a JSON value, in words."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        float: "a number",
        int: "an integer",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


HEADER = msgspec.json.Encoder(enc_hook=str)
