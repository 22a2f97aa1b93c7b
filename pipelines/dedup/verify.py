"""Components -> NEAR: each text that duplicates a kept text, with the exact similarity of the two.

Components are assigned to groups by their smallest content hash. The action of a group is named by its texts, in the
order of the rule, and by the params; nothing else affects its result. Therefore texts are read again only for groups
whose members changed. Each shard is read once: the shingles of its texts go to one file of the scratch folder. Their
numbers are in SIGNATURES, so the place of each text is planned, and the worker of a group maps the file into memory.

A base moves the texts that it kept to the front. This changes the order within a group, but not its verdicts if its
members are unchanged; therefore a group is also looked up under the name that it has without the base.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from pipelines.batches import batches
from pipelines.dedup.candidates import Join
from pipelines.dedup.minhash import band_keys
from pipelines.dedup.precedence import Ranked, hex_digits
from pipelines.dedup.shingles import Window, in_parts
from pipelines.dedup.survivors import survivors
from pipelines.row_groups import row_groups_with
from pipelines.stage import Engine
from pipelines.store import Shard, Store, name_of
from schemas.errors import StageError

if TYPE_CHECKING:
    import apache_beam as beam

VERSION = 2  # raise when the same texts would give other verdicts

GROUP_TEXTS = 256  # approximate number of texts that one action verifies
MAX_GROUPS = 4096  # beyond about a million texts, groups become larger instead

SHINGLES = "shingles"  # the file of the shingles of all texts that are judged


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
    places: np.ndarray  # [n_rows + 1]: the shingles of row i are values [places[i], places[i + 1]) of the file


@dataclass(frozen=True)
class Layout:
    """Where the shingles of each text are in the file."""

    positions: np.ndarray  # of all texts to judge, ascending
    places: np.ndarray  # int64, [n_texts + 1]: those of text i are values [places[i], places[i + 1])

    @classmethod
    def of(cls, groups: Sequence[Group], n_shingles: np.ndarray) -> "Layout":
        positions = np.sort(np.concatenate([group.positions for group in groups]))
        return cls(positions, np.concatenate([[0], np.cumsum(n_shingles[positions], dtype=np.int64)]))

    def spans(self, positions: np.ndarray) -> np.ndarray:
        """[n_texts, 2]: first and end of each text's values."""
        index = np.searchsorted(self.positions, positions)
        return np.stack([self.places[index], self.places[index + 1]], axis=1)


def as_they_are(texts: pa.Array) -> pa.Array:
    return texts


Compared = Callable[[pa.Array], pa.Array]  # texts of DOCUMENTS -> what is compared of each


@dataclass(frozen=True)
class Verify:
    """The parameters of verification, the same for every worker."""

    join: Join
    threshold: float
    window: Window
    compared: Compared = as_they_are


def near(
    groups: Sequence[Group], documents: Sequence[Shard], n_shingles: np.ndarray, params: Verify, engine: Engine
) -> list[Shard]:
    """NEAR, a shard for each group.

    n_shingles: of each document, by position.
    """
    store = engine.store

    def judged(p: "beam.Pipeline", todo: list[Group]) -> object:
        import apache_beam as beam

        from pipelines.beam_parts import spread

        layout = Layout.of(todo, n_shingles)
        params.join.scratch.reserve(SHINGLES, int(layout.places[-1]) * 8)
        texts = spread(p, texts_by_shard(todo, documents, layout))
        written = texts | "Shingle" >> beam.FlatMap(write_shingles, params, store)
        placed = [(i, (group, layout.spans(group.positions))) for i, group in enumerate(todo)]
        groups = p | "Groups" >> beam.Create(placed, reshuffle=False)
        grouped = {"written": written, "group": groups} | "Group" >> beam.CoGroupByKey()
        return grouped | "Judge" >> beam.Map(judge_group, params, store)

    shards_by_group = engine.each("verify", groups, judged, find=lambda group: find_near(group, store))
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


def texts_by_shard(groups: Sequence[Group], documents: Sequence[Shard], layout: Layout) -> list[Texts]:
    numbers = np.repeat(np.arange(len(groups)), [len(group.positions) for group in groups])
    numbers = numbers[np.argsort(np.concatenate([group.positions for group in groups]))]
    firsts = np.cumsum([0, *(shard.n_rows for shard in documents)])
    cuts = np.searchsorted(layout.positions, firsts)
    return [
        Texts(shard, int(first), layout.positions[a:b] - first, numbers[a:b], layout.places[a : b + 1])
        for shard, first, a, b in zip(documents, firsts[:-1], cuts[:-1], cuts[1:], strict=True)
        if a < b
    ]


def write_shingles(texts: Texts, params: Verify, store: Store) -> Iterator[tuple[int, None]]:
    """Write the shingles of the texts at their places. Yields the number of each group that has one of the texts.

    Raises:
        StageError: SIGNATURES has another number of shingles, so that the places are wrong.
    """
    n_rows, place = 0, int(texts.places[0])
    for batch in read_texts(store.open(texts.shard), texts.rows):
        for texts_compared in batches(params.compared(batch)):
            for part in in_parts(texts_compared, params.window):
                params.join.scratch.write_at(SHINGLES, part.values, place * 8)
                place += len(part.values)
        n_rows += len(batch)
        if place != texts.places[n_rows]:
            raise StageError(f"SIGNATURES: not made from DOCUMENTS/{texts.shard.content_hash}; run `longmix check`")
    for group in np.unique(texts.groups).tolist():
        yield group, None


def read_texts(file: pq.ParquetFile, rows: np.ndarray) -> Iterator[pa.Array]:
    """The texts of some rows, ascending, in batches. Row groups without any of the rows are not read."""
    for number, first, own in row_groups_with(rows, file):
        column = file.read_row_group(number, ["text"])["text"]
        in_group = rows[own] - first
        yield from batches(column.take(in_group) if len(in_group) < len(column) else column)


def judge_group(grouped: tuple[int, dict[str, list]], params: Verify, store: Store) -> None:
    """Judge the texts of a group and commit its shard of NEAR."""
    ((group, spans),) = grouped[1]["group"]
    join = params.join
    values = join.scratch.map(SHINGLES, np.uint64)
    signatures = join.signatures()[group.positions]
    keys = band_keys(signatures, join.n_bands, join.rows)
    survivor, similarity = survivors(keys, signatures, values, spans, join.min_agreeing, params.threshold)
    dropped = np.flatnonzero(survivor >= 0)
    hashes = pa.array(group.hashes, pa.string())
    rows = {
        "content_hash": hashes.take(pa.array(dropped)),
        "kept_hash": hashes.take(pa.array(survivor[dropped])),
        "similarity": similarity[dropped],
    }
    n_bytes = int((spans[:, 1] - spans[:, 0]).sum()) * 8
    store.commit("verify", group.name, [store.write("NEAR", pa.table(rows))], len(survivor), n_bytes)
