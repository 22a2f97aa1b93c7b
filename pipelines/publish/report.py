"""report.html of a published version: one file without scripts or links, to be opened, mailed or archived."""

from html import escape

import duckdb

from pipelines.recipe import Recipe
from schemas.lengths import BUCKETS

COLOURS = ("#dbe7f3", "#c2d7ec", "#a4c4e3", "#83aed8", "#6196ca", "#417fba", "#2b67a5", "#1b4f88", "#0f3868")
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2530}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}p.note{color:#5a6675;margin-top:.2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #e4e9ee}td:nth-child(2){white-space:nowrap}
th:first-child,td:first-child{text-align:left}.cards{display:flex;gap:1rem;flex-wrap:wrap;margin:1rem 0}
.card{border:1px solid #dde3ea;border-radius:.5rem;padding:.6rem 1rem}.card b{display:block;font-size:1.3rem}
svg text{font:12px system-ui,sans-serif;fill:#1c2530}.key{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 .8rem}
"""

Cells = dict[tuple[str, str], int]


def cells(con: duckdb.DuckDBPyConnection, column: str) -> Cells:
    query = f"SELECT domain, length_bucket::VARCHAR, {column} FROM lengths"
    return {(domain, bucket): n for domain, bucket, n in con.execute(query).fetchall()}


def bars(before: Cells, after: Cells) -> str:
    """Two bars a domain, before above and after below: the share of its tokens in each length bucket."""
    domains = sorted({domain for domain, _ in before})
    parts, height = [], 0
    for domain in domains:
        parts.append(f'<text x="0" y="{height + 22}">{escape(domain)}</text>')
        for found, label in ((before, "corpus"), (after, "mix")):
            total = sum(found.get((domain, b), 0) for b in BUCKETS)
            parts.append(f'<text x="115" y="{height + 13}" opacity=".6">{label}</text>')
            x = 165.0
            for colour, bucket in zip(COLOURS, BUCKETS, strict=True):
                n = found.get((domain, bucket), 0)
                width = 560 * n / total if total else 0
                title = f"{domain}, {label}, {bucket}: {n:,} tokens"
                parts.append(
                    f'<rect x="{x:.1f}" y="{height + 2}" width="{width:.1f}" height="14" fill="{colour}"><title>{escape(title)}</title></rect>'
                )
                x += width
            parts.append(f'<text x="735" y="{height + 13}">{total:,}</text>')
            height += 17
        height += 10
    return f'<svg viewBox="0 0 830 {height}" width="100%" role="img" aria-label="tokens by domain and length">{"".join(parts)}</svg>'


def rows(con: duckdb.DuckDBPyConnection, query: str) -> str:
    """A query's answer as an HTML table; none says so."""
    found = con.execute(query)
    head = "".join(f"<th>{escape(column[0])}</th>" for column in found.description or [])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(cell))}</td>" for cell in row) + "</tr>" for row in found.fetchall()
    )
    if not body:
        return '<p class="note">none</p>'
    return f"<table><tr>{head}</tr>{body}</table>"


def shown(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.2%}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


DROPPED = """
SELECT source, count(*) AS documents, count(*) FILTER (verdict = 'kept') AS kept, count(*) FILTER (verdict = 'exact') AS "exact copies",
    count(*) FILTER (verdict = 'near') AS "near copies", sum(n_bytes)::BIGINT AS bytes
FROM documents GROUP BY source ORDER BY source
"""
REJECTED = "SELECT reason, source, count(*) AS records FROM rejected GROUP BY ALL ORDER BY records DESC"
LARGEST = """
SELECT domain, n_tokens / sum(n_tokens) OVER (PARTITION BY domain) AS "share of its domain", n_tokens AS tokens, source, file, document_id
FROM documents WHERE verdict = 'kept'
QUALIFY row_number() OVER (PARTITION BY domain ORDER BY n_tokens DESC, document_id) = 1 ORDER BY 2 DESC
"""
CONTAINED = """
SELECT inside_id AS document, inside_domain AS domain, any_value(source) AS source, any_value(file) AS file,
    count(*) AS "documents inside it", sum(c.n_shingles) / any_value(inside_shingles) AS "part of it"
FROM contained c JOIN documents d ON d.document_id = c.inside_id AND d.verdict = 'kept'
GROUP BY ALL ORDER BY "documents inside it" DESC, document LIMIT 10
"""
SCORED = """
SELECT domain, length_bucket AS length, documents, scored, pairs, printf('%.3f', low) AS "10 %", printf('%.3f', median) AS median,
    printf('%.3f', high) AS "90 %", printf('%.3f', error) AS error, printf('%.3f', near) AS "near, median", refused
FROM scores_by_length WHERE scored > 0
"""
REFUSED = """
SELECT domain, count(*) AS documents, count(*) FILTER (refused = 'repeats') AS repeats, count(*) FILTER (refused = 'list') AS lists,
    count(*) FILTER (refused = 'stitched') AS stitched, count(*) FILTER (shuffled) AS "order may be chance", sum(n_tokens) FILTER (refused IS NOT NULL)::BIGINT AS "tokens in them"
FROM scores GROUP BY domain ORDER BY domain
"""
NOT_SCORED = """
SELECT coalesce(reason, status) AS reason, sum(documents)::BIGINT AS documents, sum(tokens)::BIGINT AS tokens
FROM not_scored GROUP BY ALL ORDER BY tokens DESC
"""
SHARES = 'SELECT domain, tokens, corpus_share AS "share of the corpus", drawn_tokens AS "tokens in the mix", mix_share AS "share of the mix" FROM shares'


def was_asked(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the recipe has a model for its scores."""
    return con.execute("SELECT count(*) FROM scores WHERE status IS NOT NULL").fetchall()[0][0] > 0


def judged(con: duckdb.DuckDBPyConnection) -> str:
    """What was scored, and what was not and why; empty where the recipe scores nothing."""
    if not con.execute("SELECT count(*) FROM scores").fetchall()[0][0]:
        return ""
    note = "chunk_gain: how much easier far chunks of a document make one another, nats per token; docs/scores.md tells more."
    why = f"<h2>Not scored by the model</h2>{rows(con, NOT_SCORED)}"
    cheap = (
        "What the cheap tier would keep from a model: repeats, lists, and texts whose rare words don't come back, which is "
        "less than nine of ten intact documents of the domain have: so about one good document in ten is among those."
    )
    refused = f'<h2>Refused without a model</h2><p class="note">{cheap}</p>{rows(con, REFUSED)}'
    scored = f'<h2>Long dependencies</h2><p class="note">{note}</p>{rows(con, SCORED)}{why}' if was_asked(con) else ""
    return scored + refused


def report(con: duckdb.DuckDBPyConnection, recipe: Recipe, version: str) -> str:
    """The report's HTML, from the views alone."""
    n_sequences, n_tokens, n_segments = con.execute(
        "SELECT count(*), coalesce(sum(n_tokens), 0)::BIGINT, coalesce(sum(n_segments), 0)::BIGINT FROM sequences"
    ).fetchall()[0]
    n_documents, n_kept = con.execute("SELECT count(*), count(*) FILTER (verdict = 'kept') FROM documents").fetchall()[
        0
    ]
    fill = n_tokens / max(1, n_sequences * recipe.pack.sequence_tokens)
    figures = {
        "tokens": f"{n_tokens:,}", "sequences": f"{n_sequences:,}", "filled": f"{fill:.2%}", "segments": f"{n_segments:,}",
        "documents found": f"{n_documents:,}", "kept": f"{n_kept:,}",
    }  # fmt: skip
    cards = "".join(f'<div class="card"><b>{value}</b>{name}</div>' for name, value in figures.items())
    keys = "".join(
        f'<span class="key" style="background:{c}"></span>{b}' for c, b in zip(COLOURS, BUCKETS, strict=True)
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(recipe.mix)} {version}</title><style>{STYLE}</style>
<h1>{escape(recipe.mix)}</h1><p class="note">version {version}, sequences of at most {recipe.pack.sequence_tokens:,} tokens</p>
<div class="cards">{cards}</div>
<h2>Tokens by domain and length of the whole document</h2><p class="note">Each bar is all of its domain; K = 1,024 tokens.{keys}</p>
{bars(cells(con, "tokens"), cells(con, "drawn_tokens"))}
<h2>Shares</h2>{rows(con, SHARES)}
{judged(con)}
<h2>Deduplication</h2>{rows(con, DROPPED)}
<h2>Records that could not be used</h2>{rows(con, REJECTED)}
<h2>The largest document of each domain</h2><p class="note">One generated file can be an eighth of a domain; plan.max_document_share caps it.</p>{rows(con, LARGEST)}
<h2>Documents that hold others</h2><p class="note">Each holds kept documents almost whole. Reported, not dropped; all of them: table contained of catalog.duckdb.</p>{rows(con, CONTAINED)}
</html>
"""
