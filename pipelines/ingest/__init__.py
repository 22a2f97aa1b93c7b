"""Raw files -> DOCUMENTS and REJECTED: one shard of each for about 32 MB of raw records.

A group is one large file or several small ones, and one Beam element. A worker reads a group once, from start to end,
and cuts it into chunks at records chosen by their own hash (see cutting.py). A chunk is parsed and written only if the
same chunk was not ingested before. Inserting one record into a huge file therefore costs reading the file and parsing
one chunk.

Records in = rows of DOCUMENTS + rows of REJECTED, for each pair of shards.

Memory of a worker: the raw records of one chunk and of those after it up to the next cut, together at most
`largest_bytes` and one record; one piece (parsing.PIECE_BYTES) of them as Python and as Arrow objects; and one
decompressed block of the file, 1 MB, or 34 MB at a compression ratio of a thousand. The total is less than three times
`largest_bytes` or `max_record_bytes`, whichever is larger: 140 MB were measured at 48 MB.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import msgspec
import xxhash
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from pipelines.ingest.account import check as check_account  # noqa: F401 for the graphs
from pipelines.ingest.cutting import cut
from pipelines.ingest.limits import Tally
from pipelines.ingest.listing import check_schemas, listed
from pipelines.ingest.parsing import parse_pieces, rejected_pieces, size_of
from pipelines.ingest.raw_hashes import with_hashes
from pipelines.ingest.readers import READERS, records_of
from pipelines.ingest.readers.record import Fault, File, Parsed, Record, hash_of
from pipelines.ingest.readers.streams import packing_by_suffix
from pipelines.ingest.readers.system import system_errors
from pipelines.ingest.source import SampleSource as SampleSource  # for recipes of samples
from pipelines.ingest.source import Source
from pipelines.ingest.source import sample_sources as sample_sources  # for the graph of samples
from pipelines.stage import Engine, over_each
from pipelines.store import Shard, Store, name_of
from schemas.errors import StageError

VERSION = 2  # raise when the same records would give other rows

FILE_BYTES = 4096  # overhead of a file; counts towards the size of a group


class Sizes(BaseModel):
    """How raw input is cut. Part of the actions' names: other sizes give other shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smallest_bytes: PositiveInt = 16_000_000  # of the raw records of a shard; the last of a group may be smaller
    largest_bytes: PositiveInt = 48_000_000  # exceeded only by a single record
    small_file_bytes: NonNegativeInt = 4_000_000  # smaller files share a group


@dataclass(frozen=True)
class Group:
    """The files that one worker reads in one pass. `name` is a hash of everything that their shards depend on."""

    name: str
    source: Source
    kind: str
    files: tuple[File, ...]


def run(
    sources: Iterable[Source],
    engine: Engine,
    sizes: Sizes = Sizes(),  # noqa: B008 frozen
) -> tuple[list[Shard], list[Shard]]:
    """Shards of DOCUMENTS and the shard of REJECTED for each, ordered by source as in the recipe, group and chunk.

    Raises:
        RecipeError: a source has no readable file.
        StageError: a file changed while it was read.
    """
    groups = [group for source in sources for group in groups_of(source, sizes, engine)]
    spread = over_each(ingest_group, engine.store, sizes)
    shards_by_group = engine.each("ingest", groups, spread, n_shards=lambda todo: n_shards_of(todo, sizes))
    shards = [shard for group_shards in shards_by_group for shard in group_shards]
    return [s for s in shards if s.table == "DOCUMENTS"], [s for s in shards if s.table == "REJECTED"]


def n_shards_of(groups: list[Group], sizes: Sizes) -> int:
    """An estimate of the number of actions, one per group and chunk; compressed files count three times their size."""
    mean = (sizes.smallest_bytes + sizes.largest_bytes) // 2
    bytes_of = [sum(f.n_bytes * (3 if is_compressed(f.name) else 1) for f in g.files) for g in groups]
    return sum(1 + max(1, round(n / mean)) for n in bytes_of)


def is_compressed(name: str) -> bool:
    return packing_by_suffix(name) is not None or name.lower().endswith(READERS["parquet"].suffixes)


# -- groups


def groups_of(source: Source, sizes: Sizes, engine: Engine) -> list[Group]:
    """The source's files in groups: each large file by itself, by name; then small files, by a hash of their names."""
    kind, files = listed(source, engine)
    check_schemas(source, kind, files)
    files = with_hashes(files, engine)
    is_large = [f.n_bytes >= sizes.small_file_bytes or kind == "hub" for f in files]
    large = [[f] for f, alone in zip(files, is_large, strict=True) if alone]
    small = sorted((f for f, alone in zip(files, is_large, strict=True) if not alone), key=lambda f: name_hash(f, 0))
    shared = cut(
        small, lambda f: f.n_bytes + FILE_BYTES, lambda f: name_hash(f, 1), sizes.smallest_bytes, sizes.largest_bytes
    )
    return [group_of(source, kind, tuple(members), sizes) for members in (*large, *shared)]


def name_hash(file: File, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(file.name.encode(), seed)


def group_of(source: Source, kind: str, files: tuple[File, ...], sizes: Sizes) -> Group:
    limits = [sizes.smallest_bytes, sizes.largest_bytes]
    contents = [[file.name, file.hash, file.fault] for file in files]
    return Group(name_of("ingest_group", VERSION, source.key(), kind, limits, contents), source, kind, files)


def ingest_group(group: Group, store: Store, sizes: Sizes) -> int:
    """Make the shards of a group. Returns their number."""
    parse = group.source.parser(group.kind)
    tally, shards = Tally(group.files), []
    chunks = cut(read_group(group, tally), size_of, priority_of, sizes.smallest_bytes, sizes.largest_bytes)
    with system_errors(f"sources.{group.source.name}"):
        for chunk in chunks:
            documents, rejected = ingest_chunk(chunk, group, parse, store)
            tally.add(chunk, rejected, store)
            shards += [documents, rejected]
    store.commit("ingest", group.name, shards)
    return len(shards)


def priority_of(record: Record) -> int:
    return xxhash.xxh3_64_intdigest(record.raw)


def read_group(group: Group, tally: Tally) -> Iterator[Record]:
    """All raw records of the group's files. A file that `tally` refuses while it is read ends with one rejected record.

    Raises:
        StageError: a file can't be read, or changed after it was hashed.
    """
    for file in group.files:
        if file.fault:
            yield Record(file.name, 0, b"", Fault(*file.fault, None, hash_of(b"")))
            continue
        try:
            with system_errors(file.path):
                check_unchanged(file)
                for record in records_of(group.kind, file, group.source.fields):
                    if rest := tally.rest(record):
                        yield rest
                        break
                    yield record
                check_unchanged(file)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, type(error).__name__)
            raise StageError(f"{file.path}: can't be read to its end ({name}); run the build again") from error


def check_unchanged(file: File) -> None:
    """
    Raises:
        StageError: the file's size or mtime differ from those when it was hashed.
    """
    if not file.mtime_ns:
        return
    stat = Path(file.path).stat()
    if (stat.st_size, stat.st_mtime_ns) != (file.n_bytes, file.mtime_ns):
        raise StageError(f"{file.path}: changed while it was read; run the build again when the file is complete")


# -- chunks


def ingest_chunk(
    records: list[Record], group: Group, parse: Callable[[bytes], Parsed], store: Store
) -> tuple[Shard, Shard]:
    """A chunk's shards of DOCUMENTS and REJECTED. The chunk is parsed only if it was not ingested before."""
    name = name_of("ingest", VERSION, group.source.key(), group.kind, raw_hash(records))
    came_from = (records[0].file, records[0].offset)
    shards = store.find("ingest", name)
    if shards is None:
        unusable: list[tuple[int, str, str]] = []
        documents = store.write("DOCUMENTS", parse_pieces(records, group.source, parse, unusable), came_from)
        rejected = store.write("REJECTED", rejected_pieces(records, group.source, unusable), came_from)
        n_bytes = sum(len(r.raw) for r in records)
        shards = store.commit("ingest", name, [documents, rejected], documents.n_rows, n_bytes)
    documents, rejected = shards
    return replace(documents, came_from=came_from), replace(rejected, came_from=came_from)


def raw_hash(records: list[Record]) -> str:
    """A hash of the records' file names and bytes, each preceded by its length. Offsets in the file do not count."""
    digest = blake2b(digest_size=16)
    for record in records:
        name = record.file.encode()
        digest.update(b"%d:%b%d:" % (len(name), name, len(record.raw)))
        digest.update(record.raw)
        if record.fault:
            digest.update(b"!%b" % msgspec.json.encode(record.fault))
    return digest.hexdigest()
