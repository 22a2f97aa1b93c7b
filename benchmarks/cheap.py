"""The cheap scores: speed on one core, and how well each separates intact texts from junk.

    .venv/bin/python benchmarks/cheap.py     writes benchmarks/results/cheap.md

The documents of each domain are split by a keyed hash of the text: the background comes from one half, the other half
is measured. An intact text is a random excerpt of 8 to 20 KB of a document, at most 4 per source; from each, one junk
text of each kind is made. No text is excluded because of its scores.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard
from numba import njit

from scorers.cheap import cheap
from scorers.cheap.background import Background, background, choose
from scorers.cheap.block_order import MIN_ORDER_Z, order_z
from scorers.cheap.lists import MAX_LIST_SHARE, list_share
from scorers.cheap.recurrence import look_up, recurrence
from scorers.cheap.repeats import MAX_REPEAT_SHARE, repeat_share
from scorers.cheap.words import blocks, buffers, cut, number

CORPUS = Path("data/corpus")
OUT = Path("benchmarks/results/cheap.md")
DOMAINS = ("arxiv", "book", "commoncrawl", "github")
N_INTACT, MAX_PER_SOURCE = 40, 4
LISTS = {  # selected by hand
    "book": "anarchism/html/biblio anarchism/html/alinks anarchism/html/arlinks",
    "commoncrawl": "doc/man_index AMDGPU/AMDGPUAsmGFX8 mod/directives sqlite3/keyword_index html/sql-keywords-appendix "
    "html/features-sql-standard java/index-all sqlite3/sitemap sqlite3/sqlanalyze sqlite3/requirements",
    "github": "api/go1.17.txt lexers/_csound_builtins lexers/_vim_builtins lexers/_asy_builtins lexers/macaulay2 "
    "lexers/apdlexer syscall/zsysnum_openbsd_mips64 unix/zerrors_netbsd_386 arm64/sysRegEnc palette/palette "
    "x86asm/tables x86/avx_optabs",
    "wikipedia": "europe/al.json europe/fr.json africa/ke.json south-asia/in.json oceania/fj.json south-america/br.json",
}
HIGH = {
    "repeat_share": False,
    "recurrence": True,
    "order_z": True,
    "list_share": False,
}  # whether intact texts are high


def documents(domain: str) -> list[dict]:
    with zstandard.open(CORPUS / f"{domain}.jsonl.zst", "rt") as stream:
        return [json.loads(line) for line in stream]


def key(text: str, use: str) -> str:
    return blake2b(f"{use}\0{text}".encode(), digest_size=16).hexdigest()


def piece(text: str, n_bytes: int, rng: np.random.Generator) -> str:
    data = text.encode()
    at = int(rng.integers(0, max(1, len(data) - n_bytes + 1)))
    return data[at : at + n_bytes].decode(errors="ignore")


def shuffled(parts: list[str], between: str, rng: np.random.Generator) -> str:
    return between.join(parts[i] for i in rng.permutation(len(parts)))


def intact_and_junk(rows: list[dict], rng: np.random.Generator) -> list[tuple[str, str]]:
    """(kind, text) of each intact text and of the junk texts of the same length."""
    of_source = defaultdict(list)
    for row in rows:
        of_source[row["source"]].append(row["text"])
    sources, n_seen, texts = sorted(of_source), Counter(), []
    large_sources = [source for source in sources if len(of_source[source]) >= 4]
    for row in rows:
        n_seen[row["source"]] += 1
        if n_seen[row["source"]] > MAX_PER_SOURCE or len(texts) >= 8 * N_INTACT:
            continue
        text = piece(row["text"], int(rng.integers(8_000, 20_001)), rng)
        n, words, lines = len(text.encode()), text.split(" "), text.split("\n")
        four = [of_source[sources[i]] for i in rng.choice(len(sources), 4, replace=False)]
        one = of_source[large_sources[rng.integers(len(large_sources))]]
        same, two = rng.choice(len(one), 4, replace=False), rng.choice(len(one), 2, replace=False)
        at = int(n * rng.uniform(0.3, 0.7))
        paragraph = piece(text, 1_000, rng) + "\n\n"
        texts += [
            ("intact", text),
            ("4 sources", "\n\n".join(piece(source[rng.integers(len(source))], n // 4, rng) for source in four)),
            ("4 of one source", "\n\n".join(piece(one[i], n // 4, rng) for i in same)),
            ("2 halves of one source", piece(one[two[0]], at, rng) + "\n\n" + piece(one[two[1]], n - at, rng)),
            ("one paragraph", paragraph * (n // 1_000)),
            ("90 words shuffled", shuffled([" ".join(words[i : i + 90]) for i in range(0, len(words), 90)], " ", rng)),
            ("lines shuffled", shuffled(lines, "\n", rng)),
            ("random words", shuffled(text.split(), " ", rng)),
        ]
    return texts


def lists(domain: str, rows: list[dict]) -> list[tuple[str, str]]:
    """The middle 20 KB of each list of a domain."""
    excerpts = []
    for name in LISTS.get(domain, "").split():
        (text,) = (row["text"] for row in rows if name in row["id"])
        data = text.encode()
        at = max(0, (len(data) - 20_000) // 2)
        excerpt = data[at : at + 20_000].decode(errors="ignore")
        excerpts.append(("records" if domain == "wikipedia" else "lists", excerpt))
    return excerpts


def separation(by_kind: dict[str, dict], score: str, kind: str) -> str:
    """AUC with a 90 % interval; documents are resampled within domains."""
    rng = np.random.default_rng(0)
    intact, junk = ([(d, v) for d, v in by_kind[k][score] if v is not None] for k in ("intact", kind))
    if not junk:
        return "-"
    a, b = (np.array([v for _, v in values]) for values in (intact, junk))
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    wins = wins if HIGH[score] else 1 - wins

    def weights(values: list[tuple[str, float]]) -> np.ndarray:
        drawn = np.zeros((1000, len(values)))
        for domain in sorted({d for d, _ in values}):
            at = np.flatnonzero([d == domain for d, _ in values])
            drawn[:, at] = rng.multinomial(len(at), np.full(len(at), 1 / len(at)), 1000)
        return drawn / len(values)

    draws = np.einsum("ri,ij,rj->r", weights(intact), wins, weights(junk), optimize=True)
    low, high = np.quantile(draws, [0.05, 0.95])
    return f"{wins.mean():.2f} [{low:.2f}, {high:.2f}]"


def flagged(by_kind: dict[str, dict], kind: str, statistics: Background) -> list[str]:
    tests = {
        "repeat_share": lambda _, v: v > MAX_REPEAT_SHARE,
        "recurrence": lambda d, v: (gate := statistics.domains[d].min_recurrence) is not None and v < gate,
        "order_z": lambda _, v: v < MIN_ORDER_Z,
        "list_share": lambda _, v: v > MAX_LIST_SHARE,
    }
    values = {score: [(d, v) for d, v in by_kind[kind][score] if v is not None] for score in tests}
    return [f"{np.mean([test(d, v) for d, v in values[s]]):.0%}" if values[s] else "-" for s, test in tests.items()]


@njit(nogil=True)
def alone(data: np.ndarray, starts: np.ndarray, words: tuple, which: int) -> float:
    """Compute one score: 0 words, 1 guard, 2 recurrence, 3 order, 4 lists."""
    total = 0.0
    for i in range(len(starts) - 1):
        text = data[starts[i] : starts[i + 1]]
        if which == 4:
            total += list_share(text)
            continue
        hashes, _ = cut(text)
        if which == 1:
            total += repeat_share(hashes)
        elif which > 1:
            numbers, distinct = number(hashes)
            members, begins = blocks(numbers)
            weights, chances = look_up(distinct, *words)
            total += recurrence(members, begins, weights, chances) if which == 2 else order_z(members, begins, weights)
    return total


def speed(texts: list[str], domain: str, statistics: Background) -> list[float]:
    """MB/s of CPU time of words, guard, recurrence, order, lists, and all together; best of three runs."""
    array = pa.array(texts, pa.large_string())
    data, starts = buffers(array)
    words = statistics.domains[domain].words
    runs = [lambda w=w: alone(data, starts, words, w) for w in range(5)]
    runs.append(lambda: cheap(array, [domain] * len(texts), statistics))
    rates = []
    for run in runs:
        run()
        spent = []
        for _ in range(3):
            began = time.process_time()
            run()
            spent.append(time.process_time() - began)
        rates.append(len(data) / 1e6 / min(spent))
    return rates


def by_length(rows: list[dict], domain: str, statistics: Background) -> list[str]:
    """Recurrence of the first n KB of documents of at least 256 KB."""
    texts = [row["text"].encode() for row in rows if len(row["text"].encode()) >= 256_000][:20]
    cells = [f"{domain} ({len(texts)})"]
    for kilobytes in (8, 16, 32, 64, 128, 256):
        heads = pa.array([t[: kilobytes * 1000].decode(errors="ignore") for t in texts])
        table = cheap(heads, [domain] * len(texts), statistics)
        values = [v for v in table["recurrence"].to_pylist() if v is not None]
        cells.append(f"{np.mean(values):.3f} ({np.std(values):.3f})" if values else "-")
    return cells


def markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows])


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    began = time.process_time()
    corpus = {domain: documents(domain) for domain in (*DOMAINS, "wikipedia")}
    halves, chosen = {}, {}
    for domain, rows in corpus.items():
        rows.sort(key=lambda row: key(row["text"], "half"))
        halves[domain] = [row for row in rows[1::2] if 9_000 <= len(row["text"]) <= 4_000_000]
        hashes = [key(row["text"], "content") for row in rows[0::2]]
        picked = choose(hashes, np.array([len(row["text"].encode()) for row in rows[0::2]]), "benchmark")
        chosen[domain] = (
            [hashes[i] for i in picked],
            pa.array([rows[0::2][i]["text"] for i in picked], pa.large_string()),
        )
    spent = time.process_time()
    statistics = background(chosen)
    size = sum(texts.nbytes for _, texts in chosen.values()) / 1e6
    notes = (
        f"Background: {time.process_time() - spent:.1f} CPU seconds for {size:.0f} MB of documents, cut to 64 KiB each."
    )
    by_kind: dict[str, dict] = defaultdict(lambda: defaultdict(list))
    for d, (domain, rows) in enumerate(corpus.items()):
        junk = intact_and_junk(halves[domain], np.random.default_rng([2024, d])) if domain in DOMAINS else []
        kinds, texts = zip(*junk, *lists(domain, rows), strict=True)
        scores_of_texts = cheap(pa.array(texts), [domain] * len(texts), statistics).to_pylist()
        for kind, row in zip(kinds, scores_of_texts, strict=True):
            for score in HIGH:
                by_kind[kind][score].append((domain, row[score]))
    kinds = [kind for kind in by_kind if kind != "intact"]
    n_texts = {kind: len(scores["order_z"]) for kind, scores in by_kind.items()}
    auc = [[f"{kind} ({n_texts[kind]})", *(separation(by_kind, score, kind) for score in HIGH)] for kind in kinds]
    flags = [[f"{kind} ({n_texts[kind]})", *flagged(by_kind, kind, statistics)] for kind in by_kind]
    rates = []
    for domain in DOMAINS:
        texts = [row["text"] for row in corpus[domain] if len(row["text"]) >= 8_000]
        short = [text.encode()[:8_000].decode(errors="ignore") for text in texts[:500]]
        for name, sample in (("8 KB", short), ("complete, at least 8 KB", texts[:150])):
            rates.append([f"{domain}, {name}", *(f"{rate:.0f}" for rate in speed(sample, domain, statistics))])
    lengths = [by_length(corpus[domain], domain, statistics) for domain in DOMAINS]
    list_shares = []
    for domain, rows in corpus.items():
        texts = pa.array([row["text"] for row in rows if len(row["text"]) >= 1_500], pa.large_string())
        shares = np.array(cheap(texts, [domain] * len(texts), statistics)["list_share"].to_pylist(), float)
        list_shares.append(
            [domain, f"{len(texts):,}", *(f"{np.mean(shares > limit):.1%}" for limit in (0.5, MAX_LIST_SHARE, 0.7))]
        )
    columns = [
        [d, len(k.documents), f"{len(k.keys):,}", k.min_recurrence and round(k.min_recurrence, 3)]
        for d, k in statistics.domains.items()
    ]
    thresholds = (
        f"repeat_share > {MAX_REPEAT_SHARE}, recurrence below the domain's 10th percentile, order_z < {MIN_ORDER_Z}, "
        f"list_share > {MAX_LIST_SHARE}."
    )
    parts = [
        "# Cheap scores\n\nMade by `benchmarks/cheap.py`.",
        "## MB/s of text on one core, CPU time\n\nEach score alone splits the text into words; together they split once.",
        markdown(["texts", "words", "guard", "recurrence", "order", "lists", "all together"], rates),
        "## AUC of intact texts against junk, 90 % interval\n\nAbove 0.5: the score ranks intact texts as better.",
        markdown(["junk", *HIGH], auc),
        f"## Flagged\n\n{thresholds}",
        markdown(["texts", *HIGH], flags),
        "## Recurrence of the first n KB of long documents: mean (standard deviation)",
        markdown(["domain (documents)", *(f"{n} KB" for n in (8, 16, 32, 64, 128, 256))], lengths),
        "## Documents above a list_share",
        markdown(["domain", "documents of 1.5 KB and more", "0.5", str(MAX_LIST_SHARE), "0.7"], list_shares),
        f"## Backgrounds\n\n{notes}",
        markdown(["domain", "documents", "words", "min_recurrence"], columns),
        f"{time.process_time() - began:.0f} CPU seconds in total.",
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n\n".join(parts) + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
