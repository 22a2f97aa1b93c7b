"""DRAWS, TOKENS -> SEQUENCES: training rows, packed and ordered; a shard for each group of draws (a shard of DRAWS).

The place of every token is planned over small columns, group by group. Then the tokens are moved once, without a
shuffle: each TOKENS shard is read once, and its drawn tokens are written to their planned places in one flat file per
group (scatter.py). When all planned tokens of a group are written, its file is read from start to end and converted to
Parquet. Memory: one row group. Scratch: 4 bytes per token.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PositiveInt, field_validator

from pipelines import encode
from pipelines.encode import EncodeParams, Encoding
from pipelines.keys import contents, keyed, mixed, salt
from pipelines.pack.balance import balanced
from pipelines.pack.packers import PACKERS, Rows
from pipelines.pack.scatter import Index, by_shard, check_all_written, flat_file, pieces_of, scatter
from pipelines.stage import Engine, Read
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import Scratch
from schemas.lengths import BUCKETS, bucket_of
from schemas.tables import DRAWS, SEGMENT

VERSION = 2  # raise when the same params would give other rows

ROW_GROUP_ROWS = 16


class PackParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    packer: str = "best_fit"
    sequence_tokens: PositiveInt = 131_072
    max_segments: PositiveInt | None = None  # of a sequence
    seed: int = 0

    @field_validator("packer")
    @classmethod
    def check_packer(cls, packer: str) -> str:
        if packer not in PACKERS:
            raise ValueError(f"unknown packer {packer!r}; choose one of {', '.join(sorted(PACKERS))}")
        return packer


@dataclass(frozen=True)
class Group:
    """A group of draws as its worker needs it. Its rows are in the scratch folder.

    Attributes:
        number: index of the group.
        name: of the action that makes its shard.
        draws: its shard of DRAWS.
        first: sequence_id of its first row.
        n_tokens: of all its rows; 0 if its shard was made before.
    """

    number: int
    name: str
    draws: Shard
    first: int
    n_tokens: int


def arrange(draws: pa.Table, params: PackParams) -> Rows:
    """Pack a group's draws into rows and order the rows."""
    epoch, first, stop = (draws[c].to_numpy().astype(np.int64) for c in ("epoch", "document_start", "document_stop"))
    epochs = np.array([salt("pack", params.seed, e) for e in range(int(epoch.max(initial=-1)) + 1)], np.uint64)
    key = keyed(contents(draws["content_hash"]), epochs[epoch])
    order = np.lexsort((key, epoch))  # by epoch first, so that copies of a document are far apart
    packer = PACKERS[params.packer]
    documents = labels(draws["document_id"])
    rows = packer((stop - first)[order], documents[order], params.sequence_tokens, params.max_segments)
    draw = order[rows.draw]
    rows = Rows(draw, first[draw] + rows.start, first[draw] + rows.stop, rows.offsets)
    first_piece = rows.offsets[:-1]  # identifies a row independently of its position
    shuffle = mixed(key[rows.draw[first_piece]] ^ rows.start[first_piece].astype(np.uint64))
    domains = tokens_by(rows, labels(draws["domain"]))
    buckets = tokens_by(rows, bucket_of(draws["n_tokens"].to_numpy()), len(BUCKETS))
    return rows.take(balanced(domains, buckets, shuffle, params.seed))


def labels(values: pa.ChunkedArray) -> np.ndarray:
    """[n] int64: a number for each distinct value, from 0."""
    return values.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def tokens_by(rows: Rows, label: np.ndarray, n_labels: int | None = None) -> np.ndarray:
    """[r, n_labels] int64 tokens of each row by the label of the draw."""
    tokens = np.zeros((len(rows), n_labels or int(label.max(initial=-1)) + 1), np.int64)
    np.add.at(tokens, (rows.row, label[rows.draw]), rows.stop - rows.start)
    return tokens


def sequences(first: int, rows: Rows, draws: pa.Table, flat: Path) -> Iterator[pa.Table]:
    """SEQUENCES of a group, ROW_GROUP_ROWS at a time.

    Args:
        first: sequence_id of the first row.
        rows: their `draw` is an index in `draws`.
        flat: the file of all their tokens, row after row.
    """
    ends = np.concatenate([[0], np.cumsum(rows.n_tokens)])
    for i in range(0, len(rows), ROW_GROUP_ROWS):
        j = min(i + ROW_GROUP_ROWS, len(rows))
        pieces = slice(rows.offsets[i], rows.offsets[j])
        row_offsets = rows.offsets[i : j + 1] - rows.offsets[i]
        tokens = np.fromfile(flat, "<i4", count=int(ends[j] - ends[i]), offset=4 * int(ends[i]))
        yield pa.table(
            {
                "sequence_id": np.arange(first + i, first + j),
                "input_ids": pa.ListArray.from_arrays(
                    (ends[i : j + 1] - ends[i]).astype(np.int32), tokens.astype(np.int32)
                ),
                "n_tokens": np.diff(ends[i : j + 1]).astype(np.int32),
                "cu_seqlens": cu_seqlens(rows.stop[pieces] - rows.start[pieces], row_offsets),
                "segments": pa.ListArray.from_arrays(row_offsets.astype(np.int32), segments(rows, pieces, draws)),
            }
        )


def cu_seqlens(lengths: np.ndarray, offsets: np.ndarray) -> pa.ListArray:
    """[r] lists of [n_segments + 1]: 0, then the end of each segment of the row."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets) + 1)
    values = ends[np.arange(len(row)) - row] - ends[offsets[:-1]][row]
    return pa.ListArray.from_arrays((offsets + np.arange(len(offsets))).astype(np.int32), values.astype(np.int32))


def segments(rows: Rows, pieces: slice, draws: pa.Table) -> pa.StructArray:
    draw = pa.array(rows.draw[pieces])
    columns = {
        "document_id": draws["document_id"].take(draw).combine_chunks(),
        "domain": draws["domain"].take(draw).combine_chunks(),
        "document_start": pa.array(rows.start[pieces].astype(np.int32)),
        "document_stop": pa.array(rows.stop[pieces].astype(np.int32)),
        "epoch": draws["epoch"].take(draw).combine_chunks(),
        "path_position": pa.nulls(len(draw), pa.int64()),
        "similarity_to_previous": pa.nulls(len(draw), pa.float32()),
        "n_pad": pa.array(np.zeros(len(draw), np.int32)),
    }
    return pa.StructArray.from_arrays([columns[f.name] for f in SEGMENT], names=[f.name for f in SEGMENT])


def write_group(group_and_counts: tuple[Group, Iterable[int]], store: Store, scratch: Scratch) -> None:
    """Write the shard of a group from its flat file.

    Raises:
        StageError: fewer or more tokens were written to the flat file than planned.
    """
    group, counts = group_and_counts
    check_all_written(group.number, sum(counts), group.n_tokens)
    rows = load_rows(scratch, group.number)
    draws = store.read(group.draws, ("document_id", "domain", "epoch"))
    flat = scratch.path(flat_file(group.number))
    shard = store.write("SEQUENCES", sequences(group.first, rows, draws, flat))
    store.commit("pack", group.name, [shard], shard.n_rows, 4 * group.n_tokens)


def save_rows(scratch: Scratch, number: int, rows: Rows) -> None:
    np.savez(scratch.path(f"{number}.rows.npz"), rows.draw, rows.start, rows.stop, rows.offsets)


def load_rows(scratch: Scratch, number: int) -> Rows:
    with np.load(scratch.path(f"{number}.rows.npz")) as arrays:
        return Rows(*arrays.values())


def move_tokens(
    p: beam.Pipeline, groups: Sequence[Group], tokens: Sequence[Shard], store: Store, scratch: Scratch
) -> None:
    """Beam: write the tokens of all TOKENS shards to the flat files, then the shard of each group."""
    index = Index(tokens, store)
    pieces_by_group = []
    for group in groups:
        scratch.reserve(flat_file(group.number), 4 * group.n_tokens)
        positions = index.find(store.read(group.draws, ("document_id", "n_tokens")))
        pieces_by_group.append(pieces_of(group.number, load_rows(scratch, group.number), positions, index))
    shards = []
    for number, pieces in by_shard(pieces_by_group):
        np.save(scratch.path(f"{number}.pieces.npy"), pieces)
        shards.append((tokens[number], f"{number}.pieces.npy"))
    by_number = {group.number: group for group in groups}
    _ = (
        p
        | "Shards" >> beam.Create(shards, reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Scatter" >> beam.FlatMap(scatter, store, scratch)
        | "Group" >> beam.GroupByKey()  # waits for all TOKENS shards
        | "Plan" >> beam.MapTuple(lambda number, counts: (by_number[number], list(counts)))
        | "SpreadGroups" >> beam.Reshuffle()
        | "Write" >> beam.Map(write_group, store, scratch)
    )


def run(
    tokens: list[Shard], draws: list[Shard], encoding: EncodeParams, params: PackParams, engine: Engine
) -> list[Shard]:
    """SEQUENCES, a shard for each shard of DRAWS.

    The tokens of a document are determined by its content_hash, which is in DRAWS, and by the encoding. Actions are
    named by these and not by TOKENS, so a group with the same draws is not packed again.

    Raises:
        SchemaError: the tokens of a draw are not in TOKENS.
        StageError: the stage stopped for a reason outside the recipe.
        NotMade: a shard is missing and the engine only looks.
    """
    store, groups, first = engine.store, [], 0
    with engine.scratch("pack") as scratch:
        for number, shard in enumerate(draws):
            columns = Read(shard, tuple(DRAWS.names)).key()
            name = name_of("pack", VERSION, params, encode.VERSION, Encoding.of(encoding), columns, first)
            shards, n_tokens = engine.find("pack", name), 0
            if shards is None:
                rows = arrange(store.read(shard), params)
                save_rows(scratch, number, rows)
                n_tokens = int(rows.n_tokens.sum())
            groups.append(Group(number, name, shard, first, n_tokens))
            first += len(rows) if shards is None else shards[0].n_rows
        shards_by_group = engine.each("pack", groups, lambda p, todo: move_tokens(p, todo, tokens, store, scratch))
    return [shard for group_shards in shards_by_group for shard in group_shards]
