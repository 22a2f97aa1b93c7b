"""Columns and footers of a shard that is only looked at; damage is named where it is met."""

import pyarrow as pa
import pytest

from pipelines.peek import columns_of, footer
from pipelines.store import Store
from schemas.errors import DamagedError
from schemas.tables import DUPLICATES


def test_a_shard_is_read_without_its_seal_and_damage_is_named(tmp_path):
    store = Store(tmp_path, run="peek")
    rows = [{"document_id": "a", "verdict": "kept", "kept_id": None, "similarity": None}]
    shard = store.write("DUPLICATES", pa.Table.from_pylist(rows, schema=DUPLICATES))
    store.seal_path(shard).write_text('{"n_bytes": 1, "xxh3_128": "x"}')
    assert columns_of(shard, ["verdict"], store).to_pylist() == [{"verdict": "kept"}]
    assert footer(shard, store).num_rows == 1
    store.path(shard).write_bytes(b"no Parquet")
    for look in (lambda: columns_of(shard, ["verdict"], store), lambda: footer(shard, store)):
        with pytest.raises(DamagedError, match=shard.content_hash):
            look()
