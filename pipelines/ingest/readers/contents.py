"""What a file really is, by its first bytes: a pointer or a page of a server in the place of data, or another format."""

import re
from contextlib import suppress

from pipelines.ingest.readers.record import File, Unusable
from pipelines.ingest.readers.streams import HEAD, blocks, is_text, packing_by_suffix, packing_of

BOM = b"\xef\xbb\xbf"
LFS = b"version https://git-lfs.github.com/spec"
SIZE_OF_LFS = re.compile(rb"^size (\d{1,20})$", re.MULTILINE)
MARKUP = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(!doctype html|html|\?xml)", re.IGNORECASE | re.DOTALL)
BINARY = {  # the first bytes of files that are no lines of text, and what to do with such a file
    b"PAR1": "a Parquet file; put it into a source of its own",
    b"ARROW1": "an Arrow file; put it into a source of its own",
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"%PDF-": "a PDF; extract its text",
    b"SQLite format 3\0": "a SQLite database; export its table",
    b"\x89HDF\r\n": "an HDF5 file; export its table",
    b"Obj\x01": "an Avro file; export it as Parquet",
}
OWN = {"parquet": b"PAR1", "hf": b"ARROW1"}  # format -> how its files may begin
TAR = (b"ustar", 257)  # magic number and its place


def heads_of(file: File) -> tuple[bytes, bytes]:
    """The first bytes of the file as it lies on the disk, and of its content."""
    with open(file.path, "rb") as stream:
        raw = stream.read(HEAD)
    if packing_of(raw) is None and raw[:1] not in (b"\xff", b"\xfe", b"\0"):
        return raw, raw
    content = b""
    with suppress(Unusable):  # raised again when the file is read
        content = next(blocks(file), b"")
    return raw, content[:HEAD]


def disguise(kind: str, raw: bytes, content: bytes) -> Unusable | None:
    """Why a file of these first bytes has no record of the format; None if it may have some.

    Args:
        raw, content: as heads_of().
    """
    if raw.startswith(LFS):
        size = SIZE_OF_LFS.search(raw)
        n_bytes = f" to {int(size[1]):,} bytes" if size else ""
        return Unusable("lfs_pointer", f"a pointer of Git LFS{n_bytes}, not the file; fetch it by: git lfs pull")
    if kind == "text":
        return None
    if kind in OWN and raw.startswith(OWN[kind]):
        return None
    if kind in OWN and (packing := packing_of(raw)):
        return Unusable("other_format", f"{packing} content; unpack the file")
    what = next((what for magic, what in BINARY.items() if content.startswith(magic)), None)
    if what is None and content[TAR[1] : TAR[1] + len(TAR[0])] == TAR[0] and not is_text(content):
        what = "a tar archive; unpack it"
    if what is None and (markup := MARKUP.match(content.removeprefix(BOM))):
        xml = markup[1].lower() == b"?xml"
        what = "an XML document, perhaps of a server's error; download the file again" if xml else (
            "an HTML page, perhaps of a login or an error; download the file again"
        )  # fmt: skip
    return Unusable("other_format", what) if what else None


def is_plain_under_packed_name(file: File) -> bool:
    """Whether a file with the suffix of a compression holds text that is not compressed."""
    if file.fault or packing_by_suffix(file.name) is None:
        return False
    try:
        with open(file.path, "rb") as stream:
            head = stream.read(HEAD)
    except OSError:  # raised again when the file is read
        return False
    return bool(head) and packing_of(head) is None and is_text(head) and not head.startswith(LFS)
