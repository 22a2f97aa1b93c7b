"""SIGNATURES -> components: which texts may be near duplicates of each other, without reading a text.

Two texts are candidates if they share a band and their signatures agree in enough places. The records of bands, 12 bytes
each and 300 bytes a text at a threshold of 0.7, are in a file of the scratch folder for each shard, in blocks of many
texts; the shuffle moves the places of blocks. The signatures are in one flat file there, where every worker finds those of
a text by its position.

Components of the candidate graph are only the unit of work: two candidates are always in the same component. The
components may be larger than those of the graph, since a bucket of more than MAX_BUCKET_TEXTS texts becomes one
component without pairwise comparison.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.dedup.minhash import band_keys, n_agreeing
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch
from schemas.kernels import kernel

RECORD = np.dtype([("key", "<u8"), ("position", "<u4")])
SIGNATURES = "signatures"  # the file of all signatures
MAX_BUCKET_TEXTS = 64  # up to which the texts of a bucket are compared pairwise
BLOCK_RECORDS = 1_000_000  # approximate size of a block, which one worker joins at a time: 12 MB


@dataclass(frozen=True)
class Join:
    """The parameters of a join, the same for every worker."""

    scratch: Scratch
    n_bands: int
    rows: int
    n_permutations: int
    min_agreeing: int
    n_blocks: int

    def signatures(self) -> np.ndarray:
        """[n_documents, n_permutations] uint32 by position, mapped into memory."""
        return self.scratch.map(SIGNATURES, np.uint32).reshape(-1, self.n_permutations)


@dataclass(frozen=True)
class Part:
    """A shard of SIGNATURES, the position of its first row, and the rows of the texts to join."""

    shard: Shard
    first: int
    rows: np.ndarray


@dataclass(frozen=True)
class Slice:
    """`n` records of a file, from record `first`."""

    path: Path
    first: int
    n: int


def components(shards: Sequence[Shard], texts: np.ndarray, join: Join, engine: Engine) -> np.ndarray:
    """[n_documents] int64: the first position of each document's component; its own if it has no candidate.

    Args:
        shards: all of SIGNATURES; positions count their rows in this order.
        texts: positions of the texts to join, ascending.
    """
    import apache_beam as beam

    from pipelines.beam_parts import spread

    firsts = np.cumsum([0, *(shard.n_rows for shard in shards)])
    cuts = np.searchsorted(texts, firsts)
    parts = [
        Part(shard, int(first), texts[begin:end] - first)
        for shard, first, begin, end in zip(shards, firsts[:-1], cuts[:-1], cuts[1:], strict=True)
        if begin < end
    ]
    join.scratch.reserve(SIGNATURES, int(firsts[-1]) * join.n_permutations * 4)
    with engine.pipeline("dedup") as p:
        _ = (
            spread(p, parts)
            | "Bands" >> beam.FlatMap(blocks, join, engine.store)
            | "Group" >> beam.GroupByKey()
            | "Join" >> beam.Map(join_block, join)
        )
    root = np.arange(firsts[-1])
    for path in sorted(join.scratch.folder.glob("edges-*.npy")):
        union(root, np.load(path))
    compress(root)
    return root


def blocks(part: Part, join: Join, store: Store) -> Iterator[tuple[int, Slice]]:
    """(block, place of its records) of a shard's bands. Also writes the shard's signatures to the file of all signatures."""
    column = store.read(part.shard, ["signature"])["signature"].combine_chunks()
    signatures = column.flatten().to_numpy().reshape(-1, join.n_permutations)
    join.scratch.write_at(SIGNATURES, signatures, part.first * join.n_permutations * 4)
    records = np.empty(len(part.rows) * join.n_bands, RECORD)
    records["key"] = band_keys(signatures[part.rows], join.n_bands, join.rows).ravel()
    records["position"] = np.repeat(part.first + part.rows, join.n_bands)
    block = (records["key"] >> np.uint64(32)) * np.uint64(join.n_blocks) >> np.uint64(32)
    records = records[np.argsort(block, kind="stable")]
    ends = np.cumsum(np.bincount(block.astype(np.int64), minlength=join.n_blocks)).tolist()
    name = f"records-{part.first}"
    with join.scratch.writing(name) as stream:
        records.tofile(stream)
    for number, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
        if first < last:
            yield number, Slice(join.scratch.path(name), first, last - first)


def load(block: Slice) -> np.ndarray:
    return np.fromfile(block.path, RECORD, block.n, offset=block.first * RECORD.itemsize)


def join_block(block: tuple[int, Iterable[Slice]], join: Join) -> None:
    """Write the edges between the texts that share a bucket of the block."""
    number, parts = block
    records = np.concatenate([load(part) for part in parts])
    order = np.argsort(records["key"], kind="stable")
    keys, positions = records["key"][order], records["position"][order].astype(np.int64)
    edges = connect(keys, positions, join.signatures(), join.min_agreeing, MAX_BUCKET_TEXTS)
    with join.scratch.writing(f"edges-{number}.npy") as stream:
        np.save(stream, edges)


@kernel
def connect(
    keys: np.ndarray, positions: np.ndarray, signatures: np.ndarray, min_agreeing: int, max_texts: int
) -> np.ndarray:
    """[n_edges, 2] positions: a spanning forest of the candidate graph of each bucket.

    Args:
        keys: ascending; a run of equal keys is a bucket.
        min_agreeing: the number of places in which the signatures of candidates agree.
        max_texts: all texts of a larger bucket are connected to its first, without comparison.
    """
    edges, n = np.empty((len(keys), 2), np.int64), 0
    root = np.empty(max_texts, np.int64)
    first = 0
    while first < len(keys):
        last = first + 1
        while last < len(keys) and keys[last] == keys[first]:
            last += 1
        size = last - first
        root[: min(size, max_texts)] = np.arange(min(size, max_texts))
        for i in range(1, size):
            for j in range(i if size <= max_texts else 1):
                if size <= max_texts:
                    if find(root, i) == find(root, j):
                        continue
                    if n_agreeing(signatures[positions[first + i]], signatures[positions[first + j]]) < min_agreeing:
                        continue
                    root[find(root, i)] = find(root, j)
                edges[n, 0], edges[n, 1] = positions[first + j], positions[first + i]
                n += 1
        first = last
    return edges[:n]


@kernel
def find(root: np.ndarray, i: int) -> int:
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


@kernel
def union(root: np.ndarray, edges: np.ndarray) -> None:
    """Merge the components of both ends of each edge, under the smaller of their roots."""
    for e in range(len(edges)):
        one, other = find(root, edges[e, 0]), find(root, edges[e, 1])
        root[max(one, other)] = min(one, other)


@kernel
def compress(root: np.ndarray) -> None:
    """Point every position directly to the root of its component."""
    for i in range(len(root)):
        root[i] = root[root[i]]  # root[i] <= i, and everything before i is compressed
