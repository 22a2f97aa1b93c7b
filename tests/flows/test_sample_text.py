"""The summary of a set of samples is read from its catalog and fits into 80 columns."""

from pathlib import Path

from flows.sample_text import not_chosen
from flows.summary import summary
from flows.tables import WIDTH
from pipelines.catalog import write_catalog
from pipelines.versions import Version
from tests.schemas import sft_laws
from tests.schemas.test_laws import reading


def test_the_summary_fits_into_80_columns_and_counts_what_was_passed_over(tmp_path):
    con = reading(sft_laws.sound())
    write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m", "recipe": {"samples": {}}})
    text = summary(Version(tmp_path, "m", "abc", is_new=True), Path("root"), 3)
    lines = text.splitlines()
    assert "m abc: made in 3 s" in lines
    assert "  8 samples read, 7 kept, 5 scored" in lines
    assert "  2 chosen by rank, 1 short instruction" in lines
    assert "Passed over: 1 sample, each similar to a higher chosen one (choose.max_similarity)." in text.replace(
        "\n", " "
    )
    assert [line.split() for line in lines if line.startswith("  similar ")] == [["similar", "1", "8"]]
    assert 'query root "FROM choices"' in text
    shown = lines[3 : lines.index("Next, for example:")]
    assert [line for line in shown if len(line) > WIDTH] == []


def test_reasons_are_summed_over_domains_and_the_most_frequent_is_first():
    rows = [
        {"domain": d, "reason": r, "samples": n, "tokens": 1_000 * n}
        for d, r, n in (("a", "x", 1), ("a", "y", 3), ("b", "x", 4))
    ]
    assert [line.split() for line in not_chosen(rows)[2:]] == [["x", "5", "5.00k"], ["y", "3", "3.00k"]]
    assert not_chosen([]) == []
