"""What a reader hands on: raw records with where they lie, and what was found in a record or why it can't be used.

Records and what is found in them are made by the hundred thousand, and hold no cycle: the garbage collector never looks.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import msgspec

HEAD_BYTES = 65_536  # of a rejected record are kept

REASONS = {  # every reason in REJECTED, and what it says of a record or of a file that is one record
    "vanished_file": "the file was listed, and was gone when it was to be read",
    "unreadable_file": "the system refused to read the file",
    "unreadable_folder": "the system refused to list the folder",
    "not_a_file": "a pipe, a socket or a device",
    "bad_file_name": "the file's name is not UTF-8",
    "symlink_outside": "a link that leads out of the source's folder; it is not followed",
    "symlink_loop": "a link that leads back to itself or to a folder above it",
    "symlink_broken": "a link to nothing",
    "not_gzip": "named .gz, and does not begin as gzip does",
    "truncated_gzip": "ends before the gzip stream does; what was whole before it is kept",
    "corrupt_gzip": "not a gzip stream from here on; what came before it is kept",
    "not_zstd": "named .zst, and does not begin as zstd does",
    "truncated_zstd": "ends before the zstd frame does; what was whole before it is kept",
    "corrupt_zstd": "not a zstd frame from here on; what came before it is kept",
    "zstd_window": "packed so that unpacking it takes more than 128 MiB of memory",
    "damaged_parquet": "not Parquet, or not from here on; what came before it is kept",
    "damaged_arrow": "not an Arrow stream, or not from here on; what came before it is kept",
    "too_large": "longer than the source's max_record_bytes",
    "not_json": "not JSON",
    "too_deep": "JSON nested deeper than the parser follows",
    "not_an_object": "JSON, but no object",
    "not_utf8": "bytes that are not UTF-8 in what would be used",
    "lone_surrogate": "half of a surrogate pair, which UTF-8 can't hold",
    "text_missing": "no text field or column, or NULL in it",
    "text_not_string": "the text is no string",
    "text_empty": "the text is empty or white space",
    "nul": "a NUL character, which ends a string in C and marks a damaged or binary file",
    "id_wrong_type": "the id is neither a string nor an integer",
    "origin_wrong_type": "the origin is neither a string nor an integer",
    "license_wrong_type": "the license is neither a string nor an integer",
}


class Unusable(Exception):  # noqa: N818 a finding about the input, not a fault of ours
    """Why a record, or the rest of a file, can't be used: one of REASONS, and what was found."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Fault(NamedTuple):
    """What is known of a record that is not whole in memory, or that no parser needs to see."""

    reason: str
    detail: str
    n_bytes: int | None  # None where it could not be read to its end
    record_hash: str  # of all its bytes that could be read


class Record(msgspec.Struct, frozen=True, gc=False):
    """An input record before it is parsed."""

    file: str  # relative to the source's root
    at: int  # its first byte in the file once unpacked; in formats of rows, its row
    raw: bytes  # all of it; only its head where there is a fault
    fault: Fault | None = None


class Found(msgspec.Struct, frozen=True, gc=False):
    """What is used of a record."""

    text: bytes  # UTF-8
    id: str | None
    origin: str | None
    license: str | None


@dataclass(frozen=True)
class File:
    """A file of a source. `path` is where it lies, never part of a result."""

    name: str  # relative to the source's root, as in DOCUMENTS
    path: str
    n_bytes: int = 0
    changed_ns: int = 0
    hash: str = ""  # of its bytes
    fault: tuple[str, str] | None = None  # reason and detail, where it can't be read at all


@dataclass(frozen=True)
class Wanted:
    """What of a record is used: the names of its fields, None for what is not asked for, and how long it may be."""

    text: str
    id: str | None
    origin: str | None
    license: str | None
    max_record_bytes: int


class Pieces:
    """A record that comes in pieces: whole while it is short enough, then only its head, length and hash."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self.kept: list[bytes] = []
        self.digest: blake2b | None = None

    def add(self, piece: bytes) -> None:
        self.n_bytes += len(piece)
        if self.digest:
            self.digest.update(piece)
            return
        self.kept.append(piece)
        if self.n_bytes > self.max_bytes:
            whole = b"".join(self.kept)
            self.digest = blake2b(whole, digest_size=16)
            self.kept = [whole[:HEAD_BYTES]]

    def whole(self) -> bytes | None:
        """All of it, or None where it is too long to hold."""
        return None if self.digest else b"".join(self.kept)

    def record(self, file: str, at: int, stopped: Unusable | None = None) -> Record:
        """The record, with a fault where it is too long or where reading stopped inside it."""
        raw = b"".join(self.kept)
        if stopped:
            fault = Fault(stopped.reason, stopped.detail, None, self.hash())
        elif self.digest:
            detail = f"{self.n_bytes:,} bytes; max_record_bytes is {self.max_bytes:,}"
            fault = Fault("too_large", detail, self.n_bytes, self.hash())
        else:
            return Record(file, at, raw)
        return Record(file, at, raw[:HEAD_BYTES], fault)

    def hash(self) -> str:
        return self.digest.hexdigest() if self.digest else hash_of(b"".join(self.kept))


def hash_of(raw: bytes) -> str:
    """blake2b-128, hex."""
    return blake2b(raw, digest_size=16).hexdigest()


def whole_file(file: File, why: Unusable) -> Record:
    """A file of which nothing can be used, as one record."""
    pieces = Pieces(HEAD_BYTES)
    with open(file.path, "rb") as stream:
        while block := stream.read(1 << 20):
            pieces.add(block)
    fault = Fault(why.reason, why.detail, pieces.n_bytes, pieces.hash())
    return Record(file.name, 0, b"".join(pieces.kept)[:HEAD_BYTES], fault)


# -- what is sane in a field


def usable_text(text: str) -> None:
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
    """An id, origin or license as a string; an integer in decimal; None where there is none.

    Raises:
        Unusable: ROLE_wrong_type, nul or lone_surrogate.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Unusable(f"{role}_wrong_type", f"{kind_of(value)}; wanted a string or an integer")
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
        found = f"\\u{ord(text[error.start]):04x} at character {error.start:,} of the {field}"
        raise Unusable("lone_surrogate", found) from None


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
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
