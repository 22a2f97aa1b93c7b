"""The sentences on what the corpus cannot supply and what the plan leaves out."""

from pipelines.supply import sentences, short_cells


def row(domain, target, available, over=0, not_selected=0, kind="long"):
    return {
        "domain": domain, "kind": kind, "target_tokens": target, "available_tokens": available,
        "drawn_tokens": min(target, available), "rate": None, "over_share_tokens": over, "not_selected_tokens": not_selected,
    }  # fmt: skip


def test_a_shortfall_is_counted_over_all_cells():
    rows = [row("a", 4, 3), row("a", 1, 9, kind="short"), row("b", 4, 2)]
    assert sentences(rows) == ["Shortfall: 3 of 9 tokens cannot be supplied and are not substituted."]
    assert short_cells(rows) == [
        {"domain": "a", "kind": "long", "target_tokens": 4, "available_tokens": 3, "shortfall_tokens": 1},
        {"domain": "b", "kind": "long", "target_tokens": 4, "available_tokens": 2, "shortfall_tokens": 2},
    ]


def test_a_budget_that_is_met():
    rows = [row("a", 1_000, 1_000), row("b", 0, 0)]
    assert sentences(rows) == ["The budget can be met: the corpus supplies all 1,000 tokens."]
    assert short_cells(rows) == []


def test_documents_that_the_plan_leaves_out_are_counted_by_setting():
    met, *lines = sentences([row("a", 1, 1, over=1_000, not_selected=3), row("b", 1, 1, over=1, not_selected=40_000)])
    assert met.startswith("The budget can be met")
    assert lines == [
        "Left out by plan.max_document_share: 1,001 tokens.",
        "Left out by plan.select: 40,003 tokens.",
    ]


def test_a_version_without_the_table_says_nothing():
    assert sentences([]) == []
