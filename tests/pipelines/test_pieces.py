"""Where the tokens of a document are, and pieces of documents shard by shard."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.pieces import PIECE, Index, by_shard
from pipelines.store import Store
from schemas.errors import SchemaError
from schemas.tables import TOKENS
from tests.tokens import token_row


def test_pieces_come_shard_by_shard_in_the_order_of_rows():
    shards = np.array([1, 0, 1, 0, 1])
    pieces = np.zeros(5, PIECE)
    pieces["row"], pieces["place"] = [5, 9, 2, 1, 2], [0, 1, 2, 3, 4]
    found = {
        shard: each["place"].tolist() for shard, each in by_shard([(shards[:3], pieces[:3]), (shards[3:], pieces[3:])])
    }
    assert found == {0: [3, 1], 1: [2, 4, 0]}
    assert [shard for shard, _ in by_shard([(shards, pieces)])] == [0, 1]
    assert list(by_shard([])) == []


def test_a_draw_that_tokens_lack_is_named(tmp_path):
    store = Store(tmp_path)
    rows = [token_row("a", [1, 2]), token_row("b", None)]
    shard = store.write("TOKENS", pa.Table.from_pylist(rows, TOKENS))
    index = Index([shard], store)
    for name, n, message in (
        ("b", 2, "DRAWS: b: no such document in TOKENS;"),
        ("c", 2, "DRAWS: c: no such document in TOKENS;"),
        ("a", 3, "DRAWS: a: 3 tokens, "),
    ):
        with pytest.raises(SchemaError) as error:
            index.find(pa.table({"document_id": [name], "n_tokens": [n]}))
        assert str(error.value).startswith(message)
