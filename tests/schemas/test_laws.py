"""Each law catches its breaches, and a sound dataset breaks none."""

import copy
import re
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest

from pipelines import catalog
from pipelines.catalog import check_laws, connect, laws, literal, view_of
from pipelines.store import Store
from schemas.errors import LawError
from schemas.tables import TABLES
from tests.schemas import sft_laws
from tests.tokens import refused_row, token_row


def segment(document: str, start: int, stop: int, epoch: int = 0, n_pad: int = 0, domain: str = "book") -> dict:
    return {
        "document_id": document, "domain": domain, "document_start": start, "document_stop": stop, "epoch": epoch,
        "path_position": None, "similarity_to_previous": None, "n_pad": n_pad,
    }  # fmt: skip


def sequence(number: int, *segments: dict) -> dict:
    cuts = [0]
    for s in segments:
        cuts.append(cuts[-1] + s["document_stop"] - s["document_start"] + s["n_pad"])
    return {
        "sequence_id": number, "input_ids": list(range(cuts[-1])), "n_tokens": cuts[-1], "cu_seqlens": cuts,
        "segments": list(segments),
    }  # fmt: skip


def document(name: str, text: str, record: int) -> dict:
    return {
        "document_id": name, "content_hash": f"hash of {text}", "source": "s", "record_id": None, "origin": None, "domain": "book",
        "license": None, "file": "a.jsonl", "record": record, "n_bytes": len(text), "text": text,
    }  # fmt: skip


def rejected(record: int) -> dict:
    return {
        "source": "s", "file": "a.jsonl", "record": record, "reason": "not_json", "detail": "at character 0 of the record",
        "head": b"?", "n_bytes": 1, "record_hash": "0",
    }  # fmt: skip


def draw(name: str, text: str, stop: int, epoch: int = 0, n_tokens: int = 6) -> dict:
    return {
        "document_id": name, "content_hash": f"hash of {text}", "domain": "book", "n_tokens": n_tokens, "epoch": epoch,
        "document_start": 0, "document_stop": stop, "why": "short",
    }  # fmt: skip


def target(kind: str, target_tokens: int, available: int, drawn: int, domain: str = "book") -> dict:
    return {
        "domain": domain, "kind": kind, "target_tokens": target_tokens, "available_tokens": available,
        "drawn_tokens": drawn, "rate": 1.0, "over_share_documents": 0, "over_share_tokens": 0, "dropped_documents": 0, "dropped_tokens": 0,
        "not_selected_documents": 0, "not_selected_tokens": 0,
    }  # fmt: skip


def cheap(name: str, status: str = "scored") -> dict:
    values = dict.fromkeys(("n_words", "repeat_share", "recurrence", "order_z", "list_share"))
    values["n_words"], reason = (5.0, None) if status == "scored" else (None, status)
    return {"document_id": name, "status": status, "reason": reason, "refused": None, "shuffled": None, **values}


def gain(name: str, status: str, reason: str | None = None, *pairs: tuple[int, int]) -> dict:
    scores = (
        "score",
        "error",
        "near",
        "near_error",
        "uncorrected",
        "uncorrected_near",
        "strong_share",
        "strength",
        "distance",
        "entropy_factor",
    )
    value = 0.5 if status == "scored" else None
    return {
        "document_id": name, "status": status, "reason": reason, **dict.fromkeys(scores, value), "n_near": 0,
        "n_far": len(pairs), "n_chunks": 9 if pairs else 0,
        "pairs": [{"target": i, "context": j, "alone": 3.0, "after": 2.5} for i, j in pairs],
    }  # fmt: skip


def sound() -> dict[str, list[list[dict]]]:
    """Two shards: a kept, its exact copy b, its near copy c; d kept. a, which is long, is drawn twice; d is cut."""
    return {
        "DOCUMENTS": [[document("a", "xx", 0), document("b", "xx", 1)], [document("c", "xy", 0), document("d", "z", 2)]],
        "REJECTED": [[], [rejected(1)]],
        "DUPLICATES": [
            [
                {"document_id": "a", "verdict": "kept", "kept_id": None, "similarity": None},
                {"document_id": "b", "verdict": "exact", "kept_id": "a", "similarity": 1.0},
            ],
            [
                {"document_id": "c", "verdict": "near", "kept_id": "a", "similarity": 0.75},
                {"document_id": "d", "verdict": "kept", "kept_id": None, "similarity": None},
            ],
        ],
        "TOKENS": [
            [
                token_row("a", [1, 2, 3, 4, 5, 0]),
                token_row("b", None),
            ],
            [
                token_row("c", None),
                token_row("d", [7, 7, 0]),
            ],
        ],
        "SCORES_CHEAP": [[cheap("a"), cheap("b", "dropped")], [cheap("c", "dropped"), cheap("d")]],
        "BUDGET": [
            [{"document_id": "a", "n_pairs": 2, "why": "first"}, {"document_id": "b", "n_pairs": 0, "why": "dropped"}],
            [{"document_id": "c", "n_pairs": 0, "why": "dropped"}, {"document_id": "d", "n_pairs": 0, "why": "short"}],
        ],
        "SCORES_CHUNK_GAIN": [
            [gain("a", "scored", None, (4, 0), (8, 3)), gain("b", "dropped", "dropped")],
            [gain("c", "dropped", "dropped"), gain("d", "not_scored", "short")],
        ],
        **{
            kind: [
                [other(kind, "a", "scored"), other(kind, "b", "dropped", "dropped")],
                [other(kind, "c", "dropped", "dropped"), other(kind, "d", "not_scored", "short")],
            ]
            for kind in OTHERS
        },
        "DRAWS": [[draw("a", "xx", 6), draw("a", "xx", 6, epoch=1), draw("d", "z", 2, n_tokens=3)]],
        "TARGETS": [[target("short", 2, 6, 2), target("long", 12, 12, 12)]],
        "SEQUENCES": [
            [sequence(0, segment("a", 0, 4), segment("d", 0, 2)), sequence(1, segment("a", 4, 6))],
            [sequence(1 << 32, segment("a", 0, 6, epoch=1))],
        ],
    }  # fmt: skip


OTHERS = {
    "SCORES_PROLONG": ("lds", "dst", "ddi"),
    "SCORES_INFOGAIN": ("infogain", "nll_long"),
    "SCORES_LONGATTN": ("ds", "du"),
}


def other(kind, name, status, reason=None):
    """A row of one of the further scorers."""
    row = dict.fromkeys(TABLES[kind].names) | {"document_id": name, "status": status, "reason": reason}
    return row | (dict.fromkeys(OTHERS[kind], 0.5) if status == "scored" else {})


def refuse(tables):
    """Add a document to the second shard: e, which dedup keeps and the tokenizer refuses."""
    tables["DOCUMENTS"][1].append(document("e", "???", 3))
    tables["DUPLICATES"][1].append({"document_id": "e", "verdict": "kept", "kept_id": None, "similarity": None})
    tables["TOKENS"][1].append(refused_row("e"))
    tables["SCORES_CHEAP"][1].append(cheap("e", "not_scored") | {"reason": "refused"})
    tables["BUDGET"][1].append({"document_id": "e", "n_pairs": 0, "why": "refused"})
    tables["SCORES_CHUNK_GAIN"][1].append(gain("e", "not_scored", "refused"))
    for kind in OTHERS:
        tables[kind][1].append(other(kind, "e", "not_scored", "refused"))


VARIABLES = {
    "threshold": 0.7, "sequence_tokens": 8, "pad_documents_to": 1, "n_knots": 0, "budget_tokens": 14, "long_tokens": 4, "max_epochs": 2, "eos_id": 0, "bos_id": None,
    "dropped_reasons": ["list", "budget"],
}  # fmt: skip


SHARDS = {}  # (root, table, rows) -> the shard: most tests change one of twenty tables


def stored(tables, store):
    """The shards of tables, as they are named."""

    def shard(name, rows):
        key = (store.root, name, repr(rows))
        if key not in SHARDS:
            SHARDS[key] = store.write(name, pa.Table.from_pylist(rows, schema=TABLES[name]))
        return SHARDS[key]

    return {name: [shard(name, rows) for rows in parts] for name, parts in tables.items()}


def published_of(shards):
    return [f"sequences-{i}.parquet" for i in range(len(shards.get("SEQUENCES", shards.get("SFT_SEQUENCES", ()))))]


def variables_of(tables):
    own = dict.fromkeys(("budget_tokens", "long_tokens", "max_epochs")) if "SAMPLES" in tables else {}
    return VARIABLES | own


def opened(tables, root, **variables):
    """A connection to tables of two shards each. variables: other than VARIABLES."""
    store = Store(root)
    shards = stored(tables, store)
    return connect(store, shards, published_of(shards), root, variables_of(tables) | variables)


class Changing:
    """One connection for many sets of tables: a new one, with all its views, takes longer than a law."""

    def __init__(self, root, stack):
        self.store, self.shards = Store(root), {}
        self.con = stack.enter_context(connect(self.store, {}, [], root, VARIABLES))

    def to(self, tables, **variables):
        """The connection, to these tables. variables: some of VARIABLES, which are set each time."""
        assert set(variables) <= set(VARIABLES)
        shards = stored(tables, self.store)
        for name in shards | self.shards:
            if shards.get(name) != self.shards.get(name):
                paths = [str(self.store.path(shard)) for shard in shards.get(name, ())]
                rows = [(name, i, path, None, None) for i, path in enumerate(paths)]
                self.con.execute("DELETE FROM shards WHERE name = ?", [name])
                for row in rows:
                    self.con.execute("INSERT INTO shards VALUES (?, ?, ?, ?, ?)", row)
                self.con.execute(view_of(name, paths).replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
        self.shards = shards
        for name, value in ({"published": published_of(shards)} | variables_of(tables) | variables).items():
            self.con.execute(f"SET VARIABLE {name} = {literal(value)}")
        return self.con


@cache
def shared():
    """A connection for the tests of this process that only read, and what must live as long."""
    folder, stack = TemporaryDirectory(), ExitStack()
    return Changing(Path(folder.name), stack), folder, stack


def reading(tables, **variables):
    """A connection to these tables until the next call, for a test that leaves its views and variables as they are."""
    return shared()[0].to(tables, **variables)


def test_a_sound_set_of_samples_breaks_no_law(tmp_path):
    with opened(sft_laws.sound(), tmp_path) as con:
        check_laws(con)


def test_a_sound_dataset_breaks_no_law(tmp_path):
    with opened(sound(), tmp_path) as con:
        check_laws(con)


PADS = "n_pad fills a segment up to a multiple of pad_documents_to, or is the marker after a chunk, or 0"


@pytest.mark.parametrize(
    ("pads", "pad_documents_to", "n_knots", "is_sound"),
    [
        ((0, 2, 2, 2), 4, 0, True),
        ((1, 0, 1, 1), 1, 2, True),
        ((1, 0, 2, 1), 1, 2, False),
        ((0, 2, 2, 0), 4, 0, False),
        ((4, 2, 2, 2), 4, 0, False),
        ((0, 1, 1, 0), 1, 0, False),
    ],
    ids=["padded", "knots", "two markers", "no multiple", "more than needed", "neither"],
)
def test_padding_is_what_the_recipe_asks_for(changing, pads, pad_documents_to, n_knots, is_sound):
    tables = sound()
    a, d, rest, copy_of_a = pads
    tables["SEQUENCES"] = [
        [
            sequence(0, segment("a", 0, 4, n_pad=a), segment("d", 0, 2, n_pad=d)),
            sequence(1, segment("a", 4, 6, n_pad=rest)),
        ],
        [sequence(1 << 32, segment("a", 0, 6, epoch=1, n_pad=copy_of_a))],
    ]
    variables = {"pad_documents_to": pad_documents_to, "n_knots": n_knots, "sequence_tokens": 12}
    con = changing.to(tables, **variables)
    assert (con.execute(laws()[PADS]).fetchall() == []) == is_sound
    if is_sound:
        check_laws(con)
        totals = con.execute("SELECT tokens, pad_tokens, fill_share FROM totals").fetchall()
        assert totals == [(14, sum(pads), 14 / 36)]
        assert con.execute("SELECT n_pad FROM sequences ORDER BY sequence_id").fetchall() == [
            (a + d,),
            (rest,),
            (copy_of_a,),
        ]


def test_a_refused_document_breaks_no_law(changing):
    tables = sound()
    refuse(tables)
    con = changing.to(tables)
    check_laws(con)


def test_a_dropped_document_that_is_not_drawn_breaks_no_law(changing):
    """d is a list, and its tokens are excluded in the cell of its length; so is stitched, which the plan does not drop."""
    tables = sound()
    put("SCORES_CHEAP", 0, 0, refused="stitched")(tables)
    put("SCORES_CHEAP", 1, 1, refused="list")(tables)
    put("TARGETS", 0, 0, target_tokens=0, available_tokens=0, drawn_tokens=0, dropped_documents=1, dropped_tokens=3)(
        tables
    )
    put("TARGETS", 0, 1, target_tokens=12)(tables)
    tables["DRAWS"][0].pop()
    tables["SEQUENCES"][0][0] = sequence(0, segment("a", 0, 4))
    con = changing.to(tables, budget_tokens=12)
    check_laws(con)
    rows = con.execute("FROM left_out").fetchall()
    assert rows == [("book", "list", 1, 3, 3 / 9)]


def test_a_documents_length_decides_the_cell_that_its_drop_is_counted_in(changing):
    tables = sound()
    put("SCORES_CHEAP", 0, 0, refused="list")(tables)  # a is long
    law = next(query for title, query in laws().items() if title.startswith("dropped_documents"))
    for cell, n_broken in ((0, 2), (1, 0)):
        changed = copy.deepcopy(tables)
        put("TARGETS", 0, cell, dropped_documents=1, dropped_tokens=6)(changed)
        con = changing.to(changed)
        assert len(con.execute(law).fetchall()) == n_broken


def test_what_is_left_out_is_listed_by_domain_and_reason(changing):
    tables = sound()
    put("SCORES_CHEAP", 1, 1, refused="list")(tables)
    put("SCORES_CHUNK_GAIN", 0, 0, reason="budget")(tables)
    put("TARGETS", 0, 0, over_share_documents=2, over_share_tokens=9, not_selected_documents=3, not_selected_tokens=18)(
        tables
    )
    con = changing.to(tables)
    assert con.execute("FROM left_out").fetchall() == [
        ("book", "outranked", 3, 18, 2.0),
        ("book", "over_share", 2, 9, 1.0),
        ("book", "budget", 1, 6, 6 / 9),
        ("book", "list", 1, 3, 3 / 9),
    ]


def test_tokens_that_begin_with_a_bos_break_no_law(changing):
    tables = sound()
    tables["TOKENS"][0][0] = token_row("a", [1, 2, 3, 4, 5, 0])
    tables["TOKENS"][1][1] = token_row("d", [1, 7, 0])
    con = changing.to(tables, bos_id=1)
    check_laws(con)


MARKS = "input_ids has n_tokens elements: EOS once and last; BOS, if the recipe has one, once and first"


@pytest.mark.parametrize(
    "ids",
    [[2, 1, 0], [1, 1, 0], [7, 7, 0], [1, 7, 1], [0], [1, 0, 0], [0, 1, 0]],
    ids=["BOS second", "BOS twice", "no BOS", "BOS last", "EOS alone", "EOS twice", "EOS first"],
)
def test_a_breach_of_the_marks_is_caught_where_the_recipe_has_a_bos(changing, ids):
    tables = sound()
    tables["TOKENS"][1][1] = token_row("d", ids)
    con = changing.to(tables, bos_id=1)
    rows = con.execute(laws()[MARKS]).fetchall()
    assert [row[2] for row in rows] == ["d"]


def put(table, shard, row, **values):
    def change(tables):
        tables[table][shard][row].update(values)

    return change


def put_segment(shard, row, place, **values):
    def change(tables):
        tables["SEQUENCES"][shard][row]["segments"][place].update(values)

    return change


def drop(table, shard, row):
    return lambda tables: tables[table][shard].pop(row)


def ordered(near_set=None):
    """A path a, d; the segments do not say so."""

    def change(tables):
        tables["ORDER"] = [[in_path("a", 0, None, near_set), in_path("d", 1, 0.5, near_set)]]

    return change


def in_path(name: str, place: int, similarity: float | None, near_set: str | None = None) -> dict:
    return {
        "document_id": name, "partition": 0, "place": place, "restarts": place == 0, "similarity_to_previous": similarity,
        "near_set": near_set, "centre_similarity": 0.5, "neighbours": [1 - place], "similarities": [0.5],
    }  # fmt: skip


def embedding(name: str, status: str) -> dict:
    return {"document_id": name, "status": status, "vector": [1.0, 0.0] if status == "embedded" else None}


def with_path(tables):
    """A path a, d with vectors, in one partition."""
    ordered()(tables)
    tables["ORDER"][0][0]["near_set"] = "a"
    first, second = tables["SEQUENCES"][0]
    for s in (first["segments"][0], second["segments"][0]):
        s["path_position"] = 0
    first["segments"][1] |= {"path_position": 1, "similarity_to_previous": 0.5}
    tables["EMBEDDINGS"] = [
        [embedding("a", "embedded"), embedding("b", "not_drawn")],
        [embedding("c", "not_drawn"), embedding("d", "empty")],
    ]
    tables["CENTROIDS"] = [
        [
            {"partition": 0, "group_number": 0, "made_by": "x", "n_documents": 2, "mean_similarity": 0.75, "vector": [1.0, 0.0]},
            {"partition": 1, "group_number": 1, "made_by": "x", "n_documents": 0, "mean_similarity": 0.0, "vector": [0.0, 1.0]},
        ]
    ]  # fmt: skip


def test_a_dataset_with_a_path_breaks_no_law(changing):
    tables = sound()
    with_path(tables)
    con = changing.to(tables)
    check_laws(con)


def test_the_views_of_a_path(changing):
    """a (0 to 4 with d, 4 to 6 alone, a copy in the other file) and d are each other's only neighbour."""
    tables = sound()
    with_path(tables)
    tables["EMBEDDINGS"][1][1] = embedding("d", "embedded") | {"vector": [0.6, 0.8]}
    con = changing.to(tables)
    assert con.execute("FROM path_quality").fetchall() == [(0, 2, 2, 0, 1, 0, 0.5, 0.5)]
    assert con.execute("FROM nearest_together").fetchall() == [(0, 2, 2, 2)]
    assert con.execute("FROM partitions").fetchall() == [(0, 0, 2, 0.75, 2, 0.5), (1, 1, 0, 0.0, 0, None)]
    assert con.execute("FROM draw_groups").fetchall() == [(0, 14, 0.0)]
    columns = "sequences, segments_per_sequence, forced_cuts, avoidable_cuts, path_pairs, adjacent_pairs"
    assert con.execute(f"SELECT {columns} FROM packing").fetchall() == [(3, 4 / 3, 0, 1, 1, 1)]
    padding, attention = con.execute("SELECT padding_share, attention_share FROM packing").fetchone()
    assert padding == pytest.approx(1 - 14 / 24)
    assert attention == pytest.approx((16 + 4 + 4 + 36) / (36 + 4 + 36))
    (row,) = con.execute("FROM window_similarity").fetchall()
    assert row[:2] == (3, 4)
    same, following, other, most = row[2:]
    assert same == pytest.approx(0.6)  # a and d in the first
    assert following == pytest.approx((1 + 0.6) / 2)  # a in the second, with a and d
    assert other == pytest.approx((1 + 0.6 + 1 + 0.6 + 1) / 5)
    assert most == pytest.approx(0.5)


def test_a_document_alone_in_its_sequence_has_room_for_no_neighbour(changing):
    tables = sound()
    with_path(tables)
    tables["SEQUENCES"][0] = [sequence(0, segment("a", 0, 6)), sequence(1, segment("d", 0, 2))]
    con = changing.to(tables)
    assert con.execute("FROM nearest_together").fetchall() == [(0, 2, 0, 0)]
    assert con.execute("SELECT document_id, place, n_neighbours FROM paths ORDER BY place").fetchall() == [
        ("a", 0, 1),
        ("d", 1, 1),
    ]


def chunk(name, start, stop, *neighbours, is_near_copy=False):
    return {
        "document_id": name, "document_start": start, "document_stop": stop, "is_near_copy": is_near_copy,
        "neighbours": [j for j, _ in neighbours], "similarities": [s for _, s in neighbours],
    }  # fmt: skip


def with_chunks(tables):
    """The path a, d in chunks of 2 tokens, each document's chunks near those of the other; the last of a is a near copy."""
    with_path(tables)
    tables["CHUNKS"] = [[
        chunk("a", 0, 2, (3, 0.5)), chunk("a", 2, 4), chunk("a", 4, 6, is_near_copy=True),
        chunk("d", 0, 2, (1, 0.75), (0, 0.5)),
    ]]  # fmt: skip


def test_the_views_of_chunks(tmp_path):
    """a (0 to 4), then d in the first sequence: a neighbour of the chunk in front of it. a (4 to 6) is in the next one."""
    columns = "document_id, document_start, sequence_id, place, after_document_id, after_start, similarity"
    in_turn = [("a", 0, 0, 0, None, None, None), ("a", 2, 0, 0, None, None, None), ("a", 4, 1, 0, None, None, None)]
    for listed in (True, False):
        tables = sound()
        with_chunks(tables)
        if listed:
            tables["CHUNKS"][0][1] = chunk("a", 2, 4, (3, 0.25))
        with opened(tables, tmp_path, negative_neighbours=2) as con:
            check_laws(con)
            expected = [*in_turn, ("d", 0, 0, 1, *(("a", 2, 0.25) if listed else (None, None, None)))]
            assert con.execute(f"SELECT {columns} FROM chunks ORDER BY row").fetchall() == expected
            means = (0.25, 0.5) if listed else (None, 0.625)  # of the last, the first of each list
            assert con.execute("FROM extension").fetchall() == [(0, 2, 1, 4, 1, int(listed), *means)]
            assert con.execute("SELECT forced_cuts, avoidable_cuts FROM packing").fetchall() == [(0, 0)]


def chunks_but(change):
    return lambda tables: (with_chunks(tables), change(tables))


def path_but(change):
    return lambda tables: (with_path(tables), change(tables))


def refused_but(change):
    return lambda tables: (refuse(tables), change(tables))


BREACHES = {
    "DUPLICATES and TOKENS have a row for each row of DOCUMENTS": [drop("TOKENS", 1, 1), drop("DUPLICATES", 0, 1)],
    "every record of a shard is in DOCUMENTS or in REJECTED, exactly once": [
        put("DOCUMENTS", 1, 1, record=3),
        put("REJECTED", 1, 0, record=0),
        drop("REJECTED", 1, 0),
    ],
    "DUPLICATES and TOKENS are in the order of DOCUMENTS": [lambda t: t["TOKENS"][0].reverse(), put("DUPLICATES", 0, 1, document_id="q")],
    "a document has the status dropped in TOKENS exactly when dedup dropped it": [
        lambda t: t["TOKENS"][1].__setitem__(1, token_row("d", None)),
        lambda t: t["TOKENS"][0].__setitem__(1, token_row("b", [0])),
        lambda t: t["TOKENS"][0].__setitem__(1, refused_row("b")),
    ],
    "in TOKENS, reason is non-NULL exactly when status = 'refused', n_tokens exactly when status = 'encoded'": [
        put("TOKENS", 1, 1, status="refused"),
        put("TOKENS", 1, 1, status="kept"),
        put("TOKENS", 1, 1, reason="no_token"),
        put("TOKENS", 0, 1, reason="no_token"),
        put("TOKENS", 0, 1, decodes=True),
        put("TOKENS", 0, 0, fell_back="often"),
        put("TOKENS", 1, 1, n_tokens=None, input_ids=None),
        put("TOKENS", 0, 1, n_tokens=1, input_ids=[0]),
        lambda t: t["TOKENS"][1].__setitem__(1, refused_row("d") | {"n_tokens": 1, "input_ids": [0]}),
        lambda t: t["TOKENS"][1].__setitem__(1, refused_row("d", "not_nice")),
        lambda t: t["TOKENS"][1].__setitem__(1, refused_row("d") | {"reason": None}),
        lambda t: t["TOKENS"][1].__setitem__(1, refused_row("d") | {"decodes": False}),
    ],
    MARKS: [
        put("TOKENS", 0, 0, input_ids=None),
        put("TOKENS", 0, 1, input_ids=[0]),
        put("TOKENS", 0, 0, input_ids=[1, 2, 3, 4, 5, 6, 0]),
        put("TOKENS", 0, 0, input_ids=[1, 2, 0, 4, 5, 0]),
        put("TOKENS", 0, 0, input_ids=[1, 2, 3, 4, 5, 6]),
        put("TOKENS", 0, 0, input_ids=[1, 2, 3, 4, 0, 6]),
        put("TOKENS", 0, 0, n_tokens=5),
    ],
    "ids and texts of kept documents are unique": [put("DOCUMENTS", 1, 1, content_hash="hash of xx")],
    "verdict is kept, exact or near; kept_id and similarity are NULL exactly when it is kept": [
        put("DUPLICATES", 1, 0, verdict="nearly"),
        put("DUPLICATES", 1, 0, similarity=None),
        put("DUPLICATES", 0, 0, kept_id="d"),
    ],
    "kept_id of a dropped document names a kept document, and similarity is at least the threshold": [
        put("DUPLICATES", 1, 0, kept_id="b"),
        put("DUPLICATES", 1, 0, similarity=0.69),
        put("DUPLICATES", 1, 0, kept_id="nobody"),
    ],
    "an exact duplicate has the same text as its survivor, a near duplicate another text": [
        put("DUPLICATES", 0, 1, verdict="near"),
        put("DUPLICATES", 1, 0, verdict="exact"),
    ],
    "BUDGET and the tables of scores are empty, or have a row for each row of DOCUMENTS, in the same order": [
        drop("SCORES_CHEAP", 1, 1),
        lambda t: t["BUDGET"][0].reverse(),
        lambda t: t["SCORES_CHUNK_GAIN"][1].append(gain("d", "not_scored", "short")),
        *(lambda t, kind=kind: t[kind][0].reverse() for kind in OTHERS),
        *(drop(kind, 1, 1) for kind in OTHERS),
    ],
    "score is non-NULL exactly when status = 'scored', reason exactly when it is not; no value is NaN": [
        put("SCORES_CHEAP", 0, 0, n_words=None),
        put("SCORES_CHEAP", 0, 0, recurrence=float("nan")),
        put("SCORES_CHEAP", 0, 1, reason=None),
        put("SCORES_CHUNK_GAIN", 1, 1, score=0.0),
        put("SCORES_CHUNK_GAIN", 0, 0, score=None),
        put("SCORES_CHUNK_GAIN", 0, 0, error=float("nan")),
        put("SCORES_CHUNK_GAIN", 1, 1, reason=None),
        put("SCORES_CHUNK_GAIN", 1, 1, status="skipped"),
        *(put(kind, 1, 1, **{parts[0]: 0.0}) for kind, parts in OTHERS.items()),
        *(put(kind, 0, 0, **{parts[0]: None}) for kind, parts in OTHERS.items()),
        *(put(kind, 0, 0, **{parts[1]: float("nan")}) for kind, parts in OTHERS.items()),
        *(put(kind, 0, 0, reason="none") for kind in OTHERS),
    ],
    "a document has as many pairs as its n_pairs in BUDGET, all inside the document and distinct": [
        put("BUDGET", 0, 0, n_pairs=3),
        put("SCORES_CHUNK_GAIN", 0, 0, n_near=1),
        lambda t: t["SCORES_CHUNK_GAIN"][0].__setitem__(0, gain("a", "scored", None, (4, 0), (4, 0))),
        lambda t: t["SCORES_CHUNK_GAIN"][0].__setitem__(0, gain("a", "scored", None, (4, 0), (9, 0))),
        lambda t: t["SCORES_CHUNK_GAIN"][0].__setitem__(0, gain("a", "scored", None, (4, 0), (3, 3))),
    ],
    "a document has the status dropped exactly when dedup dropped it": [
        lambda t: t["SCORES_CHUNK_GAIN"][0].__setitem__(1, gain("b", "not_scored", "short")),
        put("SCORES_CHEAP", 1, 1, status="dropped"),
        *(put(kind, 1, 1, status="dropped") for kind in OTHERS),
        *(lambda t, kind=kind: t[kind][0].__setitem__(1, other(kind, "b", "not_scored", "short")) for kind in OTHERS),
    ],
    "a refused document has no scores and no pairs, for that reason": [
        refused_but(put("SCORES_CHEAP", 1, 2, status="scored", reason=None, n_words=1.0)),
        refused_but(put("SCORES_CHEAP", 1, 2, reason="short")),
        refused_but(put("SCORES_CHEAP", 1, 2, list_share=0.5)),
        refused_but(put("SCORES_CHUNK_GAIN", 1, 2, status="too_short")),
        refused_but(put("BUDGET", 1, 2, why="short")),
        refused_but(put("BUDGET", 1, 2, n_pairs=2)),
        *(refused_but(put(kind, 1, 2, reason="short")) for kind in OTHERS),
    ],
    "a draw is a token range of an encoded document": [
        refused_but(lambda t: t["DRAWS"][0].append(draw("e", "???", 1, n_tokens=3))),
        put("DRAWS", 0, 2, document_id="c"),
        put("DRAWS", 0, 2, document_stop=4),
        put("DRAWS", 0, 2, document_stop=0),
        put("DRAWS", 0, 2, domain="web"),
        put("DRAWS", 0, 2, n_tokens=4),
    ],
    "a document is drawn at most once per epoch, in consecutive epochs from 0": [
        put("DRAWS", 0, 1, epoch=0),
        put("DRAWS", 0, 1, epoch=2),
    ],
    "no draw is of a document that plan.select drops": [
        put("SCORES_CHEAP", 1, 1, refused="list"),
        put("SCORES_CHUNK_GAIN", 1, 1, reason="budget"),
    ],
    "the mix has at most budget_tokens tokens": [
        lambda t: (t["DRAWS"][0].append(draw("d", "z", 1, epoch=1, n_tokens=3)), t["SEQUENCES"][1].append(sequence((1 << 32) + 1, segment("d", 0, 1, epoch=1)))),
    ],
    "TARGETS has a row for each domain and kind": [
        drop("TARGETS", 0, 0),
        lambda t: t["TARGETS"][0].append(target("short", 0, 0, 0)),
        lambda t: t["TARGETS"][0].clear(),
        put("TARGETS", 0, 0, kind="medium"),
    ],
    "target_tokens sum to budget_tokens": [put("TARGETS", 0, 1, target_tokens=13), lambda t: t["TARGETS"][0].clear()],
    "available_tokens is max_epochs times the tokens of the cell's encoded documents that are not excluded": [
        put("TARGETS", 0, 0, available_tokens=3),
        put("TARGETS", 0, 0, over_share_tokens=1),
        put("TARGETS", 0, 0, dropped_tokens=1),
        put("TARGETS", 0, 0, not_selected_tokens=1),
        lambda t: t["TARGETS"][0].append(target("short", 0, 2, 0, domain="nowhere")),
    ],
    "dropped_documents and dropped_tokens are those of the encoded documents with a reason in plan.select.drop": [
        put("SCORES_CHEAP", 1, 1, refused="list"),
        put("SCORES_CHUNK_GAIN", 1, 1, reason="budget"),
        put("TARGETS", 0, 1, dropped_documents=1),
        put("TARGETS", 0, 1, dropped_tokens=1),
        lambda t: (put("SCORES_CHEAP", 1, 1, refused="list")(t), put("TARGETS", 0, 1, dropped_documents=1, dropped_tokens=3)(t)),
        lambda t: (put("SCORES_CHEAP", 1, 1, refused="list")(t), put("TARGETS", 0, 0, dropped_documents=1, dropped_tokens=2)(t)),
    ],
    "a cell of TARGETS leaves out no tokens without a document, and no document without tokens": [
        put("TARGETS", 0, 0, **{f"{name}_{what}": 1})
        for name in ("over_share", "dropped", "not_selected")
        for what in ("documents", "tokens")
    ],
    "drawn_tokens is the smaller of target_tokens and available_tokens, and equals the cell's tokens in DRAWS": [
        put("TARGETS", 0, 0, drawn_tokens=1),
        put("TARGETS", 0, 0, target_tokens=1),
        put("TARGETS", 0, 1, available_tokens=11),
        lambda t: t["TARGETS"][0].append(target("short", 1, 1, 1, domain="nowhere")),
        drop("TARGETS", 0, 0),
        put("DRAWS", 0, 2, n_tokens=4),
    ],
    "sequence_id is (group << 32) + the row in the group's file": [
        put("SEQUENCES", 1, 0, sequence_id=2),
        put("SEQUENCES", 0, 1, sequence_id=0),
        lambda t: t["SEQUENCES"].reverse(),
        lambda t: t["SEQUENCES"][0].reverse(),
    ],
    "in SEQUENCES, n_tokens is the length of input_ids, from 1 to sequence_tokens": [
        put("SEQUENCES", 0, 0, n_tokens=5),
        put("SEQUENCES", 0, 0, input_ids=[]),
    ],
    "cu_seqlens has one element more than segments, the first is 0 and the last n_tokens": [
        put("SEQUENCES", 0, 0, cu_seqlens=[0, 6]),
        put("SEQUENCES", 0, 0, cu_seqlens=[6, 4, 0]),
    ],
    "each segment has a token of its document, and its length is that given by cu_seqlens, n_pad included": [
        put("SEQUENCES", 0, 0, cu_seqlens=[0, 3, 6]),
        put_segment(0, 0, 1, n_pad=1),
        put_segment(0, 0, 1, document_stop=0, n_pad=2),
        put_segment(0, 0, 1, document_stop=3, n_pad=-1),
    ],
    PADS: [
        lambda t: t["SEQUENCES"][0].__setitem__(1, sequence(1, segment("a", 4, 6, n_pad=1))),
    ],
    "every drawn token is in exactly one segment, and no other token is in any": [
        put_segment(0, 1, 0, document_start=3, document_stop=5),
        put_segment(0, 0, 1, document_start=1, document_stop=3),
        lambda t: t["DRAWS"][0].pop(1),
    ],
    "copies of a document never share a sequence": [
        lambda t: t["SEQUENCES"].__setitem__(1, [sequence(1 << 32, segment("a", 0, 4, epoch=1), segment("a", 4, 6, epoch=1))])
        or t["SEQUENCES"].__setitem__(0, [sequence(0, segment("a", 0, 4), segment("d", 0, 2)), sequence(1, segment("a", 4, 6), segment("a", 0, 6, epoch=1))])
        or t["SEQUENCES"].pop(1),
    ],
    "EMBEDDINGS is empty, or has a row for each row of DOCUMENTS, in the same order; a vector exactly where embedded": [
        path_but(drop("EMBEDDINGS", 0, 1)),
        path_but(put("EMBEDDINGS", 0, 1, document_id="c")),
        path_but(put("EMBEDDINGS", 0, 1, status="dropped")),
        path_but(put("EMBEDDINGS", 0, 0, vector=None)),
        path_but(put("EMBEDDINGS", 0, 1, vector=[1.0, 0.0])),
    ],
    "ORDER is empty, or has a row for each drawn document, in the group of its draws": [
        path_but(drop("ORDER", 0, 1)),
        path_but(lambda t: t["ORDER"][0].append(in_path("b", 2, 0.5))),
        path_but(lambda t: t["ORDER"].insert(0, [])),
    ],
    "in ORDER, place counts from 0; after the path come near copies, without a place": [
        path_but(put("ORDER", 0, 1, place=2)),
        path_but(put("ORDER", 0, 1, place=None, similarity_to_previous=None, neighbours=[], similarities=[])),
        path_but(put("ORDER", 0, 0, restarts=False)),
        path_but(put("ORDER", 0, 0, similarity_to_previous=0.5)),
        path_but(put("ORDER", 0, 1, similarity_to_previous=1.1)),
        path_but(put("ORDER", 0, 1, similarity_to_previous=float("nan"))),
        path_but(put("ORDER", 0, 1, place=None, near_set="a", similarity_to_previous=None, restarts=True)),
    ],
    "the neighbours of a document in ORDER are other documents of its path, the nearest first": [
        path_but(put("ORDER", 0, 0, neighbours=[0])),
        path_but(put("ORDER", 0, 0, neighbours=[1, 1], similarities=[0.5, 0.5])),
        path_but(put("ORDER", 0, 0, neighbours=[1, 2], similarities=[0.4, 0.5])),
        path_but(put("ORDER", 0, 0, neighbours=[1, 2], similarities=[0.5])),
        path_but(put("ORDER", 0, 0, neighbours=list(range(1, 12)), similarities=[0.5] * 11)),
        path_but(put("ORDER", 0, 1, place=None)),
    ],
    "a document is in the group of its partition": [
        path_but(put("ORDER", 0, 0, partition=1)),
        path_but(put("ORDER", 0, 0, partition=7)),
    ],
    "documents of one near_set never share a sequence": [ordered(near_set="a"), ordered(near_set="b")],
    "path_position and similarity_to_previous are those of ORDER for a first copy, NULL for a further one": [
        ordered(),
        lambda t: (ordered()(t), put_segment(1, 0, 0, path_position=5)(t)),
        put_segment(0, 0, 1, path_position=0),
        put_segment(0, 0, 1, similarity_to_previous=0.5),
    ],
    "CHUNKS is empty, or divides the drawn tokens of each document of a path into consecutive chunks": [
        chunks_but(drop("CHUNKS", 0, 3)),
        chunks_but(drop("CHUNKS", 0, 0)),
        chunks_but(drop("CHUNKS", 0, 1)),
        chunks_but(drop("CHUNKS", 0, 2)),
        chunks_but(put("CHUNKS", 0, 1, document_start=1)),
        chunks_but(put("CHUNKS", 0, 0, document_start=-1)),
        chunks_but(put("CHUNKS", 0, 3, document_stop=3)),
        chunks_but(lambda t: t["CHUNKS"][0].append(chunk("d", 2, 2))),
        chunks_but(lambda t: t["CHUNKS"][0].append(chunk("b", 0, 2))),
        chunks_but(lambda t: t["CHUNKS"].insert(0, [])),
    ],
    "the neighbours of a chunk are chunks of other documents, the nearest first; a near copy has none and is none": [
        chunks_but(put("CHUNKS", 0, 0, neighbours=[1])),
        chunks_but(put("CHUNKS", 0, 0, neighbours=[4])),
        chunks_but(put("CHUNKS", 0, 0, neighbours=[])),
        chunks_but(put("CHUNKS", 0, 3, neighbours=[2, 0])),
        chunks_but(put("CHUNKS", 0, 3, neighbours=[0, 0])),
        chunks_but(put("CHUNKS", 0, 3, similarities=[0.5, 0.75])),
        chunks_but(put("CHUNKS", 0, 2, neighbours=[3], similarities=[0.5])),
    ],
    **sft_laws.BREACHES,
}  # fmt: skip


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    with ExitStack() as stack:
        yield Changing(tmp_path_factory.mktemp("laws"), stack)


@pytest.mark.parametrize(
    ("title", "change"), [(title, change) for title, changes in BREACHES.items() for change in changes]
)
def test_a_breach_is_caught_by_its_law(changing, title, change, monkeypatch):
    tables = copy.deepcopy(sound())
    change(tables)
    con = changing.to(tables)
    assert con.execute(laws()[title]).fetchall()
    if change is BREACHES[title][0]:
        monkeypatch.setattr(catalog, "laws", lambda: {title: laws()[title]})  # all of them take longer than the tests
        with pytest.raises(LawError, match=f"law broken: {re.escape(title)}; for example"):
            check_laws(con)


def test_every_law_is_checked(changing, monkeypatch):
    checked = []

    @contextmanager
    def noted(_, query):
        checked.append(query)
        yield

    monkeypatch.setattr(catalog, "room_for", noted)
    check_laws(changing.to(sound()))
    assert checked == list(laws().values())
    tables = sound()
    put("SEQUENCES", 0, 0, n_tokens=7)(tables)
    with pytest.raises(LawError, match="law broken"):
        check_laws(changing.to(tables))


def test_a_connection_that_is_changed_back_breaks_no_law(changing):
    """Were a table left as it was, the breaches above would be those of others."""
    check_laws(changing.to(sound()))
    check_laws(changing.to(sft_laws.sound()))
    check_laws(changing.to(sound()))


def test_every_law_has_a_breach():
    assert list(BREACHES) == list(laws())
