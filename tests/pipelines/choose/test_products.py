"""Tables of a choice."""

import numpy as np

from pipelines.choose.choice import Choice
from pipelines.choose.params import ChooseParams
from pipelines.choose.products import chosen_of, draws_of, ranks_of
from tests.pipelines.choose.test_candidates import samples


def test_the_tables_of_a_choice(tmp_path):
    made = samples(tmp_path)
    a, b, c = made.candidates[:3].tolist()
    short = int(np.flatnonzero(made.is_short & (made.reason == ""))[0])
    choice = Choice(made.candidates, [b], {c: b}, [short], [])
    ranks = ranks_of(made, choice, ChooseParams())
    rows = ranks.to_pylist()
    assert (rows[a]["reason"], rows[b]["why"], rows[c]["reason"], rows[short]["why"]) == (
        "outranked",
        "top",
        "similar",
        "short",
    )
    assert [rows[k]["place"] for k in (a, b, c, short)] == [1, 2, 3, None]
    assert rows[c]["similar_id"] == rows[b]["document_id"]
    chosen = chosen_of(made, choice, ranks).to_pylist()
    assert [(row["why"], row["rank"]) for row in chosen] == [("top", 1), ("short", None)]
    assert chosen[0]["score"] == rows[b]["score"] is not None
    (draws,) = draws_of(made, choice)
    assert sorted(draws["why"].to_pylist()) == ["short", "top"]
    assert draws["content_hash"].to_pylist() == sorted(draws["content_hash"].to_pylist())
    at_random = ranks_of(made, choice, ChooseParams(by="random"))
    assert at_random["score"].null_count == len(at_random) > at_random["hmg"].null_count
