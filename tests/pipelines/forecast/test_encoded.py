"""What a corpus's tables say of its encoding is what the view `encoding` says."""

import duckdb
import pyarrow as pa

from pipelines.catalog import rows_of
from pipelines.findings import encoding
from pipelines.forecast.encoded import encoding_rows
from pipelines.store import Store
from pipelines.versions import shards_of
from schemas.manifest import Manifest
from schemas.samples import SAMPLES
from schemas.tables import DOCUMENTS, TOKENS
from tests.tokens import refused_row, token_row

FIGURES = ("documents", "refused", "sampled", "lossy", "fell_back_shards")


def documents(store, sources, first=0):
    rows = [
        {
            "document_id": f"{k}", "content_hash": f"{k}", "source": source, "domain": "d", "file": "f", "record": k,
            "n_bytes": 1, "text": "x",
        }
        for k, source in enumerate(sources, first)
    ]  # fmt: skip
    return store.write("DOCUMENTS", pa.Table.from_pylist(rows, schema=DOCUMENTS))


def test_the_figures_of_a_build_are_those_of_its_catalog(tiny):
    tables = shards_of(Manifest.of(tiny.folder))
    rows = encoding_rows(tables["DOCUMENTS"], tables["TOKENS"], Store(tiny.folder.parents[2]))
    with duckdb.connect(str(tiny.folder / "catalog.duckdb"), read_only=True) as con:
        assert rows == rows_of(con, f"SELECT source, {', '.join(FIGURES)} FROM encoding")
    assert all(row["sampled"] for row in rows)


def test_each_figure_is_counted_by_source(tmp_path):
    store = Store(tmp_path)
    shards = [documents(store, "abab"), documents(store, "bb", first=4)]
    tokens = [
        [
            token_row("0", [1], fell_back="document", decodes=False),
            token_row("1", [1], fell_back="document", decodes=True),
            token_row("2", [1], fell_back="document"),
            refused_row("3"),
        ],
        [token_row("4", [1], decodes=False), token_row("5", [1], fell_back="hostile", decodes=False)],
    ]
    made = [store.write("TOKENS", pa.Table.from_pylist(rows, schema=TOKENS)) for rows in tokens]
    rows = encoding_rows(shards, made, store)
    assert rows == [
        {"source": "a", "documents": 2, "refused": 0, "sampled": 1, "lossy": 1, "fell_back_shards": 1},
        {"source": "b", "documents": 3, "refused": 1, "sampled": 3, "lossy": 2, "fell_back_shards": 2},
    ]
    assert len(encoding(rows)) == 3


def test_instruction_samples_are_refused_at_most(tmp_path):
    store = Store(tmp_path)
    rows = [{"document_id": "0", "status": "refused", "reason": "no_token"}, {"document_id": "1", "status": "dropped"}]
    made = store.write("SAMPLES", pa.Table.from_pylist(rows, schema=SAMPLES))
    assert encoding_rows([documents(store, "ss")], [made], store) == [
        {"source": "s", "documents": 0, "refused": 1, "sampled": 0, "lossy": 0, "fell_back_shards": 0}
    ]
