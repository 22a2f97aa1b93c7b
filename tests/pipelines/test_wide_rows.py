"""Laws, views and queries of a row of more tokens than DuckDB's memory limit has room for."""

from contextlib import nullcontext

import duckdb
import numpy as np
import pytest

from pipelines import catalog
from pipelines.catalog import LONGEST, WITHOUT_TEXT, check_laws, connect, laws, make_room, room_for
from pipelines.store import Store
from schemas.errors import LawError
from schemas.views import comments
from tests import wide
from tests.schemas import sft_laws
from tests.schemas.test_laws import VARIABLES, put, refuse, sound

MARKS = "input_ids has n_tokens elements: EOS once and last; BOS, if the recipe has one, once and first"
LABELS = next(title for title in laws() if title.startswith("labels are input_ids"))
TEXT = "$#" * (wide.N_TOKENS // 2)


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    wide.lower_limits(monkeypatch)


def mix(root, input_ids):
    """The sound mix with a wide document a, whose text its exact copy has too, and a wide document that is refused."""
    tables = sound()
    refuse(tables)
    for shard, row in ((0, 0), (0, 1), (1, 2)):
        put("DOCUMENTS", shard, row, text=TEXT, n_bytes=len(TEXT))(tables)
    put("TOKENS", 0, 0, n_tokens=wide.N_TOKENS)(tables)
    return connected(root, wide.shards(root, tables, TOKENS={"input_ids": input_ids}), VARIABLES)


def samples(root, labels):
    """The sound set of samples with a wide sample and a wide sequence. labels: of the sequence."""
    tables = sft_laws.sound()
    put("SAMPLES", 0, 0, n_tokens=wide.N_TOKENS)(tables)
    put("SFT_SEQUENCES", 0, 0, n_tokens=wide.N_TOKENS)(tables)
    lists = {"SAMPLES": {"input_ids": wide.ids(0)}, "SFT_SEQUENCES": {"input_ids": wide.ids(0), "labels": labels}}
    own = dict.fromkeys(("budget_tokens", "long_tokens", "max_epochs"))
    return connected(root, wide.shards(root, tables, **lists), VARIABLES | own)


def connected(root, shards, variables):
    (root / "spill").mkdir(exist_ok=True)
    return connect(Store(root), shards, ["0", "1"], root / "spill", variables)


def out_of_memory(con, queries, room):
    """The names of those queries that need more memory than the connection has."""
    names = []
    for name, query in queries.items():
        try:
            with room(con, query):
                con.execute(query).fetchmany(3)
        except duckdb.OutOfMemoryException:
            names.append(name)
    return names


def test_a_wide_row_fails_no_law_and_no_view(tmp_path):
    views = {view: f"{WITHOUT_TEXT} FROM {view}" for view in comments()}
    with mix(tmp_path, wide.ids(0)) as con:
        assert out_of_memory(con, views, lambda *_: nullcontext()) == []
        assert out_of_memory(con, laws(), room_for) == []
        assert out_of_memory(con, {MARKS: laws()[MARKS]}, lambda *_: nullcontext()) == [MARKS]
        before = con.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchall()
        with room_for(con, laws()[MARKS]):
            assert con.execute(laws()[MARKS]).fetchall() == []
        assert con.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchall() == before


def test_a_wide_sample_and_a_wide_sequence_fail_no_law(tmp_path):
    labels = np.where(np.arange(wide.N_TOKENS) % 2, wide.ids(0), -100).astype(np.int32)
    with samples(tmp_path, labels) as con:
        assert out_of_memory(con, laws(), room_for) == []
        assert out_of_memory(con, {LABELS: laws()[LABELS]}, lambda *_: nullcontext()) == [LABELS]


@pytest.mark.parametrize("last", [(0, 0), (1,), (0, 1)])
def test_a_breach_in_a_wide_row_is_caught(tmp_path, last):
    with mix(tmp_path, wide.ids(*last)) as con:
        with room_for(con, laws()[MARKS]):
            ((_, _, name, n_tokens, length),) = con.execute(laws()[MARKS]).fetchall()
        assert (name, n_tokens, length) == ("a", wide.N_TOKENS, wide.N_TOKENS)
        with pytest.raises(LawError, match="input_ids has n_tokens elements"):
            check_laws(con)


QUERIES = {
    sql: sql
    for sql in (
        "SELECT input_ids FROM tables.tokens",
        "SELECT * FROM tables.tokens ORDER BY document_id DESC",
        "SELECT t, count(*) FROM (SELECT unnest(input_ids) AS t FROM tables.tokens) GROUP BY t ORDER BY 2 DESC LIMIT 3",
        "SELECT document_id, any_value(input_ids) FROM tables.tokens GROUP BY ALL",
        "SELECT text FROM tables.documents",
        "SELECT * FROM tables.documents ORDER BY text",
        "SELECT DISTINCT text FROM tables.documents",
    )
}


def test_a_query_has_room_for_the_longest_row(tmp_path):
    with mix(tmp_path, wide.ids(0)) as con:
        ((longest,),) = con.execute(LONGEST).fetchall()
        assert longest == wide.N_TOKENS
        make_room(con, longest, catalog.LABEL_BYTES)
        assert out_of_memory(con, QUERIES, lambda *_: nullcontext()) == []


def test_threads_are_as_many_as_have_room(tmp_path):
    with mix(tmp_path, wide.ids(0)) as con:
        con.execute("SET threads = 8")
        group = catalog.ROW_GROUP_BYTES // 4
        for n_tokens, n_threads in ((0, 8), (group, 8), (3 * group, 4), (5 * group, 2), (wide.N_TOKENS, 1)):
            con.execute("SET threads = 8")
            make_room(con, n_tokens, 32)
            assert con.execute("SELECT current_setting('threads')").fetchall() == [(n_threads,)], n_tokens
