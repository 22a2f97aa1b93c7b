"""Files that are read no further, because nearly all of what they hold is rejected: a small archive may unpack to billions.

A file is refused from the record after which it has more rejected records than documents, and more of them than 1,000 and
one for each of its bytes, or than 1,000,000; or else 1 GiB and ten times its size of records without a document. A file
that is not compressed reaches only the limit of a million. What was read stays as it is, and the rest is one rejected
record. The counts are those of complete chunks, which depend on nothing but the files: every run refuses at the same place.
"""

from collections import Counter

from pipelines.ingest.readers import streams
from pipelines.ingest.readers.record import Fault, File, Record, hash_of
from pipelines.store import Shard, Store

MAX_REJECTED = 1_000_000  # records of a file
SMALL_REJECTED = 1_000  # of a file of a few bytes


class Tally:
    """What became of the records of each file of a group so far.

    lost_bytes: of the records of files without a document.
    """

    def __init__(self, files: tuple[File, ...]):
        self.sizes = {file.name: file.n_bytes for file in files}
        self.documents: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.lost_bytes: Counter[str] = Counter()
        self.refused: dict[str, str] = {}  # file -> detail

    def add(self, records: list[Record], rejected: Shard, store: Store) -> None:
        """Count a chunk. rejected: its shard of REJECTED."""
        if records[0].file == records[-1].file:  # files follow each other
            n_records, n_rejected = (
                Counter({records[0].file: len(records)}),
                Counter({records[0].file: rejected.n_rows}),
            )
        else:
            n_records = Counter(record.file for record in records)
            names = store.read(rejected, ["file"])["file"].to_pylist() if rejected.n_rows else []
            n_rejected = Counter(names)
        self.documents.update(n_records)
        self.documents.subtract(n_rejected)
        self.rejected.update(n_rejected)
        for record in records if n_rejected.total() else ():
            if not self.documents[record.file]:
                self.lost_bytes[record.file] += len(record.raw)
        for file in n_rejected:
            if detail := self.detail(file):
                self.refused[file] = detail

    def detail(self, file: str) -> str | None:
        """Why the rest of a file is not read; None if it is."""
        size, documents, rejected = self.sizes.get(file, 0), self.documents[file], self.rejected[file]
        limit = min(MAX_REJECTED, SMALL_REJECTED + size) if size else MAX_REJECTED  # a part of the hub has no size
        if rejected > max(limit, documents):
            return f"after {rejected:,} rejected records and {documents:,} documents; the rest of the file was not read"
        if not documents and self.lost_bytes[file] > streams.unpacked_limit(size):
            return f"after {self.lost_bytes[file]:,} bytes without a document; the rest of the file was not read"
        return None

    def rest(self, record: Record) -> Record | None:
        """The rest of the file from `record` on, as one rejected record; None if the file is read on."""
        if record.file not in self.refused:
            return None
        return Record(
            record.file, record.offset, b"", Fault("too_many_rejected", self.refused[record.file], None, hash_of(b""))
        )
