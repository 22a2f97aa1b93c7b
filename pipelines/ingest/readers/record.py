"""Records on their way from a reader to the tables: raw, parsed or rejected.

Record and Parsed are created by the hundred thousand and contain no cycles, so the garbage collector does not track them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import msgspec

from pipelines.ingest.readers.reasons import FILE_REASONS

ROLES = ("id", "origin", "license")  # of the labels of a record
HEAD_BYTES = 65_536  # stored of a rejected record

REASONS = {  # each reason in REJECTED, and what it means for a record or for a file rejected as one record
    "vanished_file": "the file was listed, but no longer existed when it was read",
    "unreadable_file": "the operating system refused to read the file",
    "unreadable_folder": "the operating system refused to list the folder",
    "not_a_file": "a pipe, a socket or a device",
    "bad_file_name": "the file name is not UTF-8",
    "symlink_outside": "a link to a target outside the source's folder; such links are not followed",
    "symlink_loop": "a link to itself or to a folder above it",
    "symlink_broken": "a link to a target that does not exist",
    "not_gzip": "the name ends in .gz, but the content is neither gzip nor text",
    "truncated_gzip": "the file ends inside a gzip stream; the complete records before its end are kept",
    "corrupt_gzip": "the gzip stream is corrupt from this point on; the records before it are kept",
    "not_zstd": "the name ends in .zst or .zstd, but the content is neither zstd nor text",
    "truncated_zstd": "the file ends inside a zstd frame; the complete records before its end are kept",
    "corrupt_zstd": "the zstd stream is corrupt from this point on; the records before it are kept",
    "zstd_window": "decompression needs a wider window than the source's zstd_long allows",
    "damaged_parquet": "not a Parquet file, or corrupt from this point on; the rows before it are kept",
    "page_too_large": "a Parquet page decompresses to more than 1 GiB, a dictionary page to 256 MiB, an Arrow batch to 4 GiB; earlier rows are kept",
    "damaged_arrow": "not an Arrow IPC stream or file, or corrupt from this point on; the rows before it are kept",
    "too_large": "longer than the source's max_record_bytes",
    "not_json": "invalid JSON",
    "too_deep": "JSON nested more deeply than the parser supports",
    "not_an_object": "valid JSON, but not an object",
    "not_utf8": "invalid UTF-8 in the text, or in a record that cannot be parsed",
    "lone_surrogate": "half of a surrogate pair, which UTF-8 cannot encode",
    "text_missing": "the text field or column is missing or NULL; of several, all are",
    "text_not_string": "the text is neither a string nor a list of strings",
    "text_empty": "the text is empty or only white space",
    "nul": "a NUL character, which ends a string in C and is typical of damaged or binary files",
}

SAMPLE_REASONS = {  # further reasons of a record that is to be an instruction sample
    "sample_missing": "the record has neither messages nor an instruction and a response, or they are NULL",
    "fields_ambiguous": "two fields of the record may be the same part of a sample, and the recipe names neither",
    "messages_wrong_type": "the messages are not a list",
    "messages_empty": "the list of messages is empty",
    "message_wrong_type": "a message is not an object",
    "role_missing": "a message has no role",
    "role_unknown": "a message has a role that is neither system, user, assistant nor tool, nor a usual name of these",
    "content_missing": "a message has no content, or NULL, and calls no tool",
    "content_wrong_type": "a content is neither a string nor a list of parts",
    "content_not_text": "a message has parts other than text, such as images or the reasoning of a model",
    "content_empty": "a user message is empty or only white space",
    "response_empty": "an assistant message is empty or only white space, and calls no tool",
    "response_missing": "no message is the assistant's",
    "response_not_last": "the last message is not the assistant's",
    "user_not_first": "the first message, after a system prompt, is not the user's",
    "system_not_first": "a system prompt comes after another message, or there are two",
    "turns_not_alternating": "two user or two assistant messages follow each other, or a user message follows a tool's result",
    "tool_without_call": "a tool's result follows no call of a tool",
    "tools_wrong_type": "tools or tool calls are not lists of objects with a function's name",
    "template_error": "the chat template raised an error, as many do for roles that they do not support",
    "template_drops_text": "the chat template leaves out a text, a tool's name or an argument of a call",
    "template_repeats_text": "the chat template writes a text twice",
    "template_alters_text": "the chat template writes a text otherwise than it is; white space at its ends may be removed",
    "template_hides_call": "the place of a tool call in what the chat template writes cannot be determined",
}
REASONS |= FILE_REASONS | SAMPLE_REASONS


class Unusable(Exception):  # noqa: N818 a property of the input, not an error of the program
    """A record, or the rest of a file, cannot be used.

    reason: a key of REASONS. detail: the specifics of this record, as in REJECTED.
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


@dataclass
class Meter:
    """Bytes that a file unpacked to so far, less those of its records."""

    n_bytes: int = 0


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
    meter: Meter | None = field(default=None, compare=False)  # of the pass that reads it


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

    text: one name, or several whose texts are joined. A name a.b is the field of that name, or else b of the object a.
    parts: fields that together are the text, in place of `text`.
    separator: between joined texts.
    """

    text: str | tuple[str, ...]
    id: str | None
    origin: str | None
    license: str | None
    max_record_bytes: int
    parts: Parts | None = None
    separator: str = "\n\n"

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text

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
        Decimal: "an integer",  # of more digits than Python converts
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


HEADER = msgspec.json.Encoder(enc_hook=str)
