"""The sentences on what the corpus cannot supply and what the plan leaves out."""

from pipelines.supply import SETTINGS, selection, sentences, short_cells


def row(domain, target, available, kind="long", **left_out):
    return {
        "domain": domain, "kind": kind, "target_tokens": target, "available_tokens": available,
        "drawn_tokens": min(target, available), "rate": None,
        **{f"{name}_{what}": 0 for name in SETTINGS.values() for what in ("documents", "tokens")}, **left_out,
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
    a = {"over_share_documents": 3, "over_share_tokens": 1_000, "not_selected_documents": 1, "not_selected_tokens": 3}
    b = {"over_share_documents": 1, "over_share_tokens": 1, "dropped_documents": 1, "dropped_tokens": 1}
    met, *lines = sentences([row("a", 1, 1, **a), row("b", 1, 1, not_selected_tokens=40_000, **b)])
    assert met.startswith("The budget can be met")
    assert lines == [
        "Left out by plan.max_document_share: 4 documents, 1,001 tokens.",
        "Left out by plan.select.drop: 1 document, 1 token.",
        "Left out by plan.select.top_share: 1 document, 40,003 tokens.",
    ]


def left_out(domain, reason, documents, tokens, domain_share):
    return {
        "domain": domain, "reason": reason, "documents": documents, "tokens": tokens, "domain_share": domain_share,
    }  # fmt: skip


def test_what_a_selection_costs_is_counted_by_reason_and_by_domain():
    rows = [
        left_out("a", "list", 1, 10, 0.125), left_out("a", "outranked", 20, 3_000, 0.25), left_out("b", "list", 2, 5, 0.5),
    ]  # fmt: skip
    by_reason, by_domain, wrong, outranked = selection(rows)
    assert by_reason == "Left out by reason: outranked 20 documents (3,000 tokens), list 3 documents (15 tokens)."
    assert by_domain == "Share of a domain's tokens that is left out: b 50.0%, a 37.5%."
    assert wrong == "Of intact documents the cheap tier refuses about 3% as list."
    assert outranked == "Outranked documents pass the cheap tier, and others of their domain score higher."
    assert len(selection(rows[:1])) == 3
    assert len(selection(rows[1:2])) == 3
    assert selection([left_out("a", "repeats", 1, 1, 0.1), left_out("a", "list", 1, 1, 0.1)])[2].endswith(
        "refuses about 1% as repeats, 3% as list."
    )


def test_a_plan_that_leaves_nothing_out_says_nothing():
    assert selection([]) == []


def test_a_version_without_the_table_says_nothing():
    assert sentences([]) == []
