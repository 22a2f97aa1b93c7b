"""Every figure of the card and of the report is counted again by plain Python, over tables in which no two figures agree.

Figures are found by the headings of their columns, wherever a table is.
"""

import re
from collections import Counter
from html import unescape
from pathlib import Path

import pytest

from pipelines.catalog import materialise
from pipelines.chosen import COMPARED
from pipelines.publish.card import Edition, card
from pipelines.publish.figures import HEADINGS, heading
from pipelines.publish.report import report
from pipelines.publish.sft_card import sft_card
from pipelines.publish.sft_report import sft_report
from pipelines.recipe import load
from schemas.lengths import BUCKETS
from tests.conftest import TINY
from tests.mixed import (
    ALL,
    DOMAINS,
    DRAWN,
    ENCODED,
    KEPT,
    LISTED,
    PIECES,
    REFUSED,
    REJECTED,
    SEQUENCE_TOKENS,
    SEQUENCES,
    TARGETS,
    bucket,
    shown,
    tables,
)
from tests.schemas import sft_laws
from tests.schemas.test_laws import opened

EDITION = Edition("abc", Path("versions/abc"), ())


def of_markdown(text):
    """(the text before a table, back to the one before; its rows, each a dict of headings and cells)."""
    tables, before, lines = [], [], text.splitlines()
    while lines:
        if not lines[0].startswith("| "):
            before.append(lines.pop(0))
            continue
        cells = []
        while lines and lines[0].startswith("|"):
            cells.append([cell.strip() for cell in lines.pop(0).split("|")[1:-1]])
        head, _, *rows = cells
        tables.append((" ".join(before), [dict(zip(head, row, strict=True)) for row in rows]))
        before = []
    return tables


def of_html(text):
    """See of_markdown."""
    tables = []
    for before, table in re.findall(r"(.*?)<table>(.*?)</table>", text, re.DOTALL):
        lines = [
            [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in table.split("<tr")[1:]
        ]
        tables.append((before, [dict(zip(lines[0], row, strict=True)) for row in lines[1:]]))
    return tables


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root, recipe = tmp_path_factory.mktemp("figures"), load(TINY)
    with opened(tables(), root, sequence_tokens=SEQUENCE_TOKENS, long_tokens=4096) as con:
        materialise(con)
        return {"card": card(con, recipe, EDITION), "report": report(con, recipe, EDITION)}


@pytest.fixture(params=["card", "report"])
def page(request, pages):
    """Its name, its tables, its text."""
    text = pages[request.param]
    return request.param, (of_markdown if request.param == "card" else of_html)(text), text


def with_heading(page, *headings, before=""):
    """The rows of the one table with some headings, and with some words before it."""
    (rows,) = [rows for text, rows in page[1] if rows and set(headings) <= set(rows[0]) and before in text]
    return rows


@pytest.mark.parametrize(("words", "counted"), [("Tokens in the mix", True), ("Tokens that dedup kept, by", False)])
def test_tokens_by_domain_and_length(page, words, counted):
    cells = Counter()
    for each in DRAWN if counted else ENCODED:
        for row in (each["domain"], "all"):
            for column in (bucket(each["n_tokens"]), "all"):
                cells[row, column] += each["stop"] if counted else each["n_tokens"]
    rows = with_heading(page, "domain", *BUCKETS, before=words)
    assert [row["domain"] for row in rows] == [*sorted(DOMAINS), "all"]
    for row in rows:
        assert row == {
            "domain": row["domain"],
            **{name: shown(cells[row["domain"], name]) for name in (*BUCKETS, "all")},
        }
    assert len(set(cells.values())) > 12


def test_shares_of_domains(page):
    corpus, mixed = Counter(), Counter()
    for document in ENCODED:
        corpus[document["domain"]] += document["n_tokens"]
    for copy in DRAWN:
        mixed[copy["domain"]] += copy["stop"]
    assert with_heading(page, "share of the corpus", "share of the mix") == [
        {"domain": domain, "tokens": shown(corpus[domain]), "share of the corpus": f"{corpus[domain] / corpus.total():.2%}",
         "tokens in the mix": shown(mixed[domain]), "share of the mix": f"{mixed[domain] / mixed.total():.2%}"}
        for domain in sorted(DOMAINS)
    ]  # fmt: skip


def test_sources_and_what_dedup_made_of_them(page):
    rows = with_heading(page, "source", "documents", "kept", "exact copies", "near copies")
    assert [row["source"] for row in rows] == sorted(source for sources in DOMAINS.values() for source in sources)
    for row in rows:
        own = [document for document in ALL if document["source"] == row["source"]]
        verdicts = Counter(document["verdict"] for document in own)
        expected = {
            "documents": len(own),
            "kept": verdicts["kept"],
            "exact copies": verdicts["exact"],
            "near copies": verdicts["near"],
        }
        assert {name: row[name] for name in expected} == {name: shown(n) for name, n in expected.items()}
        rejected = [s for _, s in REJECTED if s == row["source"]] + [d for d in REFUSED if d["source"] == row["source"]]
        assert row.get("rejected records", shown(len(rejected))) == shown(len(rejected))
        assert row.get("bytes", shown(n := sum(d["n_bytes"] for d in own))) == shown(n)


def test_licenses(page):
    rows = {row["license"]: row for row in with_heading(page, "license", "documents")}
    none = "not stated" if page[0] == "card" else "-"
    assert set(rows) == {"CC0", "MIT", none}
    for license_, row in rows.items():
        copies = [copy for copy in DRAWN if (copy["license"] or none) == license_]
        assert row["documents"] == shown(len({copy["id"] for copy in copies}))
        assert row["tokens in the mix"] == shown(sum(copy["stop"] for copy in copies))


def test_cells_that_fall_short_and_the_sentence_on_them(page):
    rows = [row for row in with_heading(page, "shortfall", "domain", "kind", before="Shortfall") if "rate" not in row]
    assert rows == [
        {"domain": t["domain"], "kind": t["kind"], "target": shown(t["target_tokens"]), "available": shown(t["available_tokens"]),
         "shortfall": shown(t["target_tokens"] - t["drawn_tokens"])}
        for t in TARGETS
    ]  # fmt: skip
    target, drawn = (sum(t[f"{name}_tokens"] for t in TARGETS) for name in ("target", "drawn"))
    assert f"Shortfall: {target - drawn:,} of {target:,} tokens cannot be supplied" in page[2]
    for setting, name in LISTED.items():
        documents, tokens = (sum(t[f"{name}_{what}"] for t in TARGETS) for what in ("documents", "tokens"))
        assert f"Left out by {setting}: {documents:,} documents, {tokens:,} tokens." in page[2]


def test_totals(page):
    n = {
        "tokens": sum(copy["stop"] for copy in DRAWN), "sequences": len(SEQUENCES), "segments": len(PIECES),
        "documents read": len(ALL), "documents kept": len(KEPT), "records rejected": len(REJECTED) + len(REFUSED),
    }  # fmt: skip
    filled = f"{n['tokens'] / (len(SEQUENCES) * SEQUENCE_TOKENS):.2%}"
    if page[0] == "card":
        assert (
            f"{n['tokens']:,} tokens in {len(SEQUENCES)} sequences of at most 4,096 tokens ({filled} filled), in {len(PIECES)} segments"
            in page[2]
        )
    else:
        assert dict(re.findall(r"<b>([^<]*)</b>([^<]*)<", page[2])) == {
            **{shown(value): name for name, value in n.items()},
            filled: "filled",
        }


def test_rejections_by_reason(page):
    counts = Counter(reason for reason, _ in REJECTED) + Counter(["no_token"] * len(REFUSED))
    if page[0] == "card":
        (line,) = re.findall(r"Rejected: .*", page[2])
        assert dict(re.findall(r"(\d+) (\w+)[,)]", line)) == {str(n): reason for reason, n in counts.items()}
        return
    rows = with_heading(page, "stage", "reason", "source")
    assert {(row["reason"], row["source"]): row["records"] for row in rows} == {
        key: str(n) for key, n in (Counter(REJECTED) + Counter(("no_token", d["source"]) for d in REFUSED)).items()
    }


def test_figures_that_the_report_alone_shows(pages):
    page = "report", of_html(pages["report"]), pages["report"]
    for row, t in zip(with_heading(page, "rate", "over max. share"), TARGETS, strict=True):
        assert row == {
            "domain": t["domain"], "kind": t["kind"], "rate": f"{t['rate']:.3f}", "target": shown(t["target_tokens"]),
            "available": shown(t["available_tokens"]), "tokens in the mix": shown(t["drawn_tokens"]),
            "shortfall": shown(t["target_tokens"] - t["drawn_tokens"]), "over max. share": shown(t["over_share_tokens"]),
            "dropped": shown(t["dropped_tokens"]), "not selected": shown(t["not_selected_tokens"]),
        }  # fmt: skip
    for row in with_heading(page, "repeats", "lists", "stitched"):
        own = [document for document in KEPT if document["domain"] == row["domain"]]
        reasons = Counter(document["refused"] for document in own)
        tokens = sum(document["n_tokens"] for document in own if document["refused"])
        assert row == {
            "domain": row["domain"], "documents": shown(len(own)), "repeats": shown(reasons["repeats"]),
            "lists": shown(reasons["list"]), "stitched": shown(reasons["stitched"]), "tokens refused": shown(tokens),
            "shuffled": shown(sum(bool(d["shuffled"]) for d in own if d["n_tokens"])),
        }  # fmt: skip
    for row in with_heading(page, "bytes per token", "sampled", "lossy"):
        own = [document for document in ENCODED if document["source"] == row["source"]]
        n_bytes, tokens = sum(d["n_bytes"] for d in own), sum(d["n_tokens"] for d in own)
        assert row == {
            "source": row["source"], "documents": shown(len(own)), "bytes": shown(n_bytes), "tokens": shown(tokens),
            "bytes per token": f"{n_bytes / tokens:.3f}", "refused": shown(sum(d["source"] == row["source"] for d in REFUSED)),
            "sampled": shown(sum(d["decodes"] is not None for d in own)), "lossy": shown(sum(d["decodes"] is False for d in own)),
            "shards that fell back": "0",
        }  # fmt: skip
    for row in with_heading(page, "share of its domain", "file"):
        own = [document for document in ENCODED if document["domain"] == row["domain"]]
        most = max(own, key=lambda document: document["n_tokens"])
        share = most["n_tokens"] / sum(document["n_tokens"] for document in own)
        assert [row[name] for name in ("share of its domain", "tokens", "source", "document")] == [
            f"{share:.2%}", shown(most["n_tokens"]), most["source"], most["id"],
        ]  # fmt: skip


def test_bars_have_the_corpus_above_and_the_mix_below(pages):
    tips = dict(re.findall(r"<title>([^<:]*): ([\d,]+) tokens</title>", pages["report"]))
    assert len(tips) == 2 * len(DOMAINS) * len(BUCKETS)
    for label, documents, column in (("corpus", ENCODED, "n_tokens"), ("mix", DRAWN, "stop")):
        for domain in DOMAINS:
            for name in BUCKETS:
                own = [d[column] for d in documents if d["domain"] == domain and bucket(d["n_tokens"]) == name]
                assert tips[f"{domain}, {label}, {name}"] == shown(sum(own))


def test_what_the_plan_leaves_out_by_domain_and_reason(pages):
    page = "report", of_html(pages["report"]), pages["report"]
    of_domain = Counter()
    for document in ENCODED:
        of_domain[document["domain"]] += document["n_tokens"]
    expected = {}
    for domain in DOMAINS:
        lists = [d["n_tokens"] for d in ENCODED if d["domain"] == domain and d["refused"] == "list"]
        own = [t for t in TARGETS if t["domain"] == domain]
        expected[domain, "list"] = len(lists), sum(lists)
        for reason, name in (("outranked", "not_selected"), ("over_share", "over_share")):
            expected[domain, reason] = tuple(sum(t[f"{name}_{what}"] for t in own) for what in ("documents", "tokens"))
    rows = with_heading(page, "reason", "share of its domain", "tokens")
    assert {
        (row["domain"], row["reason"]): (row["documents"], row["tokens"], row["share of its domain"]) for row in rows
    } == {
        (domain, reason): (shown(n), shown(tokens), f"{tokens / of_domain[domain]:.2%}")
        for (domain, reason), (n, tokens) in expected.items()
        if n
    }


# -- a set of instruction samples


@pytest.fixture(scope="module")
def sft_pages(sft_con, sft_recipe):
    return {"card": sft_card(sft_con, sft_recipe, EDITION), "report": sft_report(sft_con, sft_recipe, EDITION)}, sft_con


def test_figures_of_a_set_of_samples(sft_pages):
    """Of the sound set: 8 samples, of which 7 are kept, a and c chosen by rank, s a short instruction."""
    pages, con = sft_pages
    rows = {name: [r for shard in shards for r in shard] for name, shards in sft_laws.sound().items()}
    kept = [d for d, u in zip(rows["DOCUMENTS"], rows["DUPLICATES"], strict=True) if u["verdict"] == "kept"]
    scored = [r for r in rows["SCORES_HMG"] if r["status"] == "scored"]
    why = Counter(r["why"] for r in rows["RANKS"])
    chosen = [s for s, r in zip(rows["SAMPLES"], rows["RANKS"], strict=True) if r["why"]]
    trained = sum(span["stop"] - span["start"] for s in chosen for span in s["responses"])
    n = {
        "tokens": sum(r["n_tokens"] for r in rows["SFT_SEQUENCES"]), "sequences": len(rows["SFT_SEQUENCES"]),
        "tokens with a loss": trained, "samples read": len(rows["DOCUMENTS"]), "samples scored": len(scored),
        "chosen by rank": why["top"], "short instructions": why["short"],
        "records rejected": sum(s["status"] == "refused" for s in rows["SAMPLES"]),
    }  # fmt: skip
    filled = f"{n['tokens'] / (8 * n['sequences']):.2%}"
    boxes = [(name, value) for value, name in re.findall(r"<b>([^<]*)</b>([^<]*)<", pages["report"])]
    assert sorted(boxes) == sorted({**{name: shown(value) for name, value in n.items()}, "filled": filled}.items())
    assert (
        f"{why['top']} instruction samples chosen by rank and {why['short']} short instruction, of {len(kept)} that"
        in pages["card"]
    )
    assert f"{trained} of {sum(s['n_tokens'] for s in chosen)} tokens are trained on" in pages["card"]
    for text, parse in ((pages["card"], of_markdown), (pages["report"], of_html)):
        page = "", parse(text), text
        for row in with_heading(page, "samples", "scored", "chosen"):
            own = {d["document_id"] for d in kept if d["domain"] == row["domain"]}
            assert row == {
                "domain": row["domain"], "samples": shown(len(own)), "scored": shown(sum(r["document_id"] in own for r in scored)),
                "chosen": shown(sum(s["document_id"] in own for s in chosen)),
                "tokens chosen": shown(sum(s["n_tokens"] for s in chosen if s["document_id"] in own)),
            }  # fmt: skip
        quotas = with_heading(page, "candidates", "target", "chosen", "similar")
        assert [[row[name] for name in ("candidates", "target", "chosen", "similar")] for row in quotas] == [
            [shown(q[name]) for name in ("candidates", "target", "chosen", "similar")] for q in rows["QUOTAS"]
        ]
    assert con.execute(COMPARED).fetchall()[0][:2] == ("chosen", why["top"])


def test_no_two_figures_of_the_mix_agree_that_could_be_swapped():
    """Guards the tests above: what stands beside each other differs."""
    counted = (ALL, KEPT, ENCODED, REFUSED, DRAWN, PIECES, SEQUENCES, [*REJECTED, *REFUSED])
    assert len(set(map(len, counted))) == len(counted)
    assert sum(d["n_tokens"] for d in ENCODED) != sum(copy["stop"] for copy in DRAWN)
    assert {copy["domain"] for copy in DRAWN} == set(DOMAINS)
    assert {d["verdict"] for d in ALL} == {"kept", "exact", "near"}
    assert {d["decodes"] for d in ENCODED} == {None, True, False}


def test_no_two_columns_have_one_heading():
    assert (heading("low"), heading("median"), heading("high")) == ("10 %", "median", "90 %")
    headings = [heading(column) for column in (*HEADINGS, "tokens", "documents", "domain", "kind", "rate")]
    shared = {name for name, n in Counter(headings).items() if n > 1}
    assert shared == {"tokens"}  # n_tokens of one document, and tokens of many
