"""Breaches that one clause of a law alone sees, and sound sets that a stricter law would refuse.

benchmarks/law_mutations.py changes each clause and finds the changes that neither these nor test_laws.py would see.
"""

import copy
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from pipelines.catalog import check_laws, laws
from tests.schemas import sft_laws
from tests.schemas.sft_laws import but
from tests.schemas.test_laws import (
    BREACHES,
    MARKS,
    PADS,
    Changing,
    document,
    draw,
    embedding,
    gain,
    in_path,
    ordered,
    put,
    refuse,
    segment,
    sequence,
    sound,
    target,
    with_path,
)
from tests.sft import sample_row
from tests.tokens import refused_row, token_row


def both(*changes):
    def change(tables):
        for each in changes:
            each(tables)

    return change


def rows(table, shard, *all_rows):
    """The rows of a shard."""
    return lambda tables: tables[table].__setitem__(shard, list(all_rows))


def append(table, shard, row):
    return lambda tables: tables[table][shard].append(row)


def of_samples(change):
    return but(change)


def padded(a, d, rest, copy_of_a):
    """The sound sequences with so many tokens of padding after each segment."""
    return lambda tables: tables.update(
        SEQUENCES=[
            [
                sequence(0, segment("a", 0, 4, n_pad=a), segment("d", 0, 2, n_pad=d)),
                sequence(1, segment("a", 4, 6, n_pad=rest)),
            ],
            [sequence(1 << 32, segment("a", 0, 6, epoch=1, n_pad=copy_of_a))],
        ]
    )


REASONS = ("no_token", "eos_in_text", "bos_in_text", "marker_in_text", "tokenizer_error")


def refuse_for_every_reason(tables):
    """A refused document for each reason; the encoded ones fell back in both ways, and one was decoded."""
    for k, reason in enumerate(REASONS):
        refuse(tables)
        name = f"e{k}"
        tables["DOCUMENTS"][1][-1] = document(name, f"refused {k}", 3 + k)
        tables["TOKENS"][1][-1] = refused_row(name, reason)
        for table in ("DUPLICATES", "SCORES_CHEAP", "BUDGET", "SCORES_CHUNK_GAIN", *OTHERS):
            tables[table][1][-1]["document_id"] = name
    put("TOKENS", 0, 0, fell_back="hostile", decodes=True)(tables)
    put("TOKENS", 1, 1, fell_back="document", decodes=False)(tables)


OTHERS = ("SCORES_PROLONG", "SCORES_INFOGAIN", "SCORES_LONGATTN")


def without_d(**left_out):
    """The plan leaves d out, all of its cell; left_out: columns of its row of TARGETS."""

    def change(tables):
        tables["TARGETS"][0][0] = target("short", 0, 0, 0) | left_out
        tables["DRAWS"][0].pop()
        tables["SEQUENCES"][0][0] = sequence(0, segment("a", 0, 4))

    return change


def in_pieces(tables):
    """a is in four segments: two in one sequence, and two of one token."""
    tables["SEQUENCES"][0] = [
        sequence(0, segment("a", 0, 2), segment("a", 2, 4)),
        sequence(1, segment("d", 0, 2)),
        sequence(2, segment("a", 4, 5)),
        sequence(3, segment("a", 5, 6)),
    ]


def path_in_pieces(tables):
    with_path(tables)
    in_pieces(tables)
    for row in tables["SEQUENCES"][0]:
        for each in row["segments"]:
            each["path_position"] = 0
    tables["SEQUENCES"][0][1]["segments"][0] |= {"path_position": 1, "similarity_to_previous": 0.5}


def near_copy(tables):
    """d is a near copy of a and not on the path."""
    ordered()(tables)
    in_pieces(tables)
    for row in tables["SEQUENCES"][0]:
        row["segments"] = [s | {"path_position": 0 if s["document_id"] == "a" else None} for s in row["segments"]]
    alone = {"neighbours": [], "similarities": []}
    tables["ORDER"][0] = [
        in_path("a", 0, None, "a") | alone,
        in_path("d", 1, None, "a") | alone | {"place": None, "restarts": False},
    ]


def without_vectors(tables):
    path_in_pieces(tables)
    del tables["CENTROIDS"], tables["EMBEDDINGS"]


def ten_neighbours(tables):
    with_path(tables)
    put("ORDER", 0, 0, neighbours=list(range(1, 11)), similarities=[0.5] * 10)(tables)


def whole_sample(tables):
    """e has no context, and two responses that meet; the scored one is the last, to the last token."""
    spans = {"context_start": 0, "context_stop": 0, "response_start": 4, "response_stop": 8}
    tables["SAMPLES"][1][2].update(responses=[{"start": 0, "stop": 4}, {"start": 4, "stop": 8}], n_responses=2, **spans)


def empty_response(tables):
    """e is scored on an empty span at its first token."""
    spans = dict.fromkeys(("context_start", "context_stop", "response_start", "response_stop"), 0)
    tables["SAMPLES"][1][2].update(responses=[{"start": 0, "stop": 8}], **spans)


def without_responses(tables):
    """The first sequence has no token of a response."""
    tables["SFT_SEQUENCES"][0] = [
        sft_laws.sequence(0, ("a", 0, 5)),
        sft_laws.sequence(1, ("a", 5, 8)),
        sft_laws.sequence(2, ("c", 0, 8)),
    ]


def two_in_a_sequence(tables):
    tables["SFT_SEQUENCES"][0] = [sft_laws.sequence(0, ("a", 0, 8), ("c", 0, 8))]


def two_lists(tables):
    """a and d are short lists, which the plan drops, so that nothing is drawn."""
    for place in (0, 1):
        put("SCORES_CHEAP", place, place, refused="list")(tables)
    tables["TARGETS"] = [
        [target("short", 0, 0, 0) | {"dropped_documents": 2, "dropped_tokens": 9}, target("long", 0, 0, 0)]
    ]
    tables |= {"DRAWS": [[]], "SEQUENCES": [[], []]}


LISTED = put("SCORES_CHEAP", 1, 1, refused="list")
SOUND: dict[str, tuple[Callable, dict]] = {
    "two shards": (lambda _: None, {}),
    "a set of samples": (of_samples(lambda _: None), {}),
    "a refused document": (refuse, {}),
    "every reason to refuse": (refuse_for_every_reason, {}),
    "refused documents are dropped": (refuse, {"dropped_reasons": ["list", "refused"]}),
    "a path": (with_path, {}),
    "a path of pieces": (path_in_pieces, {}),
    "pieces": (in_pieces, {}),
    "a near copy": (near_copy, {}),
    "a path without vectors": (without_vectors, {}),
    "ten neighbours": (ten_neighbours, {}),
    "a BOS": (put("TOKENS", 1, 1, input_ids=[1, 7, 0]), {"bos_id": 1}),
    "as similar as the threshold": (put("DUPLICATES", 1, 0, similarity=0.7), {}),
    "a scorer's error": (put("SCORES_PROLONG", 1, 1, status="error", reason="none"), {}),
    "over_share": (both(put("TARGETS", 0, 1, target_tokens=12), without_d(over_share_documents=1, over_share_tokens=3)), {"budget_tokens": 12}),
    "not_selected": (without_d(not_selected_documents=1, not_selected_tokens=3), {"budget_tokens": 12}),
    "dropped": (both(LISTED, without_d(dropped_documents=1, dropped_tokens=3)), {"budget_tokens": 12}),
    "two lists in a cell": (two_lists, {"budget_tokens": 0, "long_tokens": 7}),
    "padded to a multiple": (padded(0, 2, 2, 2), {"pad_documents_to": 4, "sequence_tokens": 12}),
    "knots": (padded(1, 0, 1, 1), {"n_knots": 2, "sequence_tokens": 12}),
    "one knot": (padded(1, 0, 1, 1), {"n_knots": 1, "sequence_tokens": 12}),
    "a sample without context": (of_samples(whole_sample), {}),
    "a sample with an empty response": (of_samples(empty_response), {}),
    "a sequence without a response": (of_samples(without_responses), {}),
    "two samples in a sequence": (of_samples(two_in_a_sequence), {"sequence_tokens": 16}),
}  # fmt: skip


def titled(part: str) -> str:
    (title,) = (title for title in laws() if part in title)
    return title


def same_sum_of_places(tables):
    """c: places 2, 6, 7 and 8 are those of its responses; 1, 2, 3, 4, 6 and 7 have the same sum."""
    row = tables["SFT_SEQUENCES"][0][2]
    row["labels"] = [x if k + 1 in (1, 2, 3, 4, 6, 7) else -100 for k, x in enumerate(row["input_ids"])]


CLAUSES: dict[str, list[tuple[Callable, dict]]] = {
    titled("DUPLICATES and TOKENS have a row"): [
        (rows("TOKENS", 1), {}),
        (rows("DUPLICATES", 1), {}),
    ],
    titled("reason is non-NULL exactly when status = 'refused'"): [(put("TOKENS", 0, 1, status="kept"), {})],
    MARKS: [
        (put("TOKENS", 0, 0, input_ids=[1, 2, 3, 4, 5, 0, 7]), {}),
        (rows("TOKENS", 1, token_row("c", None), token_row("d", [5])), {}),
        (rows("TOKENS", 1, token_row("c", None), token_row("d", [])), {}),
        *(
            (rows("TOKENS", 1, token_row("c", None), token_row("d", ids)), {"bos_id": 1})
            for ids in ([7, 7, 0], [1, 1, 0], [1, 7, 1, 0], [0])
        ),
    ],
    titled("a document has as many pairs"): [
        (rows("SCORES_CHUNK_GAIN", 0, gain("a", "scored", None, (4, -1), (8, 3)), gain("b", "dropped", "dropped")), {})
    ],
    titled("a draw is a token range"): [
        (put("DRAWS", 0, 2, content_hash="hash of another"), {}),
        (put("DRAWS", 0, 2, document_start=-1), {}),
    ],
    titled("a document is drawn at most once per epoch"): [
        (both(put("DRAWS", 0, 1, epoch=2), append("DRAWS", 0, draw("a", "xx", 6, epoch=2))), {}),
        (put("DRAWS", 0, 0, epoch=-1), {}),
    ],
    titled("TARGETS has a row for each domain"): [
        (both(put("DOCUMENTS", 1, 1, domain="lone"), put("TOKENS", 1, 1, n_tokens=1, input_ids=[0])), {})
    ],
    titled("dropped_documents and dropped_tokens are"): [(both(LISTED, lambda t: t["TARGETS"][0].pop(0)), {})],
    titled("drawn_tokens is the smaller"): [
        (both(put("DRAWS", 0, 2, document_stop=1), lambda t: t["TARGETS"][0].pop(0)), {})
    ],
    titled("in SEQUENCES, n_tokens is the length"): [
        (put("SEQUENCES", 0, 0, n_tokens=0, input_ids=[]), {}),
        (lambda _: None, {"sequence_tokens": 5}),
        (of_samples(lambda t: t["SFT_SEQUENCES"][0][0].update(n_tokens=5)), {}),
    ],
    titled("cu_seqlens has one element more"): [
        (put("SEQUENCES", 0, 0, cu_seqlens=[1, 4, 6]), {}),
        (put("SEQUENCES", 0, 0, cu_seqlens=[0, 4, 5]), {}),
    ],
    PADS: [
        (padded(0, 2, 2, 0), {"pad_documents_to": 4}),
        (padded(4, 2, 2, 2), {"pad_documents_to": 4}),
        (padded(1, 0, 2, 1), {"n_knots": 2}),
    ],
    titled("every drawn token is in exactly one segment"): [
        (rows("SEQUENCES", 1), {}),
        (
            rows("SEQUENCES", 0, *(sequence(k, segment("a", *cut)) for k, cut in enumerate([(0, 3), (2, 4), (5, 6)])),
                 sequence(3, segment("d", 0, 2))),
            {},
        ),
    ],
    titled("EMBEDDINGS is empty"): [(both(with_path, append("EMBEDDINGS", 1, embedding("z", "not_drawn"))), {})],
    titled("in ORDER, place counts from 0"): [
        (both(near_copy, put("ORDER", 0, 1, similarity_to_previous=0.5)), {}),
        (both(near_copy, put("ORDER", 0, 1, restarts=True)), {}),
        (both(near_copy, put("ORDER", 0, 1, near_set=None)), {}),
    ],
    titled("a document is in the group of its partition"): [
        (both(with_path, lambda t: t["CENTROIDS"][0].pop(), put("ORDER", 0, 0, partition=1)), {})
    ],
    titled("in SAMPLES, input_ids has n_tokens"): [
        (of_samples(lambda t: t["SAMPLES"][0][1].update(input_ids=[1])), {}),
        (of_samples(lambda t: t["SAMPLES"][0][1].update(n_responses=1)), {}),
        (of_samples(lambda t: t["SAMPLES"][1][0].update(responses=[{"start": 1, "stop": 2}, {"start": 5, "stop": 9}])), {}),
    ],
    titled("RANKS is empty"): [
        (of_samples(lambda t: t["RANKS"][0].append(sft_laws.rank("z") | {"reason": "none"})), {}),
        (of_samples(lambda t: t["RANKS"][0][0].update(similar_id="d")), {}),
        (of_samples(lambda t: t["RANKS"][0][1].update(place=9)), {}),
    ],
    titled("a sample that dedup dropped"): [(of_samples(lambda t: t["RANKS"][1][4].update(reason="refused")), {})],
    titled("CHOSEN has a row for each sample"): [
        *((of_samples(lambda t, name=name: t["CHOSEN"][0][0].update({name: None})), {}) for name in ("score", "hmg", "cam")),
        (of_samples(lambda t: t["SAMPLES"][0].__setitem__(0, sample_row("a", "dropped"))), {}),
    ],
    titled("MESSAGES has a row for each row of CHOSEN"): [
        (of_samples(lambda t: t["DRAWS"][1].pop()), {}),
        (of_samples(lambda t: t["MESSAGES"][0][0].update(rank=None)), {}),
        (of_samples(lambda t: (t["MESSAGES"][1].pop(), t["DRAWS"][1].pop())), {}),
        (
            of_samples(lambda t: (t["MESSAGES"][1].append(sft_laws.message("s", None) | {"document_id": "e"}),
                                  t["DRAWS"][1].append(sft_laws.draw("s") | {"document_id": "e"}))),
            {},
        ),
    ],
    titled("QUOTAS counts the rows of CHOSEN"): [
        (of_samples(lambda t: t["QUOTAS"].__setitem__(0, [sft_laws.quota("top", 2, 0, 1), sft_laws.quota("top", 2, 2, 1), t["QUOTAS"][0][1]])), {})
    ],
    titled("labels are input_ids at the tokens of responses"): [
        (of_samples(lambda t: (without_responses(t), t["SFT_SEQUENCES"][0][0].update(labels=[1, *[-100] * 4]))), {}),
        (of_samples(lambda t: t["SFT_SEQUENCES"][0][2]["labels"].append(-100)), {}),
        (of_samples(same_sum_of_places), {}),
    ],
}  # fmt: skip


def changed(change):
    tables = copy.deepcopy(sound())
    change(tables)
    return tables


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    with ExitStack() as stack:
        yield Changing(tmp_path_factory.mktemp("clauses"), stack)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_set_breaks_no_law(changing, name):
    change, variables = SOUND[name]
    con = changing.to(changed(change), **variables)
    check_laws(con)
    assert con.execute("SELECT count(*) FROM tables.documents").fetchone()[0] >= 4


@pytest.mark.parametrize(
    ("title", "change", "variables"), [(t, *each) for t, all_of in CLAUSES.items() for each in all_of]
)
def test_a_breach_is_seen_by_its_clause(changing, title, change, variables):
    assert changing.to(changed(change), **variables).execute(laws()[title]).fetchall()


def test_the_laws_here_have_breaches_there():
    assert set(CLAUSES) <= set(BREACHES)
