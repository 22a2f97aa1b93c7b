"""DRAWS, TOKENS -> SEQUENCES: training rows, packed and ordered; a shard for each group of draws (a shard of DRAWS).

The place of every token is planned over small columns, group by group. Then the tokens are moved once, without a
shuffle: each TOKENS shard is read once, and its drawn tokens are written to their planned places in one flat file per
group (scatter.py). When all planned tokens of a group are written, its file is read from start to end and converted to
Parquet. Memory: one row group. Scratch: 4 bytes per token.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipelines import encode
from pipelines.encode import EncodeParams, Encoding
from pipelines.pack.arrangement import PATH, arrange, path_of
from pipelines.pack.labels import Responses, labelled
from pipelines.pack.negative_extension import LISTS
from pipelines.pack.packers import Rows
from pipelines.pack.params import EXTENSION, PackParams, pad_ids
from pipelines.pack.scatter import check_all_written, flat_file, pieces_of, scatter
from pipelines.pack.sequences import sequences
from pipelines.pieces import Index, by_shard
from pipelines.stage import Engine, Read
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import Scratch
from schemas.errors import SchemaError
from schemas.tables import DRAWS

if TYPE_CHECKING:
    import apache_beam as beam

VERSION = 3  # raise when the same params would give other rows
SFT_VERSION = 1  # the same, for SFT_SEQUENCES

__all__ = ["EXTENSION", "VERSION", "PackParams", "arrange", "pad_ids", "run", "run_sft"]


@dataclass(frozen=True)
class Group:
    """A group of draws as its worker needs it. Its rows are in the scratch folder.

    Attributes:
        number: index of the group.
        name: of the action that makes its shard.
        draws: its shard of DRAWS.
        order: its shard of ORDER, None if the recipe has no order.
        chunks: its shard of CHUNKS, None if the packer is not negative_extension.
        samples: the shards of SAMPLES whose responses are its labels; none for SEQUENCES.
        n_tokens: of documents in all its rows; 0 if its shard was made before.
    """

    number: int
    name: str
    draws: Shard
    order: Shard | None
    chunks: Shard | None = None
    samples: tuple[Shard, ...] = ()
    n_tokens: int = 0


def write_group(
    group_and_counts: tuple[Group, Iterable[int]], pads: Sequence[int], store: Store, scratch: Scratch
) -> None:
    """Write the shard of a group from its flat file. pads: see sequences().

    Raises:
        StageError: fewer or more tokens were written to the flat file than planned.
    """
    group, counts = group_and_counts
    check_all_written(group.number, sum(counts), group.n_tokens)
    rows = load_rows(scratch, group.number)
    draws = store.read(group.draws, ("document_id", "domain", "epoch"))
    path = path_of(draws, read_order(group.order, store))
    columns = pa.table({name: table[name] for table in (draws, path) for name in table.column_names})
    flat = scratch.path(flat_file(group.number))
    made = sequences(group.number, rows, columns, pads, flat)
    if group.samples:
        shard = store.write("SFT_SEQUENCES", labelled(made, Responses.of(draws["document_id"], group.samples, store)))
    else:
        shard = store.write("SEQUENCES", made)
    store.commit("pack", group.name, [shard], len(draws), 4 * group.n_tokens)


def read_order(shard: Shard | None, store: Store) -> pa.Table | None:
    return store.read(shard, PATH) if shard else None


def read_chunks(shard: Shard | None, store: Store) -> pa.Table | None:
    return store.read(shard, LISTS) if shard else None


def save_rows(scratch: Scratch, number: int, rows: Rows) -> None:
    np.savez(scratch.path(f"{number}.rows.npz"), **vars(rows))


def load_rows(scratch: Scratch, number: int) -> Rows:
    with np.load(scratch.path(f"{number}.rows.npz")) as arrays:
        return Rows(**arrays)


def move_tokens(
    p: "beam.Pipeline",
    groups: Sequence[Group],
    tokens: Sequence[Shard],
    pads: Sequence[int],
    store: Store,
    scratch: Scratch,
) -> None:
    """Beam: write the tokens of all TOKENS shards to the flat files, then the shard of each group."""
    import apache_beam as beam

    from pipelines.beam_parts import spread

    index = Index(tokens, store)
    pieces_by_group = []
    for group in groups:
        rows = load_rows(scratch, group.number)
        scratch.reserve(flat_file(group.number), 4 * int(rows.n_tokens.sum()))
        positions = index.find(store.read(group.draws, ("document_id", "n_tokens")))
        pieces_by_group.append(pieces_of(group.number, rows, positions, index))
    shards = []
    for number, pieces in by_shard(pieces_by_group):
        np.save(scratch.path(f"{number}.pieces.npy"), pieces)
        shards.append((tokens[number], f"{number}.pieces.npy"))
    by_number = {group.number: group for group in groups}
    written = spread(p, shards) | "Scatter" >> beam.FlatMap(scatter, store, scratch)
    nothing = p | "Groups" >> beam.Create([(number, 0) for number in by_number], reshuffle=False)  # some have no draws
    _ = (
        (written, nothing)
        | beam.Flatten()
        | "Group" >> beam.GroupByKey()  # waits for all TOKENS shards
        | "Plan" >> beam.MapTuple(lambda number, counts: (by_number[number], list(counts)))
        | "Write" >> beam.Map(write_group, pads, store, scratch)
    )


def run(
    tokens: list[Shard],
    draws: list[Shard],
    order: list[Shard],
    encoding: EncodeParams,
    params: PackParams,
    engine: Engine,
) -> list[Shard]:
    """SEQUENCES, a shard for each shard of DRAWS.

    The tokens of a document are determined by its content_hash, which is in DRAWS, and by the encoding. Actions are
    named by these and not by TOKENS, so a group with the same draws and the same path is not packed again, whatever
    became of other groups.

    Args:
        order: a shard of ORDER for each shard of DRAWS and, for negative_extension, one of CHUNKS; empty if the recipe
            has no order.

    Raises:
        RecipeError: the tokenizer lacks the pad token or a knot token.
        SchemaError: the tokens of a draw are not in TOKENS, or its document is not in ORDER, or its chunks are missing.
        StageError: the stage stopped for a reason outside the recipe.
        NotMade: a shard is missing and the engine only looks.
    """
    paths, lists = (beside(draws, [s for s in order if s.table == table], table) for table in ("ORDER", "CHUNKS"))
    pads, groups = pad_ids(params, encoding), []
    for number, (shard, path, chunks) in enumerate(zip(draws, paths, lists, strict=True)):
        reads = [Read(shard, tuple(DRAWS.names)).key(), Read(path, PATH).key() if path else None]
        reads += [Read(chunks, LISTS).key()] if chunks else []
        name = name_of("pack", VERSION, params, encode.VERSION, Encoding.of(encoding), reads, number)
        groups.append(Group(number, name, shard, path, chunks))
    return packed(groups, tokens, pads, params, engine)


def beside(draws: Sequence[Shard], shards: Sequence[Shard], table: str) -> Sequence[Shard | None]:
    """The shard of a table for each shard of DRAWS; None where the build made no such table.

    Raises:
        SchemaError: there are fewer shards, or more.
    """
    if shards and len(shards) != len(draws):
        raise SchemaError(f"{table} has {len(shards)} shards and DRAWS {len(draws)}; use tables of the same build")
    return shards or [None] * len(draws)


def packed(
    groups: Sequence[Group], tokens: Sequence[Shard], pads: Sequence[int], params: PackParams, engine: Engine
) -> list[Shard]:
    """The shard of each group. tokens: of TOKENS, or of SAMPLES."""
    store, planned = engine.store, []
    with engine.scratch("pack") as scratch:
        for group in groups:
            n_tokens = 0
            if engine.find("pack", group.name) is None:
                path, chunks = read_order(group.order, store), read_chunks(group.chunks, store)
                rows = arrange(store.read(group.draws), path, params, chunks)
                save_rows(scratch, group.number, rows)
                n_tokens = int((rows.stop - rows.start).sum())
            planned.append(replace(group, n_tokens=n_tokens))
        shards_by_group = engine.each(
            "pack", planned, lambda p, todo: move_tokens(p, todo, tokens, pads, store, scratch)
        )
    return [shard for group_shards in shards_by_group for shard in group_shards]


def run_sft(
    samples: list[Shard], draws: list[Shard], encoding: EncodeParams, params: PackParams, engine: Engine
) -> list[Shard]:
    """SFT_SEQUENCES, a shard for each shard of DRAWS: as run, with labels.

    Actions are named by the tokens and responses of SAMPLES, which depend on a template, too.

    Raises: see run.
    """
    pads = pad_ids(params, encoding)
    keys = [Read(shard, ("document_id", "input_ids", "responses")).key() for shard in samples]
    groups = []
    for number, shard in enumerate(draws):
        drawn = Read(shard, tuple(DRAWS.names)).key()
        name = name_of("pack_sft", SFT_VERSION, VERSION, params, pads, keys, drawn, number)
        groups.append(Group(number, name, shard, None, samples=tuple(samples)))
    return packed(groups, samples, pads, params, engine)
