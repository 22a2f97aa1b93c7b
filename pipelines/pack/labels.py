"""SFT_SEQUENCES from SEQUENCES: labels, which are input_ids where a response is trained on and IGNORED elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.rows import IGNORED
from pipelines.store import Shard, Store
from schemas.errors import SchemaError


@dataclass(frozen=True, eq=False)
class Responses:
    """The tokens of samples that are trained on, about 60 bytes a sample.

    Attributes:
        document_id: [n].
        offsets: [n + 1] the spans of sample i are offsets[i] to offsets[i + 1].
        starts, stops: [spans] tokens of the sample, ascending in each.
    """

    document_id: pa.ChunkedArray
    offsets: np.ndarray
    starts: np.ndarray
    stops: np.ndarray

    @classmethod
    def of(cls, document_id: pa.ChunkedArray, samples: Sequence[Shard], store: Store) -> "Responses":
        """Those of some samples.

        Raises:
            SchemaError: one is not in SAMPLES, or not encoded.
        """
        ids, spans = [], []
        for shard in samples:
            table = store.read(shard, ("document_id", "responses"))
            mine = pc.and_(pc.is_in(table["document_id"], value_set=document_id), table["responses"].is_valid())
            table = table.filter(mine)
            ids.append(table["document_id"])
            spans.append(table["responses"])
        known = pa.chunked_array([chunk for column in ids for chunk in column.chunks], pa.string())
        rows = pc.index_in(document_id, value_set=known)
        if rows.null_count:
            missing = document_id.filter(pc.is_null(rows))[0]
            raise SchemaError(f"DRAWS: {missing}: no such sample in SAMPLES; use tables of the same build")
        every = pa.chunked_array([chunk for column in spans for chunk in column.chunks], spans[0].type)
        taken = every.take(rows).combine_chunks()
        offsets = taken.offsets.to_numpy().astype(np.int64)
        starts, stops = (pc.struct_field(taken.values, name).to_numpy() for name in ("start", "stop"))
        return cls(document_id, offsets, starts.astype(np.int64), stops.astype(np.int64))

    def inside(self, row: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The parts of a sample's spans that are in [start, stop)."""
        for k in range(self.offsets[row], self.offsets[row + 1]):
            first, last = max(start, int(self.starts[k])), min(stop, int(self.stops[k]))
            if first < last:
                yield first, last


def labelled(sequences: Iterable[pa.Table], responses: Responses) -> Iterator[pa.Table]:
    """SFT_SEQUENCES, a table for each table of SEQUENCES.

    A piece of a cut sample has the labels of its tokens, its first token too where that is in a response: trainers that
    shift labels then predict it from the segment before. The packers best_fit and in_order cut no sample that fits.
    """
    for table in sequences:
        ids = table["input_ids"].combine_chunks()
        tokens, offsets = ids.values.to_numpy(), ids.offsets.to_numpy()
        labels = np.full(len(tokens), IGNORED, np.int32)
        segments = table["segments"].combine_chunks()
        columns = {name: pc.struct_field(segments.values, name) for name in ("document_start", "document_stop")}
        starts, stops = (column.to_numpy().tolist() for column in columns.values())
        rows = pc.index_in(pc.struct_field(segments.values, "document_id"), value_set=responses.document_id).to_pylist()
        for number, at in enumerate(segment_starts(table["cu_seqlens"].combine_chunks(), offsets)):
            for first, last in responses.inside(rows[number], starts[number], stops[number]):
                place = slice(at + first - starts[number], at + last - starts[number])
                labels[place] = tokens[place]
        column = pa.ListArray.from_arrays(ids.offsets, labels)
        yield table.add_column(table.column_names.index("input_ids") + 1, "labels", column)


def segment_starts(cu_seqlens: pa.ListArray, offsets: np.ndarray) -> list[int]:
    """[segments of all rows] the place of each in the tokens of all rows. offsets: [rows + 1] places of the rows."""
    cuts = cu_seqlens.offsets.to_numpy()
    values = cu_seqlens.values.to_numpy()
    return [
        int(offset + start)
        for offset, begin, end in zip(offsets[:-1], cuts[:-1], cuts[1:], strict=True)
        for start in values[begin : end - 1]
    ]
