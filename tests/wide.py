"""Tables with one row of many tokens, for what must work in bounded memory on any row."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines import catalog
from pipelines.store import Shard, Store
from schemas.tables import TABLES

N_TOKENS = (1 << 21) + 1  # one more than a power of two: DuckDB's array for the list is twice as long
LIMIT_BYTES = 30_000_000  # the list alone takes 8.4 MB, and a scan twice this limit


def lower_limits(monkeypatch) -> None:
    """A small memory limit and small row groups, in about the proportion of LIMIT_BYTES to the longest row by default."""
    monkeypatch.setattr(catalog, "LIMIT_BYTES", LIMIT_BYTES)
    monkeypatch.setitem(catalog.SETTINGS, "memory_limit", f"{LIMIT_BYTES}B")
    monkeypatch.setattr(catalog, "ROW_GROUP_BYTES", 1 << 18)


def ids(*last: int) -> np.ndarray:
    """[N_TOKENS] int32 token ids above 1, with `last` at the end."""
    values = np.random.default_rng(1).integers(2, 50_000, N_TOKENS, dtype=np.int32)
    values[N_TOKENS - len(last) :] = last
    return values


def write(store: Store, name: str, rows: list[dict], **lists: np.ndarray) -> Shard:
    """A shard of the rows, whose first row has other lists."""
    table = pa.Table.from_pylist([{**row, **{column: [] for column in lists}} for row in rows], schema=TABLES[name])
    for column, values in lists.items():
        kind = table.schema.field(column).type
        first = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), pa.array(values)).cast(kind)
        rest = pa.array([row[column] for row in rows[1:]], kind)
        at = table.schema.get_field_index(column)
        table = table.set_column(at, table.schema.field(column), pa.chunked_array([first, rest]))
    return store.write(name, table)


def shards(root: Path, tables: dict[str, list[list[dict]]], **wide: dict[str, np.ndarray]) -> dict[str, list[Shard]]:
    """The tables' shards; `wide`: table -> other lists for the first row of its first shard."""
    store = Store(root)
    return {
        name: [write(store, name, rows, **(wide.get(name, {}) if k == 0 else {})) for k, rows in enumerate(parts)]
        for name, parts in tables.items()
    }
