"""Tables of scores from rows of the documents that were read: the rest is filled in by column."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import SchemaError

OWN_STATUS = ("dropped", "too_short")  # reasons that are a status; a document with another reason is not_scored


def assembled(
    budget: pa.Table, scored: Sequence[Mapping[str, object]], empty: Mapping[str, object], schema: pa.Schema
) -> pa.Table:
    """A table of scores: a row for each row of a shard's BUDGET.

    Args:
        budget: document_id, n_pairs and why.
        scored: a row without document_id for each document that the budget gives pairs, in order.
        empty: the values of the other documents, for columns that may not be NULL.

    Raises:
        SchemaError: a row's values are not the columns of the table.
    """
    names = [name for name in schema.names if name != "document_id"]
    for row in scored:
        if set(row) != set(names):
            raise SchemaError(
                f"scores: values {sorted(row)} do not fit the columns {names}; declare them in schemas/scores.py"
            )
    is_read = pc.greater(budget["n_pairs"], 0)
    rows = pa.Table.from_pylist(
        [*scored, {**empty, "status": "", "reason": None}], schema=pa.schema([schema.field(name) for name in names])
    )
    mask = is_read.to_numpy()
    table = rows.take(np.where(mask, np.cumsum(mask) - 1, len(scored)))
    why = budget["why"]
    status = pc.if_else(pc.is_in(why, pa.array(OWN_STATUS)), why, "not_scored")
    columns = {name: table[name] for name in names}
    columns |= {
        "document_id": budget["document_id"],
        "status": pc.if_else(is_read, table["status"], status),
        "reason": pc.if_else(is_read, table["reason"], why),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)
