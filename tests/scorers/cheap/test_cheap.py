"""The table is what the scores say one by one, a row for each text, NULL where nothing could be measured."""

import random
import re

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import RecipeError, SchemaError
from scorers.cheap import CHEAP, cheap
from scorers.cheap.background import background
from scorers.cheap.block_order import MIN_ORDER_Z, order_z
from scorers.cheap.lists import MAX_LIST_SHARE, list_share
from scorers.cheap.recurrence import look_up, recurrence
from scorers.cheap.repeats import MAX_REPEAT_SHARE, repeat_share
from scorers.cheap.words import BLOCK, blocks, cut, number
from tests.scorers.cheap.test_background import hashed
from tests.scorers.cheap.test_words import as_bytes, real_documents

# No words, one, one again and again, the same ones in each block, a line too few, and a word too few.
EDGES = ["", " \n", "one", "same " * 2_000, "日本語の文" * 300, "🐳", "a\nb", "word " * (8 * BLOCK - 1)]


@pytest.fixture(scope="module")
def known():
    return background({domain: hashed(texts) for domain, texts in real_documents().items()})


def rows() -> list[tuple[str, str]]:
    found = [(domain, text[:40_000]) for domain, texts in real_documents().items() for text in texts[::4]]
    found += [(domain, text) for domain in real_documents() for text in EDGES]
    random.Random(0).shuffle(found)
    return found


def one_by_one(domain: str, text: str, known) -> list[float | None]:
    hashes = cut(as_bytes(text))[0]
    numbers, distinct = number(hashes)
    members, starts = blocks(numbers)
    weights, chances = look_up(distinct, *known.domains[domain].words)
    scores = [repeat_share(hashes), recurrence(members, starts, weights, chances), order_z(members, starts, weights)]
    return [len(hashes), *(None if np.isnan(s) else s for s in [*scores, list_share(as_bytes(text))])]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_row_for_each_text_in_order(known, kind):
    domains, texts = zip(*rows(), strict=True)
    table = cheap(pa.array(["before", *texts, "after"], kind).slice(1, len(texts)), domains, known)
    assert table.schema.equals(CHEAP, check_metadata=True)
    found = [list(row.values()) for row in table.to_pylist()]
    assert found == [one_by_one(domain, text, known) for domain, text in rows()]


def test_null_is_where_nothing_can_be_measured_and_nan_is_nowhere(known):
    table = cheap(pa.array(EDGES), ["github"] * len(EDGES), known)
    assert not any(value != value for row in table.to_pylist() for value in row.values())  # noqa: PLR0124 NaN
    nulls = {name: [value is None for value in table[name].to_pylist()] for name in CHEAP.names}
    assert nulls == {
        "n_words": [False] * 8,
        "repeat_share": [True, True, True, False, False, True, True, False],
        "recurrence": [True, True, True, False, False, True, True, True],
        "order_z": [True] * 8,
        "list_share": [True, True, True, True, True, True, False, True],
    }


def test_a_row_depends_on_no_other(known):
    domains, texts = zip(*rows(), strict=True)
    whole = cheap(pa.array(texts), domains, known)
    for row in range(0, len(texts), 5):
        assert cheap(pa.array(texts[row : row + 1]), domains[row : row + 1], known).to_pylist() == [
            whole.to_pylist()[row]
        ]


def test_no_text_at_all(known):
    assert cheap(pa.array([], pa.large_string()), [], known).num_rows == 0


def test_what_it_refuses(known):
    with pytest.raises(RecipeError, match="no domain 'arxiv'"):
        cheap(pa.array(["text"]), ["arxiv"], known)
    with pytest.raises(SchemaError, match="1 of 2 texts are NULL"):
        cheap(pa.array(["text", None]), ["c4", "c4"], known)
    with pytest.raises(SchemaError, match="2 texts have 1 domains"):
        cheap(pa.array(["text", "text"]), ["c4"], known)


def test_a_domain_of_too_few_documents_says_nothing_of_words():
    table = cheap(pa.array([real_documents()["book"][0]]), ["few"], background({"few": hashed([])}))
    assert [value is None for value in table.to_pylist()[0].values()] == [False, False, True, True, False]


def test_each_score_tells_its_own_kind(known):
    texts = [text[:16_000] for text in real_documents()["github"] if len(text) > 10_000]
    rng = random.Random(1)
    kinds = {
        "whole": texts,
        "repeat": [text[2_000:3_000] * 12 for text in texts],
        "random": [" ".join(rng.sample(text.split(), len(text.split()))) for text in texts],
        "list": ["\n".join(f'  {{"{w}", {i}}},' for i, w in enumerate(re.findall("[a-z]+", text))) for text in texts],
    }
    found = {kind: cheap(pa.array(of), ["github"] * len(of), known).to_pydict() for kind, of in kinds.items()}

    def share(kind: str, score: str, holds) -> float:
        return float(np.mean([holds(value) for value in found[kind][score] if value is not None]))

    for kind, least, most in (("whole", 0, 0.2), ("repeat", 1, 1)):
        assert least <= share(kind, "repeat_share", lambda value: value > MAX_REPEAT_SHARE) <= most
    for kind, least, most in (("whole", 0, 0.2), ("random", 0.8, 1)):
        assert least <= share(kind, "order_z", lambda value: value < MIN_ORDER_Z) <= most
    for kind, least, most in (("whole", 0, 0.3), ("list", 1, 1)):
        assert least <= share(kind, "list_share", lambda value: value > MAX_LIST_SHARE) <= most
