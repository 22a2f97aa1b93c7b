"""report.html of a published version: one file without scripts or links, to be opened, mailed or archived."""

from collections.abc import Mapping, Sequence
from html import escape

import duckdb
import numpy as np

from pipelines import findings
from pipelines.catalog import by_length, rows_of
from pipelines.publish.card import Edition
from pipelines.publish.figures import SHARES, TARGETS, Answer, answer, lengths, of_rows
from pipelines.recipe import Recipe
from pipelines.supply import selection, sentences, short_cells
from schemas.lengths import BUCKETS

COLOURS = ("#dbe7f3", "#c2d7ec", "#a4c4e3", "#83aed8", "#6196ca", "#417fba", "#2b67a5", "#1b4f88", "#0f3868")
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1.5rem;color:#1c2530}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.2rem;margin:2.4rem 0 .3rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}
p{margin:.3rem 0;max-width:50rem}p.note{color:#5a6675}p.short{color:#9b2c1f;font-weight:600}
.wide{overflow-x:auto;margin-top:.5rem}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th{vertical-align:bottom;color:#5a6675;font-weight:600;max-width:8rem}
th,td{padding:.22rem .55rem;text-align:left;border-bottom:1px solid #e4e9ee}td{white-space:nowrap}
th.figure,td.figure{text-align:right}
tr.sum td{font-weight:600;border-bottom:0}.dense table{font-size:.8rem}.dense th,.dense td{padding:.2rem .35rem}
th:first-child,td:first-child,.dense th:first-child,.dense td:first-child{padding-left:0}
.cards{display:flex;gap:.8rem;flex-wrap:wrap;margin:1rem 0}
.card{border:1px solid #dde3ea;border-radius:.5rem;padding:.5rem .9rem;color:#5a6675;font-size:.88rem}
.card b{display:block;font-size:1.3rem;color:#1c2530}
svg{margin-top:.6rem}svg text{font:12px system-ui,sans-serif;fill:#1c2530}
.keys{display:flex;flex-wrap:wrap;gap:.2rem 1rem;color:#5a6675;font-size:.88rem;margin-top:.5rem}
.key{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem}
"""
CHUNK_GAIN = (
    "The score chunk_gain: by how many nats per token a chunk of a document becomes easier to predict right after "
    "another chunk that lies far before it. 10 % and 90 % are percentiles over documents; error is the standard error of "
    "a score; near is the median of the same gain over pairs of chunks that lie close together."
)
NOT_SCORED = (
    "short: fewer tokens than score.min_tokens. too_short: too few chunks for a far pair. budget: score.budget_tokens "
    "was spent. repeats, list, stitched: refused by the cheap tier."
)
OTHER_SCORES = "The spread of each further score over the documents that have it. 10 % and 90 % are percentiles."
REFUSED = (
    "The cheap tier refuses repeats, lists and stitched texts before the model reads them. A text counts as stitched "
    "when its rare words recur less than in nine of ten intact documents of its domain, so about one intact document in "
    "ten is refused too. shuffled: the order of the blocks may be chance; this is reported only."
)
PLAN = (
    "target: tokens that each domain and kind is to give. available: plan.max_epochs times the documents that may be drawn. "
    "rate: epochs that meet the target, before plan.max_epochs limits them. over max. share, dropped, not selected: tokens "
    "of documents that plan.max_document_share, plan.select.drop and plan.select.top_share leave out."
)
LEFT_OUT = (
    "Kept documents that the plan does not draw. repeats, list and stitched: the cheap tier refuses them, and "
    "plan.select.drop names the reason. outranked: below plan.select.top_share of their domain. over_share: above "
    "plan.max_document_share. A domain's own share of the mix counts the tokens of outranked documents, and no others of these."
)
LENGTHS = (
    "Upper bar: the documents that dedup kept. Lower bar: the mix. A full bar is all tokens of the domain; lengths are in "
    "K = 1,024 tokens."
)
REJECTED = (
    "Records that ingest could not use, and documents that encode refused, by reason. The table rejected of "
    "catalog.duckdb says what to do about each."
)
ENCODING = (
    "The documents that were encoded; EOS and BOS count as tokens. sampled: documents that were decoded again. lossy: "
    "those of them that do not decode to their text. shards that fell back: encoded by tokenizers, because fastokens "
    "gave other ids."
)
PACKING = (
    "padding: part of the sequences without a token. forced cuts: copies longer than a sequence. avoidable cuts: others in "
    "more than one sequence; documents that negative_extension divides count in neither. attention: part of all pairs of a "
    "token and an earlier one that are in one segment. path pairs: consecutive documents of a path; adjacent pairs: those "
    "whose segments are adjacent in a sequence."
)
PATH = (
    "The path through the documents of each group. mean similarity: cosine of consecutive documents; most similarity: a mean "
    "that no path through compared documents can exceed. A near copy has a cosine of at least order.near_similarity with an earlier document and is not "
    "on the path; no sequence has two documents of a near set."
)
EXTENSION = (
    "Each chunk of a document of the path is followed by the most similar chunks of others. parted: documents in more than one "
    "segment, by intent. extended: chunks behind one that lists them as a neighbour, and mean similarity their mean cosine with "
    "it; most similarity: the mean cosine of a chunk with its nearest, wherever that is. near copies: chunks that are like an "
    "earlier one, and no neighbour of any."
)
TOGETHER = (
    "Of the ten nearest of each document, those in the same sequence; most: as many as the sequences have room for."
)
WINDOWS = (
    "Mean cosine of two documents of the same sequence, of one sequence and the next, and of any two sequences, in up to 64 "
    "sequences. most: mean cosine with the ten nearest."
)
PARTITIONS = (
    "Documents of each partition and their mean cosine with its centre, when the partition was made and now. A refresh keeps "
    "partitions, so a falling cosine is their drift. The ten with the largest fall; the table partitions of catalog.duckdb "
    "has all."
)
GROUPS = "A group is a file. distance: half the sum of the differences between its domain shares and those of the mix."
LICENSES = "As the sources state them; - where a source states none."
CONTAINERS = (
    "Kept documents that contain at least nine tenths of other kept documents. They are reported, not dropped. The ten "
    "with the most documents inside; the table contained of catalog.duckdb has all pairs."
)


def table(shown: Answer, has_sum: bool = False) -> str:
    """An HTML table; the word none where it has no row. has_sum: the last row is the sum of the others."""
    if not shown.rows:
        return '<p class="note">none</p>'
    classes = [' class="figure"' if is_figure else "" for is_figure in shown.is_figure]
    head = "".join(f"<th{c}>{escape(text)}</th>" for c, text in zip(classes, shown.headings, strict=True))
    rows = ["".join(f"<td{c}>{escape(text)}</td>" for c, text in zip(classes, row, strict=True)) for row in shown.rows]
    starts = ["<tr>"] * (len(rows) - has_sum) + ['<tr class="sum">'] * has_sum
    body = "".join(f"{start}{row}</tr>" for start, row in zip(starts, rows, strict=True))
    width = "wide dense" if has_sum else "wide"
    return f'<div class="{width}"><table><tr>{head}</tr>{body}</table></div>'


def section(title: str, note: str, *parts: str) -> str:
    return f"<h2>{escape(title)}</h2>" + (f'<p class="note">{escape(note)}</p>' if note else "") + "".join(parts)


def bars(con: duckdb.DuckDBPyConnection) -> str:
    """Two bars a domain, corpus above and mix below: the share of its tokens in each length bucket."""
    domains, before = by_length(con, "tokens")
    _, after = by_length(con, "drawn_tokens")
    parts, height = [], 0
    for d, domain in enumerate(domains):
        parts.append(f'<text x="0" y="{height + 22}">{escape(domain)}</text>')
        for tokens, label in ((before[d], "corpus"), (after[d], "mix")):
            parts.append(f'<text x="150" y="{height + 13}" opacity=".6">{label}</text>')
            parts += bar(tokens, f"{domain}, {label}", height)
            parts.append(f'<text x="1000" y="{height + 13}" text-anchor="end">{int(tokens.sum()):,}</text>')
            height += 17
        height += 10
    label = 'role="img" aria-label="tokens by domain and length"'
    return f'<svg viewBox="0 0 1000 {height}" width="100%" {label}>{"".join(parts)}</svg>'


def bar(tokens: np.ndarray, title: str, y: int) -> list[str]:
    """[9] tokens by length bucket, as rectangles that together are 690 wide."""
    x, rectangles = 200.0, []
    for colour, bucket, n in zip(COLOURS, BUCKETS, tokens.tolist(), strict=True):
        width = 690 * n / max(1, int(tokens.sum()))
        tip = f"<title>{escape(f'{title}, {bucket}: {n:,} tokens')}</title>"
        rectangles.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="14" fill="{colour}">{tip}</rect>')
        x += width
    return rectangles


def scores(con: duckdb.DuckDBPyConnection, totals: dict) -> str:
    """Scores, and why documents have none; empty where the recipe scores nothing."""
    parts = []
    if totals["scored"] is not None:
        by_bucket = answer(con, "SELECT * FROM scores_by_length WHERE scored > 0")
        parts.append(section("Long dependencies", CHUNK_GAIN, table(by_bucket)))
        parts.append(
            section("Documents without a chunk_gain score", NOT_SCORED, table(answer(con, "FROM not_scored_reasons")))
        )
    others = answer(con, "FROM other_scores")
    if others.rows:
        parts.append(section("Other scores", OTHER_SCORES, table(others)))
    if totals["screened"] is not None:
        parts.append(section("Documents that the cheap tier refuses", REFUSED, table(answer(con, "FROM refused"))))
    return "".join(parts)


def left_out(con: duckdb.DuckDBPyConnection) -> str:
    """What the plan leaves out, by domain and reason, and what that costs."""
    lines = (f"<p>{escape(line)}</p>" for line in selection(rows_of(con, "FROM left_out")))
    return "".join(lines) + table(answer(con, "FROM left_out"))


def packing(con: duckdb.DuckDBPyConnection) -> str:
    """How the sequences are filled, and the path that they follow."""
    parts = [section("Packing", PACKING, table(answer(con, "FROM packing")))]
    path = answer(con, "FROM path_quality")
    if path.rows:
        parts.append(section("Path through related documents", PATH, table(path)))
    further = [
        ("Chunks and their neighbours", EXTENSION, "FROM extension"),
        ("Nearest documents in the same sequence", TOGETHER, "FROM nearest_together"),
        ("Similarity inside sequences", WINDOWS, "FROM window_similarity"),
        ("Partitions", PARTITIONS, "FROM partitions ORDER BY similarity_then - similarity DESC, partition LIMIT 10"),
    ]
    for title, note, query in further:
        shown = answer(con, query)
        if shown.rows:
            parts.append(section(title, note, table(shown)))
    groups = answer(con, "FROM draw_groups")
    return "".join([*parts, *([section("Groups", GROUPS, table(groups))] if len(groups.rows) > 1 else [])])


def cards(totals: dict) -> str:
    figures = {name: f"{totals[name]:,}" for name in ("tokens", "sequences", "segments")}
    figures["filled"] = f"{totals['fill_share'] or 0:.2%}"
    figures |= {"documents read": f"{totals['documents']:,}", "documents kept": f"{totals['kept']:,}"}
    figures["records rejected"] = f"{totals['rejected']:,}"
    return cards_of(figures)


def cards_of(figures: Mapping[str, str]) -> str:
    """A row of boxes, each with a figure and its name."""
    boxes = "".join(f'<div class="card"><b>{value}</b>{name}</div>' for name, value in figures.items())
    return f'<div class="cards">{boxes}</div>'


def encoding(con: duckdb.DuckDBPyConnection) -> str:
    """The sentences of pipelines.findings on the encoding."""
    return "".join(f"<p class=short>{escape(line)}</p>" for line in findings.encoding(rows_of(con, "FROM encoding")))


def path(con: duckdb.DuckDBPyConnection) -> str:
    """The sentences of pipelines.findings on the path of an order."""
    sentences = findings.path(rows_of(con, "FROM path_quality"), rows_of(con, "FROM packing"))
    return "".join(f"<p>{escape(line)}</p>" for line in sentences)


def notes(edition: Edition) -> str:
    """The notes on the input, a sentence each."""
    return "".join(f"<p class=short>{escape(line)}</p>" for line in edition.notes)


def supply(con: duckdb.DuckDBPyConnection) -> str:
    """The sentences of pipelines.supply, and the cells that fall short."""
    targets = rows_of(con, "FROM targets")
    short = short_cells(targets)
    classes = [" class=short" if short and not i else "" for i in range(len(targets))]  # the first is on the budget
    lines = [f"<p{c}>{escape(line)}</p>" for line, c in zip(sentences(targets), classes, strict=False)]
    return "".join([*lines, *([table(of_rows(short))] if short else [])])


def keys() -> str:
    """The colours of the length buckets."""
    each = "".join(
        f'<span><span class="key" style="background:{c}"></span>{b}</span>'
        for c, b in zip(COLOURS, BUCKETS, strict=True)
    )
    return f'<div class="keys">{each}</div>'


def page(mix: str, version: str, sequence_tokens: int, parts: Sequence[str]) -> str:
    """The document of a report: its head, and its parts in order."""
    title = f"{escape(mix)}, version {version}"
    note = f"Version {version}. Sequences of at most {sequence_tokens:,} tokens."
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>
<h1>{escape(mix)}</h1><p class="note">{note}</p>
{"".join(parts)}
</html>
"""


def report(con: duckdb.DuckDBPyConnection, recipe: Recipe, edition: Edition) -> str:
    """The report's HTML, from the views alone."""
    (totals,) = rows_of(con, "FROM totals")
    mix, kept = (table(lengths(con, column), has_sum=True) for column in ("drawn_tokens", "tokens"))

    def of(query: str) -> str:
        return table(answer(con, query))

    sections = [
        section("Domains and lengths", LENGTHS, keys(), bars(con)),
        section("Tokens in the mix, by domain and length of the document", "", mix),
        section("Tokens that dedup kept, by domain and length", "", kept),
        section("Shares", "Tokens that dedup kept, and tokens in the mix.", of(SHARES)),
        section("Targets of the plan", PLAN, of(TARGETS)),
        section("Documents that the plan leaves out", LEFT_OUT, left_out(con)),
        scores(con, totals),
        packing(con),
        *collected(con),
        section("The largest document of each domain", "plan.max_document_share limits it.", of("FROM largest")),
        section("Documents that contain others", CONTAINERS, of("FROM containers LIMIT 10")),
    ]
    opening = [cards(totals), notes(edition), supply(con), encoding(con), path(con)]
    return page(recipe.mix, edition.version, totals["sequence_tokens"], [*opening, *sections])


def collected(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What became of the records, and their licenses."""
    return [
        section("Deduplication", "", table(answer(con, "SELECT * EXCLUDE (rejected_records) FROM sources"))),
        section("Rejected records", REJECTED, table(answer(con, "FROM rejections"))),
        section("Encoding", ENCODING, table(answer(con, "FROM encoding"))),
        section("Licenses of the documents in the mix", LICENSES, table(answer(con, "FROM licenses"))),
    ]
