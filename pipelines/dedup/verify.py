"""Components -> NEAR: each text that is too like a kept one, with the exact similarity of the two.

Components are spread over groups by their smallest content hash, and a group's action is named by its texts in the
order in which they are judged: what a group comes to depends on nothing else. So texts are read again only for groups
whose members changed. They are read shard by shard, each once; their shingles go to the scratch folder, and a group's
worker finds them there by their places.

A base puts what it kept first, which changes the order but not the verdicts of a group that is as it was; so a group
is looked for under the name that it has without the base too.
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

VERSION = 1  # raise when the same texts would come to other verdicts

GROUP_TEXTS = 256  # about, that one action verifies
MOST_GROUPS = 4096  # beyond a million texts groups grow instead
IN_MEMORY_BYTES = 256 << 20  # of a group's shingles; more lie in a file that is mapped into memory

PLACE = np.dtype([("position", "<u4"), ("n", "<u4"), ("first", "<u8")])  # of a text's shingles in a file


@dataclass(frozen=True)
class Group:
    """Texts that are judged together, in the order of the rule, and where their verdicts may lie in the store."""

    name: str
    name_without_base: str
    positions: np.ndarray  # int64
    hashes: list[str]
    kept_in_base: np.ndarray  # bool


@dataclass(frozen=True)
class Texts:
    """Rows of a shard of DOCUMENTS whose texts are wanted, and the number of each one's group."""

    shard: Shard
    first: int  # position of the shard's first row
    rows: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Verify:
    """What every worker knows."""

    join: Join
    threshold: float
    n_words: int


def near(groups: Sequence[Group], documents: Sequence[Shard], params: Verify, engine: Engine) -> list[Shard]:
    """NEAR, a shard for each group."""
    store = engine.store

    def spread(p: beam.Pipeline, todo: list[Group]) -> object:
        texts = p | "Texts" >> beam.Create(wanted_texts(todo, documents), reshuffle=False)
        places = texts | "Spread" >> beam.Reshuffle() | "Shingle" >> beam.FlatMap(place_shingles, params, store)
        numbered = p | "Groups" >> beam.Create(list(enumerate(todo)), reshuffle=False)
        met = {"places": places, "group": numbered} | "Meet" >> beam.CoGroupByKey()
        return met | "Judge" >> beam.Map(judge_group, params, store)

    made = engine.each("verify", groups, spread, find=lambda group: look_up(group, store))
    return [shard for shards in made for shard in shards]


def grouped(ranked: Ranked, root: np.ndarray, params: Sequence[BaseModel]) -> list[Group]:
    """The texts of all components of more than one, a component never in two groups.

    Args:
        root: [n_documents] what names each document's component.
        params: everything that verdicts depend on besides the texts.
    """
    members = np.flatnonzero(np.bincount(root, minlength=len(root))[root] > 1)
    hash_of = ranked.content_hash
    order = members[np.lexsort((hash_of[members], root[members]))]
    begins = np.flatnonzero(np.diff(root[order], prepend=-1))
    smallest = np.repeat(hash_of[order[begins]], np.diff([*begins, len(order)]))
    bits = min(MOST_GROUPS, max(1, len(members) // GROUP_TEXTS)).bit_length() - 1
    number = np.frombuffer(smallest.tobytes(), ">u2")[::8] >> (16 - bits)
    found = []
    for one in np.unique(number):
        inside = order[number == one]
        inside = inside[np.argsort(ranked.rank[inside])]
        hashes, again = hex_digits(hash_of[inside]), inside[np.argsort(ranked.text_rank_without_base[inside])]
        name, name_without_base = (name_of("verify", VERSION, *params, hex_digits(hash_of[o])) for o in (inside, again))
        found.append(Group(name, name_without_base, inside, hashes, ranked.text_kept_in_base[inside]))
    return found


def look_up(group: Group, store: Store) -> list[Shard] | None:
    """The group's shard of NEAR; None where it was never made, in this order or in one that comes to the same."""
    found = store.find("verify", group.name)
    if found is None and group.name_without_base != group.name:
        found = store.find("verify", group.name_without_base)
        dropped = {h for h, kept in zip(group.hashes, group.kept_in_base.tolist(), strict=True) if not kept}
        if found and set(store.read(found[0], ["content_hash"])["content_hash"].to_pylist()) != dropped:
            found = None
    return found


def wanted_texts(groups: Sequence[Group], documents: Sequence[Shard]) -> list[Texts]:
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


def place_shingles(texts: Texts, known: Verify, store: Store) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """Write the shingles of the wanted texts to a file; (group, (file, places in it)) for each group they belong to."""
    name, counts = f"shingles-{texts.first}", []
    with known.join.scratch.writing(name) as stream:
        for batch in read_texts(store.open(texts.shard), texts.rows):
            made = shingles(batch, known.n_words)
            made.values.tofile(stream)
            counts.append(np.diff(made.offsets))
    places = np.empty(len(texts.rows), PLACE)
    places["position"] = texts.first + texts.rows
    places["n"] = np.concatenate(counts)
    places["first"] = np.cumsum(places["n"], dtype=np.uint64) - places["n"]
    for group in np.unique(texts.groups).tolist():
        yield group, (name, places[texts.groups == group].tobytes())


def read_texts(file: pq.ParquetFile, rows: np.ndarray) -> Iterator[pa.Array]:
    """The texts of some rows, ascending, in batches; row groups that hold none of them are not read."""
    first = 0
    for number in range(file.num_row_groups):
        n_rows = file.metadata.row_group(number).num_rows
        inside = rows[(rows >= first) & (rows < first + n_rows)] - first
        if len(inside):
            yield from batches(file.read_row_group(number, ["text"])["text"].take(inside))
        first += n_rows


def judge_group(met: tuple[int, dict[str, list]], known: Verify, store: Store) -> None:
    """Judge a group's texts and commit its shard of NEAR."""
    number, found = met
    (group,) = found["group"]
    name = f"group-{number}"
    values, offsets = gather(group.positions, found["places"], known.join.scratch, name)
    signed = known.join.signed()[group.positions]
    keys = band_keys(signed, known.join.n_bands, known.join.rows)
    survivor, similarity = survivors(keys, signed, values, offsets, known.join.min_agreeing, known.threshold)
    known.join.scratch.path(name).unlink(missing_ok=True)
    dropped = np.flatnonzero(survivor >= 0)
    rows = {
        "content_hash": pa.array([group.hashes[i] for i in dropped], pa.string()),
        "kept_hash": pa.array([group.hashes[i] for i in survivor[dropped]], pa.string()),
        "similarity": similarity[dropped],
    }
    store.commit("verify", group.name, [store.write("NEAR", pa.table(rows))], len(survivor), values.nbytes)


def gather(
    positions: np.ndarray, places: Iterable[tuple[str, bytes]], scratch: Scratch, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """(values, offsets): the shingles of each text, in the order of `positions`."""
    parts = [(source, np.frombuffer(packed, PLACE)) for source, packed in places]
    order = np.argsort(positions)
    counts = np.zeros(len(positions), np.int64)
    for _, place in parts:
        counts[order[np.searchsorted(positions[order], place["position"])]] = place["n"]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if offsets[-1] * 8 > IN_MEMORY_BYTES:
        values = scratch.map(name, np.uint64, int(offsets[-1]))
    else:
        values = np.empty(offsets[-1], np.uint64)
    for source, place in parts:
        here = scratch.map(source, np.uint64)
        at = offsets[order[np.searchsorted(positions[order], place["position"])]]
        for begin, first, n in zip(at.tolist(), place["first"].tolist(), place["n"].tolist(), strict=True):
            values[begin : begin + n] = here[first : first + n]
    return values, offsets
