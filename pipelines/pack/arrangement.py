"""The rows of a group and their order, planned over small columns."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys import contents, keyed, mixed, salt
from pipelines.pack.balance import balanced
from pipelines.pack.knots import knotted
from pipelines.pack.negative_extension import Chunks, negative_extension
from pipelines.pack.packers import PACKERS, Drawn, Rows
from pipelines.pack.params import PackParams
from schemas.errors import SchemaError
from schemas.lengths import BUCKETS, bucket_of

PATH = ("document_id", "partition", "place", "similarity_to_previous", "near_set")  # columns of ORDER that pack reads


def arrange(draws: pa.Table, order: pa.Table | None, params: PackParams, chunks: pa.Table | None = None) -> Rows:
    """Pack a group's draws into rows and order the rows.

    The first copies on the path are packed in path order, then near copies, which left it, then further copies, in keyed
    order. Copies of a document and documents of one near_set never share a row: a set of more members than the group has
    rows gets further rows, which may be short.

    Args:
        order: the group's shard of ORDER; None if the recipe has no order: then all first copies are on the path, in keyed
            order.
        chunks: the group's shard of CHUNKS, for negative_extension.
    """
    epoch, first, stop = (draws[c].to_numpy().astype(np.int64) for c in ("epoch", "document_start", "document_stop"))
    epochs = np.array([salt("pack", params.seed, e) for e in range(int(epoch.max(initial=-1)) + 1)], np.uint64)
    key = keyed(contents(draws["content_hash"]), epochs[epoch])
    path = path_of(draws, order)
    place = path["place"].fill_null(-1).to_numpy() if order is not None else np.where(epoch == 0, 0, -1)
    on_path = place >= 0
    sequence = np.lexsort((key, epoch, place, ~on_path))  # by epoch first, so that copies of a document are far apart
    lengths = (stop - first)[sequence]
    drawn = Drawn(
        -(-lengths // params.unit),
        labels(pc.coalesce(path["near_set"], draws["document_id"]))[sequence],
        path["partition"].to_numpy().astype(np.int64)[sequence],
        on_path[sequence],
    )
    rows = padded(packed(drawn, params, chunks), lengths, params.unit)
    if params.knot_tokens:
        rows = knotted(rows, key[sequence], params.knot_chunk_tokens, len(params.knot_tokens))
    draw = sequence[rows.draw]
    rows = replace(rows, draw=draw, start=first[draw] + rows.start, stop=first[draw] + rows.stop)
    first_piece = rows.offsets[:-1]  # identifies a row independently of its position
    shuffle = mixed(key[rows.draw[first_piece]] ^ rows.start[first_piece].astype(np.uint64))
    domains = tokens_by(rows, labels(draws["domain"]))
    buckets = tokens_by(rows, bucket_of(draws["n_tokens"].to_numpy()), len(BUCKETS))
    return rows.take(balanced(domains, buckets, shuffle, params.seed))


def packed(drawn: Drawn, params: PackParams, chunks: pa.Table | None) -> Rows:
    """Rows in units of tokens.

    Raises:
        SchemaError: there is no CHUNKS of these draws, which negative_extension needs.
    """
    if not params.is_extension:
        return PACKERS[params.packer](drawn, params.capacity, params.max_segments)
    if chunks is None:
        raise SchemaError("negative_extension needs CHUNKS; use tables of the same build")
    lists = Chunks.of(chunks, params.negative_chunk_tokens // params.unit, params.negative_neighbours)
    return negative_extension(drawn, params.capacity, lists)


def path_of(draws: pa.Table, order: pa.Table | None) -> pa.Table:
    """[n] partition, place, similarity_to_previous and near_set of each draw.

    place and similarity_to_previous are NULL for a further copy; without an order, all but partition, which is 0.

    Raises:
        SchemaError: ORDER lacks the document of a draw.
    """
    if order is None:
        columns = {"place": pa.int64(), "similarity_to_previous": pa.float32(), "near_set": pa.string()}
        nulls = {name: pa.chunked_array([pa.nulls(len(draws), kind)]) for name, kind in columns.items()}
        return pa.table({"partition": np.zeros(len(draws), np.int32), **nulls})
    rows = pc.index_in(draws["document_id"], value_set=order["document_id"])
    if rows.null_count:
        missing = draws["document_id"].filter(pc.is_null(rows))[0]
        raise SchemaError(f"DRAWS: {missing}: no such document in ORDER; use tables of the same build")
    path = order.select(PATH[1:]).take(rows)
    is_first = pc.equal(draws["epoch"], 0)
    for name in ("place", "similarity_to_previous"):
        column = pc.if_else(is_first, path[name], None)
        path = path.set_column(path.column_names.index(name), name, column)
    return path


def padded(rows: Rows, lengths: np.ndarray, unit: int) -> Rows:
    """Rows in tokens from rows in units of tokens: the last unit of a draw is filled up. lengths: [n] tokens of each draw."""
    start, end = rows.start * unit, rows.stop * unit
    stop = np.minimum(end, lengths[rows.draw])
    return replace(rows, start=start, stop=stop, n_pad=end - stop)


def labels(values: pa.ChunkedArray) -> np.ndarray:
    """[n] int64: a number for each distinct value, from 0."""
    return values.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def tokens_by(rows: Rows, label: np.ndarray, n_labels: int | None = None) -> np.ndarray:
    """[r, n_labels] int64 tokens of each row by the label of the draw, pad tokens left out."""
    tokens = np.zeros((len(rows), n_labels or int(label.max(initial=-1)) + 1), np.int64)
    np.add.at(tokens, (rows.row, label[rows.draw]), rows.stop - rows.start)
    return tokens
