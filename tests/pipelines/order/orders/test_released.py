import numpy as np
import pytest

from pipelines.order.graph import graph_of
from pipelines.order.orders import ORDERS
from pipelines.order.orders.released import merged, ranked, walked, written
from tests.pipelines.order import slow
from tests.pipelines.order.reference import EDGE_CASES, MANIFEST, SETS, arrays, documents, random_lists, texts


def groups_of(groups) -> list[list[int]]:
    return (
        [group.tolist() for group in np.split(groups.order, np.cumsum(groups.sizes)[:-1])] if len(groups.order) else []
    )


@pytest.mark.parametrize("name", SETS)
def test_the_walk_and_the_merge_are_the_reference(name):
    reference = arrays(name)
    before, after = walked(reference["knn_ids"][:, 1:10]), merged(reference["knn_ids"][:, 1:10])
    np.testing.assert_array_equal(before.order, reference["released_premerge_order"])
    np.testing.assert_array_equal(before.sizes, reference["released_premerge_sizes"])
    np.testing.assert_array_equal(after.order, reference["released_merged_order"])
    np.testing.assert_array_equal(after.sizes, reference["released_merged_sizes"])
    np.testing.assert_array_equal(after.numbers, reference["released_merged_cluster_ids"])
    assert (len(before.sizes), len(after.sizes)) == (MANIFEST[name]["clusters_pre"], MANIFEST[name]["clusters_merged"])


@pytest.mark.parametrize("name", SETS)
def test_the_written_files_are_the_reference(name):
    reference = arrays(name)
    files, dropped = written(reference["released_merged_order"], texts(name))
    np.testing.assert_array_equal(np.concatenate(files), reference["released_written_order"])
    np.testing.assert_array_equal([len(file) for file in files], reference["released_written_file_sizes"])
    np.testing.assert_array_equal(dropped, reference["released_dropped"])


@pytest.mark.parametrize("name", SETS)
def test_the_order_of_a_graph_is_the_reference(name):
    reference = arrays(name)
    graph = graph_of(reference["knn_ids"], reference["knn_sims"])
    order, _ = ORDERS["released"](graph, documents(graph.n))
    np.testing.assert_array_equal(order, reference["released_merged_order"])


@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases(name):
    case = EDGE_CASES[name]
    ranks = np.array(case["ids"])[:, 1:10]
    before, after = walked(ranks), merged(ranks)
    if "error" in case["released_p3"]:  # -1, which the released code cannot read
        assert name == "minus_one"
        assert (groups_of(before), groups_of(after)) == ([[0, 1], [2]], [[0, 1], [2]])
        return
    assert groups_of(before) == case["released_p3"]["pre"]
    assert [[number, group] for number, group in zip(after.numbers, groups_of(after), strict=True)] == [
        [number, group] for number, group in case["released_p3"]["merged"]
    ]


def test_random_lists_give_what_plain_python_gives():
    for seed in range(200):
        ids, similarities = random_lists(seed)
        lists = ranked(graph_of(ids, similarities))
        before, after = slow.merged([[j for j in row if j >= 0] for row in lists.tolist()])
        assert groups_of(walked(lists)) == before, f"{seed=}"
        result = merged(lists)
        assert groups_of(result) == [group for group in after if group], f"{seed=}"
        assert result.numbers.tolist() == [number for number, group in enumerate(after) if group], f"{seed=}"


def test_the_first_group_has_22_documents_and_the_others_21():
    lists = np.arange(1, 101)[:, None] % 100
    assert walked(lists).sizes.tolist() == [22, 21, 21, 21, 15]


def test_at_most_nine_neighbours_are_read():
    ids = np.array([list(range(1, 11)), *[[-1] * 10] * 10])
    assert ranked(graph_of(ids, np.full(ids.shape, 0.5)))[0].tolist() == list(range(1, 10))


def test_the_filter_compares_with_the_last_document_written_in_the_same_file():
    words = [f"{i:03d} {'abcdefghij'[i % 10] * 20} {i * 7919}" for i in range(64)]
    words[1] = words[0] + "x"  # resembles its predecessor
    words[2] = words[0]  # resembles the last one written, not the one before it
    words[5], words[6] = "", "ab"  # neither has a 3-gram
    words[8] = words[7]  # across files if a file has 8 documents
    files, dropped = written(np.arange(64), words)
    assert (len(files), dropped.tolist()) == (32, [1])
    assert written(np.arange(64)[::-1], words)[1].tolist() == [0]
    more = [*words, *[f"{i} {i * 104729:x} {'klmnopqrst'[i % 10] * 9}" for i in range(64, 256)]]
    files, dropped = written(np.arange(256), more)
    assert (len(files), dropped.tolist()) == (32, [1, 2, 6])


def test_a_text_is_compared_by_its_first_100_characters():
    more = [f"{i} {i * 104729:x} {'klmnopqrst'[i % 10] * 9}" for i in range(64)]
    head = "".join(f"{i * 4999 % 65536:04x}" for i in range(25))
    more[10], more[11] = head + "0" * 500, head + "1" * 900
    assert written(np.arange(64), more)[1].tolist() == [11]
    more[10], more[11] = head[:-1] + "0" * 500, head[1:] + "1" * 900  # most of the 3-grams are shared
    assert written(np.arange(64), more)[1].tolist() == [11]
    more[11] = head[20:] + "1" * 900
    assert written(np.arange(64), more)[1].tolist() == []


def test_fewer_than_32_documents_cannot_be_written():
    with pytest.raises(ValueError, match="31 documents cannot be written"):
        written(np.arange(31), ["a"] * 31)
