"""Components -> NEAR: each text that duplicates a kept text, with the exact similarity of the two.

Components are assigned to groups by their smallest content hash. The action of a group is named by its texts, in the
order of the rule, and by the params; nothing else affects its result. Therefore texts are read again only for groups
whose members changed. Each shard is read once: the shingles of its texts go to the scratch folder, where the worker of
a group finds them by their places.

A base moves the texts that it kept to the front. This changes the order within a group, but not its verdicts if its
members are unchanged; therefore a group is also looked up under the name that it has without the base.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from pipelines.dedup.candidates import Join
from pipelines.dedup.minhash import band_keys
from pipelines.dedup.precedence import Ranked, hex_digits
from pipelines.dedup.shingles import batches, shingles
from pipelines.dedup.survivors import survivors
from pipelines.stage import Engine
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import Scratch

VERSION = 1  # raise when the same texts would give other verdicts

GROUP_TEXTS = 256  # approximate number of texts that one action verifies
MAX_GROUPS = 4096  # beyond about a million texts, groups become larger instead
IN_MEMORY_BYTES = 256 << 20  # of a group's shingles; above, they are in a file that is mapped into memory

PLACE = np.dtype([("position", "<u4"), ("n", "<u4"), ("first", "<u8")])  # of a text's shingles in a file


@dataclass(frozen=True)
class Group:
    """Texts that one action judges, in the order of the rule, and the names of the action."""

    name: str
    name_without_base: str
    positions: np.ndarray  # int64
    hashes: list[str]
    kept_in_base: np.ndarray  # bool


@dataclass(frozen=True)
class Texts:
    """Rows of a shard of DOCUMENTS whose texts are judged, and the number of each text's group."""

    shard: Shard
    first: int  # position of the shard's first row
    rows: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Verify:
    """The parameters of verification, the same for every worker."""

    join: Join
    threshold: float
    n_words: int


def near(groups: Sequence[Group], documents: Sequence[Shard], params: Verify, engine: Engine) -> list[Shard]:
    """NEAR, a shard for each group."""
    store = engine.store

    def spread(p: beam.Pipeline, todo: list[Group]) -> object:
        texts = p | "Texts" >> beam.Create(texts_by_shard(todo, documents), reshuffle=False)
        places = texts | "Spread" >> beam.Reshuffle() | "Shingle" >> beam.FlatMap(write_shingles, params, store)
        numbered = p | "Groups" >> beam.Create(list(enumerate(todo)), reshuffle=False)
        grouped = {"places": places, "group": numbered} | "Group" >> beam.CoGroupByKey()
        return grouped | "Judge" >> beam.Map(judge_group, params, store)

    shards_by_group = engine.each("verify", groups, spread, find=lambda group: find_near(group, store))
    return [shard for shards in shards_by_group for shard in shards]


def group_components(ranks: Ranked, root: np.ndarray, params: Sequence[BaseModel]) -> list[Group]:
    """The texts of all components of two texts or more. The texts of a component are in the same group.

    Args:
        root: [n_documents] an identifier of each document's component.
        params: everything that verdicts depend on besides the texts.
    """
    members = np.flatnonzero(np.bincount(root, minlength=len(root))[root] > 1)
    hash_of = ranks.content_hash
    order = members[np.lexsort((hash_of[members], root[members]))]
    begins = np.flatnonzero(np.diff(root[order], prepend=-1))
    smallest = np.repeat(hash_of[order[begins]], np.diff([*begins, len(order)]))
    bits = min(MAX_GROUPS, max(1, len(members) // GROUP_TEXTS)).bit_length() - 1
    numbers = np.frombuffer(smallest.tobytes(), ">u2")[::8] >> (16 - bits)
    groups = []
    for number in np.unique(numbers):
        texts = order[numbers == number]
        texts = texts[np.argsort(ranks.rank[texts])]
        without_base = texts[np.argsort(ranks.text_rank_without_base[texts])]
        hashes = hex_digits(hash_of[texts])
        name, name_without_base = (
            name_of("verify", VERSION, *params, hex_digits(hash_of[ordered])) for ordered in (texts, without_base)
        )
        groups.append(Group(name, name_without_base, texts, hashes, ranks.text_kept_in_base[texts]))
    return groups


def find_near(group: Group, store: Store) -> list[Shard] | None:
    """The group's shard of NEAR; None if no action made it, in this order or in one with the same verdicts."""
    shards = store.find("verify", group.name)
    if shards is None and group.name_without_base != group.name:
        shards = store.find("verify", group.name_without_base)
        dropped = {h for h, kept in zip(group.hashes, group.kept_in_base.tolist(), strict=True) if not kept}
        if shards and set(store.read(shards[0], ["content_hash"])["content_hash"].to_pylist()) != dropped:
            shards = None
    return shards


def texts_by_shard(groups: Sequence[Group], documents: Sequence[Shard]) -> list[Texts]:
    positions = np.concatenate([group.positions for group in groups])
    numbers = np.repeat(np.arange(len(groups)), [len(group.positions) for group in groups])
    order = np.argsort(positions)
    positions, numbers = positions[order], numbers[order]
    firsts = np.cumsum([0, *(shard.n_rows for shard in documents)])
    cuts = np.searchsorted(positions, firsts)
    return [
        Texts(shard, int(first), positions[begin:end] - first, numbers[begin:end])
        for shard, first, begin, end in zip(documents, firsts[:-1], cuts[:-1], cuts[1:], strict=True)
        if begin < end
    ]


def write_shingles(texts: Texts, params: Verify, store: Store) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """Write the shingles of the texts to a file. Yields (group, (file, places in it)) for each group of the texts."""
    name, counts = f"shingles-{texts.first}", []
    with params.join.scratch.writing(name) as stream:
        for batch in read_texts(store.open(texts.shard), texts.rows):
            values, offsets = shingles(batch, params.n_words)
            values.tofile(stream)
            counts.append(np.diff(offsets))
    places = np.empty(len(texts.rows), PLACE)
    places["position"] = texts.first + texts.rows
    places["n"] = np.concatenate(counts)
    places["first"] = np.cumsum(places["n"], dtype=np.uint64) - places["n"]
    for group in np.unique(texts.groups).tolist():
        yield group, (name, places[texts.groups == group].tobytes())


def read_texts(file: pq.ParquetFile, rows: np.ndarray) -> Iterator[pa.Array]:
    """The texts of some rows, ascending, in batches. Row groups without any of the rows are not read."""
    first = 0
    for number in range(file.num_row_groups):
        n_rows = file.metadata.row_group(number).num_rows
        rows_in_group = rows[(rows >= first) & (rows < first + n_rows)] - first
        if len(rows_in_group):
            yield from batches(file.read_row_group(number, ["text"])["text"].take(rows_in_group))
        first += n_rows


def judge_group(grouped: tuple[int, dict[str, list]], params: Verify, store: Store) -> None:
    """Judge the texts of a group and commit its shard of NEAR."""
    number, inputs = grouped
    (group,) = inputs["group"]
    join = params.join
    name = f"group-{number}"
    values, offsets = read_shingles(group.positions, inputs["places"], join.scratch, name)
    signatures = join.signatures()[group.positions]
    keys = band_keys(signatures, join.n_bands, join.rows)
    survivor, similarity = survivors(keys, signatures, values, offsets, join.min_agreeing, params.threshold)
    join.scratch.path(name).unlink(missing_ok=True)
    dropped = np.flatnonzero(survivor >= 0)
    rows = {
        "content_hash": pa.array([group.hashes[i] for i in dropped], pa.string()),
        "kept_hash": pa.array([group.hashes[i] for i in survivor[dropped]], pa.string()),
        "similarity": similarity[dropped],
    }
    store.commit("verify", group.name, [store.write("NEAR", pa.table(rows))], len(survivor), values.nbytes)


def read_shingles(
    positions: np.ndarray, places: Iterable[tuple[str, bytes]], scratch: Scratch, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """(values, offsets): the shingles of each text, in the order of `positions`.

    Args:
        places: (file, PLACEs in it as bytes).
        name: of the file for more than IN_MEMORY_BYTES.
    """
    parts = [(file, np.frombuffer(packed, PLACE)) for file, packed in places]
    order = np.argsort(positions)
    counts = np.zeros(len(positions), np.int64)
    for _, place in parts:
        counts[order[np.searchsorted(positions[order], place["position"])]] = place["n"]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if offsets[-1] * 8 > IN_MEMORY_BYTES:
        values = scratch.map(name, np.uint64, int(offsets[-1]))
    else:
        values = np.empty(offsets[-1], np.uint64)
    for file, place in parts:
        shard_values = scratch.map(file, np.uint64)
        begins = offsets[order[np.searchsorted(positions[order], place["position"])]]
        for begin, first, n in zip(begins.tolist(), place["first"].tolist(), place["n"].tolist(), strict=True):
            values[begin : begin + n] = shard_values[first : first + n]
    return values, offsets
