"""The small columns of documents: read side by side, counted in chunks, and masked without losing a row."""

import random

import numpy as np
import pyarrow as pa
import pytest

from pipelines.documents import Chunking, Documents, side_by_side, text_tokens
from pipelines.encode import EncodeParams
from pipelines.keys import contents
from pipelines.stage import Read
from pipelines.store import Store
from pipelines.store.files import HashedFile
from schemas.tables import DUPLICATES, TOKENS
from tests.tokens import token_row

SEEDS = range(60)


def table(seed):
    """Rows of a few documents in up to three domains; one of them may be in none."""
    rng = random.Random(seed)
    n = rng.randint(0, 12)
    columns = {
        "document_id": pa.array([f"{rng.getrandbits(128):032x}" for _ in range(n)], pa.string()),
        "content_hash": pa.array([f"{rng.getrandbits(128):032x}" for _ in range(n)], pa.string()),
        "domain": pa.array([rng.choice("acd") for _ in range(n)], pa.string()),
        "n_tokens": pa.array([rng.choice([None, 1, 2, 300, 2**31 - 1]) for _ in range(n)], pa.int32()),
    }
    whole = pa.table(columns)
    cut = rng.randint(0, n)
    return pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])


def rows(documents):
    names = [documents.domains[d] for d in documents.domain]
    ids, hashes = documents.document_id.to_pylist(), documents.content_hash.to_pylist()
    return list(zip(ids, hashes, names, documents.n_tokens.tolist(), strict=True))


def slow_rows(table):
    return [(row["document_id"], row["content_hash"], row["domain"], row["n_tokens"] or 0) for row in table.to_pylist()]


def test_each_row_is_a_document():
    for seed in SEEDS:
        documents = Documents.of(table(seed))
        assert rows(documents) == slow_rows(table(seed)), f"{seed=}"
        assert len(documents) == table(seed).num_rows
        assert documents.domains == tuple(sorted(set(table(seed)["domain"].to_pylist())))
        assert documents.n_tokens.dtype == np.int64
        assert np.array_equal(documents.content, contents(table(seed)["content_hash"]))


def test_a_domain_without_a_document_is_listed_where_it_is_named():
    for seed in SEEDS:
        documents = Documents.of(table(seed), ["b", "e", "a"])
        assert documents.domains == tuple(sorted({*table(seed)["domain"].to_pylist(), "a", "b", "e"}))
        assert rows(documents) == slow_rows(table(seed)), f"{seed=}"


def test_a_mask_takes_the_same_rows_of_every_column():
    for seed in SEEDS:
        documents = Documents.of(table(seed))
        mask = np.random.default_rng(seed).random(len(documents)) < 0.5
        assert rows(documents.take(mask)) == [row for row, here in zip(rows(documents), mask, strict=True) if here]
        assert documents.take(mask).domains == documents.domains
        assert np.array_equal(documents.take(mask).content, documents.content[mask])


def test_chunks_are_those_of_the_text_without_its_marks():
    lengths = np.arange(400)
    for c in (1, 2, 16, 128):
        assert Chunking(c, 1).n_chunks(lengths).tolist() == [max(0, n - 1) // c for n in range(400)]
        assert Chunking(c, 2).n_chunks(lengths).tolist() == [max(0, n - 2) // c for n in range(400)]
    assert Chunking(1, 1).n_chunks(np.array([0])).tolist() == [0]  # dropped, not minus one chunk
    assert Chunking(128, 1).n_chunks(np.array([257, 256])).tolist() == [2, 1]
    assert Chunking(128, 2).n_chunks(np.array([258, 257])).tolist() == [2, 1]


@pytest.mark.parametrize(("bos", "marks"), [([], 1), ([1], 2)], ids=["EOS", "BOS and EOS"])
def test_the_marks_alone_are_left_off_and_the_rest_is_a_copy(bos, marks):
    rows = [None if row is None else [*bos, *row] for row in ([5, 6, 0], None, [7, 0], [0])]
    ids = pa.chunked_array([pa.array(rows[:2], pa.list_(pa.int32())), pa.array(rows[2:], pa.list_(pa.int32()))])
    assert [text_tokens(ids, row, marks).tolist() for row in (0, 2, 3)] == [[5, 6], [7], []]
    text = text_tokens(ids, 0, marks)
    assert text.dtype == np.int32
    text[0] = 9
    assert ids[0].as_py() == [*bos, 5, 6, 0]


def test_a_recipe_with_a_bos_has_two_marks():
    params = EncodeParams(tokenizer=HashedFile(path="t", hash="t"), eos_token="</s>")
    assert params.n_marks == 1
    assert params.model_copy(update={"bos_token": "<s>"}).n_marks == 2


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_columns_stand_beside_one_another_shard_after_shard(store):
    names = [[f"{k:032x}" for k in some] for some in ((1, 2), (3,), ())]
    tokens = [[token_row(name, [0]) for name in some] for some in names]
    verdicts = [
        [{"document_id": "x", "verdict": f"{name[-1]}", "kept_id": None, "similarity": None} for name in some]
        for some in names
    ]
    reads = [
        (
            Read(store.write("TOKENS", pa.Table.from_pylist(ids, schema=TOKENS)), ("document_id", "n_tokens")),
            Read(store.write("DUPLICATES", pa.Table.from_pylist(own, schema=DUPLICATES)), ("verdict",)),
        )
        for ids, own in zip(tokens, verdicts, strict=True)
    ]
    found = side_by_side(reads, store)
    assert found.column_names == ["document_id", "n_tokens", "verdict"]
    assert found["document_id"].to_pylist() == [name for some in names for name in some]
    assert found["verdict"].to_pylist() == ["1", "2", "3"]
