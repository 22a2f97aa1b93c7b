"""A table of scores has a row for each document: those that were read have their values, all others say why not."""

import random

import pyarrow as pa
import pytest

from pipelines.score.assembly import assembled
from schemas.conform import conform
from schemas.errors import SchemaError
from schemas.scores import BUDGET, SCORES_CHUNK_GAIN, SCORES_LONGATTN

SEEDS = range(80)
EMPTY = {"n_near": 0, "n_far": 0, "n_chunks": 0, "pairs": []}
WHY = ("dropped", "too_short", "short", "repeats", "list", "stitched", "budget")


def budget(seed):
    """Documents of which some are read; the table may be in two pieces."""
    rng = random.Random(seed)
    n = rng.choice([0, 1, 2, 9, 30])
    share = rng.choice([0, 0.2, 0.8, 1])
    rows = []
    for _ in range(n):
        n_pairs = rng.choice([2, 6]) if rng.random() < share else 0
        why = rng.choice(["first", "more"]) if n_pairs else rng.choice(WHY)
        rows.append({"document_id": f"{rng.getrandbits(128):032x}", "n_pairs": n_pairs, "why": why})
    table = pa.Table.from_pylist(rows, schema=BUDGET)
    cut = rng.randint(0, n)
    return pa.concat_tables([table.slice(0, cut), table.slice(cut)])


def values(seed, schema):
    """A row of a document that was read, some of its values NULL."""
    rng = random.Random(seed)
    row = {}
    for field in schema:
        if field.type == pa.float64():
            row[field.name] = rng.choice([None, rng.random()])
        elif field.type == pa.int32():
            row[field.name] = rng.randrange(100)
    if "pairs" in schema.names:
        pair = {"target": 3, "context": 1, "alone": rng.random(), "after": 0.5}
        row["pairs"] = [pair] * rng.randrange(4)
    status = rng.choice(["scored", "error", "too_short"])
    return row | {"status": status, "reason": None if status == "scored" else "12 tokens"}


def slow(budget, scored, empty, schema):
    """Row by row."""
    rows, left = [], list(scored)
    for given in budget.to_pylist():
        if given["n_pairs"]:
            row = left.pop(0)
        else:
            status = given["why"] if given["why"] in ("dropped", "too_short") else "not_scored"
            row = {**empty, "status": status, "reason": given["why"]}
        rows.append(row | {"document_id": given["document_id"]})
    assert not left
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.mark.parametrize(("schema", "empty"), [(SCORES_CHUNK_GAIN, EMPTY), (SCORES_LONGATTN, {})])
def test_the_table_is_the_slow_one(schema, empty):
    for seed in SEEDS:
        given = budget(seed)
        scored = [values(seed * 1000 + k, schema) for k in range(sum(n > 0 for n in given["n_pairs"].to_pylist()))]
        table = assembled(given, scored, empty, schema)
        assert table.schema == schema
        assert table.to_pylist() == slow(given, scored, empty, schema).to_pylist(), f"{seed=}"
        conform(table, schema, "scores")  # no NULL where none may be


def test_values_that_are_no_columns_are_refused():
    given = pa.Table.from_pylist([{"document_id": "a", "n_pairs": 2, "why": "first"}], schema=BUDGET)
    row = values(0, SCORES_LONGATTN)
    assembled(given, [row], {}, SCORES_LONGATTN)
    for wrong in (row | {"dss": 1.0}, {name: value for name, value in row.items() if name != "ds"}):
        with pytest.raises(SchemaError, match="do not fit the columns"):
            assembled(given, [wrong], {}, SCORES_LONGATTN)


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    budgets = [budget(seed) for seed in SEEDS]
    read = [[n > 0 for n in each["n_pairs"].to_pylist()] for each in budgets]
    assert any(not each for each in read)
    assert any(all(each) and each for each in read)
    assert any(each and not any(each) for each in read)
    assert any(each[0] and not each[-1] for each in read if each)
    assert any(not each[0] and each[-1] for each in read if each)
    assert {why for each in budgets for why in each["why"].to_pylist()} >= set(WHY)
