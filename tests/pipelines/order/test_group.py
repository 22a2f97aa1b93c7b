import numpy as np
import pyarrow as pa

from pipelines.order.graph import Graph
from pipelines.order.group import HEAD_CHARS, heads, induced, members_of
from pipelines.order.members import Members
from tests.pipelines.corpora import built, engine_in
from tests.pipelines.order.mixes import tables_of


def test_the_induced_graph_has_the_edges_between_what_stays():
    graph = Graph(
        np.array([0, 2, 3, 3, 5]), np.array([1, 3, 0, 0, 1], np.int32), np.array([9, 5, 9, 5, 4], np.int32)
    )  # fmt: skip
    found = induced(graph, np.array([0, 1, 3]))
    assert found.offsets.tolist() == [0, 2, 3, 5]
    assert found.neighbours.tolist() == [1, 2, 0, 0, 1]
    assert found.similarities.tolist() == [9, 5, 9, 5, 4]


def test_heads_are_the_beginnings_of_the_texts(tmp_path):
    """Of rows in any order, in several row groups."""
    store = engine_in(tmp_path).store
    mix = built(0, tmp_path)
    table = store.read(mix.corpus.documents[0])
    texts = [f"{i} " + "ä" * (400_000 if i % 2 else 3) for i in range(len(table))]
    long = table.set_column(
        table.schema.get_field_index("text"), table.schema.field("text"), pa.array(texts, pa.large_string())
    )
    shards = [store.write("DOCUMENTS", long), *mix.corpus.documents[1:]]
    with store.open(shards[0]) as file:
        assert file.num_row_groups > 1
    other = next(k for k, each in enumerate(shards) if k and each.n_rows)
    rows, shard = np.array([25, 0, 0, 1]), np.array([0, 0, other, 0])
    found = heads(pa.table({"shard": shard, "row": rows}), shards, store)
    expected = [texts[25], texts[0], mix.rows([shards[other]])[0]["text"], texts[1]]
    assert found == [text[:HEAD_CHARS] for text in expected]


def test_the_members_of_a_group_are_its_first_copies(tmp_path):
    mix = built(3, tmp_path, budget_tokens=2 * 10**4)
    members = Members.of(tables_of(mix, []), ("s",), [], mix.store)
    chosen = members_of(mix.draws[0], members, mix.store)
    first = {d["document_id"] for d in mix.rows([mix.draws[0]]) if d["epoch"] == 0}
    assert [members.document_id[i].as_py() for i in chosen.tolist()] == sorted(
        first, key=members.document_id.to_pylist().index
    )
    assert len(first) < len(mix.rows([mix.draws[0]]))
