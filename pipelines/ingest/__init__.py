"""Raw files -> DOCUMENTS and REJECTED: a shard of each for every stretch of about 32 MB of raw records.

A group is one large file, or small ones together; a Beam element is a group. It is read once from end to end and cut into
chunks at records chosen by their own hash (see chunks.py), and each chunk is parsed and written unless the very same
chunk was before. So one record put into a huge file costs the reading of the file, and the parsing of one chunk.

Records in = rows of DOCUMENTS + rows of REJECTED, for each pair of shards.

Memory of a worker: the raw records of one chunk and of what follows it up to the next cut, together at most
`largest_bytes` and one record; with them one piece (documents.PIECE_BYTES) as Python and as Arrow, and what a block of the
file unpacks to, a megabyte or, of a file that unpacks to a thousand times its size, 34. In sum less than three times
`largest_bytes` or `max_record_bytes`, whichever is more: 140 MB measured at 48.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import msgspec
import xxhash
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from pipelines.ingest.cutting import cut
from pipelines.ingest.listing import check, find_files
from pipelines.ingest.parsing import parse_pieces, rejected_pieces, size_of
from pipelines.ingest.raw_hashes import with_hashes
from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.record import Fault, File, Found, Record, hash_of
from pipelines.ingest.source import Source
from pipelines.stage import Engine, over_each
from pipelines.store import Shard, Store, name_of
from schemas.errors import StageError

VERSION = 1  # raise when the same records would give other rows

FILE_BYTES = 4096  # what a file costs beside its own bytes; groups are measured with it


class Sizes(BaseModel):
    """How raw input is cut. Part of the actions' names: other sizes are other shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smallest_bytes: PositiveInt = 16_000_000  # of the raw records of a shard; the last of a group may be smaller
    largest_bytes: PositiveInt = 48_000_000  # only a single record is ever larger
    small_file_bytes: NonNegativeInt = 4_000_000  # a smaller file shares its group


@dataclass(frozen=True)
class Group:
    """What one worker reads in one go. `name` is a hash of all that its shards depend on."""

    name: str
    source: Source
    kind: str
    files: tuple[File, ...]


def run(
    sources: Iterable[Source],
    engine: Engine,
    sizes: Sizes = Sizes(),  # noqa: B008 frozen
) -> tuple[list[Shard], list[Shard]]:
    """DOCUMENTS and REJECTED, shard beside shard: in the recipe's order of sources, then of groups, then of chunks.

    Raises:
        RecipeError: a source names nothing that can be read.
        StageError: a file changed while it was read.
    """
    groups = [group for source in sources for group in groups_of(source, sizes, engine)]
    spread = over_each(ingest_group, engine.store, sizes)
    made = engine.each("ingest", groups, spread, n_shards=lambda todo: n_shards_of(todo, sizes))
    shards = [shard for of_group in made for shard in of_group]
    return [s for s in shards if s.table == "DOCUMENTS"], [s for s in shards if s.table == "REJECTED"]


def n_shards_of(groups: list[Group], sizes: Sizes) -> int:
    """About how many actions: one a group, and one a chunk, taking what is packed to unpack to three times its size."""
    mean = (sizes.smallest_bytes + sizes.largest_bytes) // 2
    packed = (".gz", ".zst", ".zstd", ".parquet", ".pq")
    bytes_of = [sum(f.n_bytes * (3 if f.name.endswith(packed) else 1) for f in g.files) for g in groups]
    return sum(1 + max(1, round(n / mean)) for n in bytes_of)


# -- groups


def groups_of(source: Source, sizes: Sizes, engine: Engine) -> list[Group]:
    """The source's files in groups: the large ones by name, then the small ones in the order of a hash of their names."""
    kind, files = find_files(source)
    check(source, kind, files)
    files = with_hashes(files, engine)
    large = [f.n_bytes >= sizes.small_file_bytes or kind == "hub" for f in files]
    apart = [[f] for f, is_large in zip(files, large, strict=True) if is_large]
    small = sorted((f for f, is_large in zip(files, large, strict=True) if not is_large), key=lambda f: name_hash(f, 0))
    together = cut(
        small, lambda f: f.n_bytes + FILE_BYTES, lambda f: name_hash(f, 1), sizes.smallest_bytes, sizes.largest_bytes
    )
    return [group_of(source, kind, tuple(each), sizes) for each in (*apart, *together)]


def name_hash(file: File, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(file.name.encode(), seed)


def group_of(source: Source, kind: str, files: tuple[File, ...], sizes: Sizes) -> Group:
    cutting = [sizes.smallest_bytes, sizes.largest_bytes]
    held = [[file.name, file.hash, file.fault] for file in files]
    return Group(name_of("ingest_group", VERSION, source.key(), kind, cutting, held), source, kind, files)


def ingest_group(group: Group, store: Store, sizes: Sizes) -> int:
    """Make a group's shards. Returns how many."""
    wanted = group.source.wanted
    parse = READERS[group.kind].parser(wanted)
    chunks = cut(read_group(group), size_of, priority_of, sizes.smallest_bytes, sizes.largest_bytes)
    shards = [shard for chunk in chunks for shard in ingest_chunk(chunk, group, parse, store)]
    store.commit("ingest", group.name, shards)
    return len(shards)


def priority_of(record: Record) -> int:
    return xxhash.xxh3_64_intdigest(record.raw)


def read_group(group: Group) -> Iterator[Record]:
    """Every raw record of the group's files.

    Raises:
        StageError: a file is no longer what it was when its hash was taken.
    """
    reader = READERS[group.kind]
    for file in group.files:
        if file.fault:
            yield Record(file.name, 0, b"", Fault(*file.fault, None, hash_of(b"")))
            continue
        try:
            unchanged(file)
            yield from reader.records(file, group.source.wanted)
            unchanged(file)
        except OSError as error:
            found = errno.errorcode.get(error.errno or 0, type(error).__name__)
            raise StageError(f"{file.path}: can't be read to its end ({found}); run the build again") from error


def unchanged(file: File) -> None:
    if not file.changed_ns:
        return  # no file of this machine
    found = Path(file.path).stat()
    if (found.st_size, found.st_mtime_ns) != (file.n_bytes, file.changed_ns):
        raise StageError(f"{file.path}: changed while it was read; run the build again when it is done")


# -- chunks


def ingest_chunk(
    records: list[Record], group: Group, parse: Callable[[bytes], Found], store: Store
) -> tuple[Shard, Shard]:
    """A chunk's shard of DOCUMENTS and of REJECTED; parsed only where the very same chunk was not before."""
    name = name_of("ingest", VERSION, group.source.key(), group.kind, raw_hash(records))
    came_from = (records[0].file, records[0].at)
    there = store.find("ingest", name)
    if there is None:
        unusable: list[tuple[int, str, str]] = []
        documents = store.write("DOCUMENTS", parse_pieces(records, group.source, parse, unusable), came_from)
        refused = store.write("REJECTED", rejected_pieces(records, group.source, unusable), came_from)
        there = store.commit("ingest", name, [documents, refused], documents.n_rows, sum(len(r.raw) for r in records))
    documents, refused = there
    return replace(documents, came_from=came_from), replace(refused, came_from=came_from)


def raw_hash(records: list[Record]) -> str:
    """A hash of the files' names and the records' bytes, each with its length before it; not of where they lie."""
    digest = blake2b(digest_size=16)
    for record in records:
        name = record.file.encode()
        digest.update(b"%d:%b%d:" % (len(name), name, len(record.raw)))
        digest.update(record.raw)
        if record.fault:
            digest.update(b"!%b" % msgspec.json.encode(record.fault))
    return digest.hexdigest()
