"""The list of what the last ingest of a mix made."""

import pyarrow as pa
import pytest

from pipelines.check import check
from pipelines.garbage import leads_to
from pipelines.ingested import last_ingest, mixes, remember
from pipelines.store import Store
from schemas.errors import RecipeError
from schemas.tables import REJECTED
from tests.rot import flip


def test_what_was_remembered_is_found_by_its_mix(tmp_path):
    store = Store(tmp_path)
    shard = store.write("REJECTED", pa.Table.from_pylist([], schema=REJECTED), ("a.jsonl", 3))
    remember("m", [shard], store)
    name, tables = last_ingest(tmp_path, None)
    assert (name, tables) == ("m", {"DOCUMENTS": [], "REJECTED": [shard]})
    assert tables["REJECTED"][0].came_from == ("a.jsonl", 3)
    remember("n", [], store)
    assert mixes(tmp_path) == ["m", "n"]
    with pytest.raises(RecipeError, match="ingested m, n; choose with --mix"):
        last_ingest(tmp_path, None)
    assert last_ingest(tmp_path, "n") == ("n", {"DOCUMENTS": [], "REJECTED": []})


def test_the_list_carries_a_checksum_as_check_and_gc_expect_it(tmp_path):
    store = Store(tmp_path)
    shard = store.write("REJECTED", pa.Table.from_pylist([], schema=REJECTED), ("a.jsonl", 3))
    remember("m", [shard], store)
    store.commit("ingest", "a", [shard])
    assert not [result for result in check(tmp_path) if result.fault]
    path = tmp_path / "ingested" / "m.json"
    assert leads_to(path, {shard.content_hash})
    flip(path)
    assert [result.fault.path for result in check(tmp_path) if result.fault] == ["ingested/m.json"]
