"""The cheap scores: their speed on one core, and what each tells apart.

    .venv/bin/python benchmarks/cheap.py     writes benchmarks/results/cheap.md

Half of each domain's documents, by a keyed hash of the text, are what the background is chosen from; the other half are
measured. An intact text is 8 to 20 KB from anywhere in a document of at least as much, at most 4 of a source, and from
each one junk of each kind is made. No text is left out for what it scores.
"""

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
N_INTACT, MOST_OF_A_SOURCE = 40, 4
LISTS = {  # found by looking
    "book": "anarchism/html/biblio anarchism/html/alinks anarchism/html/arlinks",
    "commoncrawl": "doc/man_index AMDGPU/AMDGPUAsmGFX8 mod/directives sqlite3/keyword_index html/sql-keywords-appendix "
    "html/features-sql-standard java/index-all sqlite3/sitemap sqlite3/sqlanalyze sqlite3/requirements",
    "github": "api/go1.17.txt lexers/_csound_builtins lexers/_vim_builtins lexers/_asy_builtins lexers/macaulay2 "
    "lexers/apdlexer syscall/zsysnum_openbsd_mips64 unix/zerrors_netbsd_386 arm64/sysRegEnc palette/palette "
    "x86asm/tables x86/avx_optabs",
    "wikipedia": "europe/al.json europe/fr.json africa/ke.json south-asia/in.json oceania/fj.json south-america/br.json",
}
HIGH = {"repeat_share": False, "recurrence": True, "order_z": True, "list_share": False}  # is it high in an intact text


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
    """(kind, text) of each intact text and of the junk of its length."""
    of_source = defaultdict(list)
    for row in rows:
        of_source[row["source"]].append(row["text"])
    sources, seen, made = sorted(of_source), Counter(), []
    many = [source for source in sources if len(of_source[source]) >= 4]
    for row in rows:
        seen[row["source"]] += 1
        if seen[row["source"]] > MOST_OF_A_SOURCE or len(made) >= 8 * N_INTACT:
            continue
        text = piece(row["text"], int(rng.integers(8_000, 20_001)), rng)
        n, words, lines = len(text.encode()), text.split(" "), text.split("\n")
        four = [of_source[sources[i]] for i in rng.choice(len(sources), 4, replace=False)]
        own = of_source[many[rng.integers(len(many))]]
        same, two = rng.choice(len(own), 4, replace=False), rng.choice(len(own), 2, replace=False)
        at = int(n * rng.uniform(0.3, 0.7))
        paragraph = piece(text, 1_000, rng) + "\n\n"
        made += [
            ("intact", text),
            ("4 sources", "\n\n".join(piece(texts[rng.integers(len(texts))], n // 4, rng) for texts in four)),
            ("4 of one source", "\n\n".join(piece(own[i], n // 4, rng) for i in same)),
            ("2 halves of one source", piece(own[two[0]], at, rng) + "\n\n" + piece(own[two[1]], n - at, rng)),
            ("one paragraph", paragraph * (n // 1_000)),
            ("90 words shuffled", shuffled([" ".join(words[i : i + 90]) for i in range(0, len(words), 90)], " ", rng)),
            ("lines shuffled", shuffled(lines, "\n", rng)),
            ("random words", shuffled(text.split(), " ", rng)),
        ]
    return made


def lists(domain: str, rows: list[dict]) -> list[tuple[str, str]]:
    """The middle 20 KB of each list of a domain."""
    found = []
    for name in LISTS.get(domain, "").split():
        (text,) = (row["text"] for row in rows if name in row["id"])
        data = text.encode()
        at = max(0, (len(data) - 20_000) // 2)
        found.append(("records" if domain == "wikipedia" else "lists", data[at : at + 20_000].decode(errors="ignore")))
    return found


def separation(found: dict[str, dict], score: str, kind: str) -> str:
    """AUC with a 90 % interval, documents drawn anew inside domains."""
    rng = np.random.default_rng(0)
    one, other = ([(d, v) for d, v in found[k][score] if v is not None] for k in ("intact", kind))
    if not other:
        return "-"
    a, b = (np.array([v for _, v in values]) for values in (one, other))
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    wins = wins if HIGH[score] else 1 - wins

    def weights(values: list[tuple[str, float]]) -> np.ndarray:
        drawn = np.zeros((1000, len(values)))
        for domain in sorted({d for d, _ in values}):
            at = np.flatnonzero([d == domain for d, _ in values])
            drawn[:, at] = rng.multinomial(len(at), np.full(len(at), 1 / len(at)), 1000)
        return drawn / len(values)

    draws = np.einsum("ri,ij,rj->r", weights(one), wins, weights(other), optimize=True)
    low, high = np.quantile(draws, [0.05, 0.95])
    return f"{wins.mean():.2f} [{low:.2f}, {high:.2f}]"


def flagged(found: dict[str, dict], kind: str, known: Background) -> list[str]:
    tests = {
        "repeat_share": lambda _, v: v > MAX_REPEAT_SHARE,
        "recurrence": lambda d, v: (gate := known.domains[d].min_recurrence) is not None and v < gate,
        "order_z": lambda _, v: v < MIN_ORDER_Z,
        "list_share": lambda _, v: v > MAX_LIST_SHARE,
    }
    values = {score: [(d, v) for d, v in found[kind][score] if v is not None] for score in tests}
    return [f"{np.mean([test(d, v) for d, v in values[s]]):.0%}" if values[s] else "-" for s, test in tests.items()]


@njit(nogil=True)
def alone(data: np.ndarray, starts: np.ndarray, words: tuple, which: int) -> float:
    """A score by itself: 0 words, 1 guard, 2 recurrence, 3 order, 4 lists."""
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


def speed(texts: list[str], domain: str, known: Background) -> list[float]:
    """MB/s of CPU time of words, guard, recurrence, order, lists, and all together; the best of three."""
    array = pa.array(texts, pa.large_string())
    data, starts = buffers(array)
    words = known.domains[domain].words
    runs = [lambda w=w: alone(data, starts, words, w) for w in range(5)]
    runs.append(lambda: cheap(array, [domain] * len(texts), known))
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


def going_on(rows: list[dict], domain: str, known: Background) -> list[str]:
    """Recurrence of the first n KB of documents of at least 256 KB."""
    texts = [row["text"].encode() for row in rows if len(row["text"].encode()) >= 256_000][:20]
    cells = [f"{domain} ({len(texts)})"]
    for kilobytes in (8, 16, 32, 64, 128, 256):
        table = cheap(
            pa.array([t[: kilobytes * 1000].decode(errors="ignore") for t in texts]), [domain] * len(texts), known
        )
        values = [v for v in table["recurrence"].to_pylist() if v is not None]
        cells.append(f"{np.mean(values):.3f} ({np.std(values):.3f})" if values else "-")
    return cells


def markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows])


def main() -> None:
    began = time.process_time()
    corpus = {domain: documents(domain) for domain in (*DOMAINS, "wikipedia")}
    halves, chosen = {}, {}
    for domain, rows in corpus.items():
        rows.sort(key=lambda row: key(row["text"], "half"))
        halves[domain] = [row for row in rows[1::2] if 9_000 <= len(row["text"]) <= 4_000_000]
        names = [key(row["text"], "content") for row in rows[0::2]]
        picked = choose(names, np.array([len(row["text"].encode()) for row in rows[0::2]]), "benchmark")
        chosen[domain] = (
            [names[i] for i in picked],
            pa.array([rows[0::2][i]["text"] for i in picked], pa.large_string()),
        )
    spent = time.process_time()
    known = background(chosen)
    size = sum(texts.nbytes for _, texts in chosen.values()) / 1e6
    notes = (
        f"Background: {time.process_time() - spent:.1f} CPU seconds for {size:.0f} MB of documents, cut to 64 KiB each."
    )
    found: dict[str, dict] = defaultdict(lambda: defaultdict(list))
    for d, (domain, rows) in enumerate(corpus.items()):
        junk = intact_and_junk(halves[domain], np.random.default_rng([2024, d])) if domain in DOMAINS else []
        kinds, texts = zip(*junk, *lists(domain, rows), strict=True)
        for kind, row in zip(kinds, cheap(pa.array(texts), [domain] * len(texts), known).to_pylist(), strict=True):
            for score in HIGH:
                found[kind][score].append((domain, row[score]))
    kinds = [kind for kind in found if kind != "intact"]
    counted = {kind: len(scores["order_z"]) for kind, scores in found.items()}
    auc = [[f"{kind} ({counted[kind]})", *(separation(found, score, kind) for score in HIGH)] for kind in kinds]
    flags = [[f"{kind} ({counted[kind]})", *flagged(found, kind, known)] for kind in found]
    rates = []
    for domain in DOMAINS:
        texts = [row["text"] for row in corpus[domain] if len(row["text"]) >= 8_000]
        short = [text.encode()[:8_000].decode(errors="ignore") for text in texts[:500]]
        for name, of in (("8 KB", short), ("whole, at least 8 KB", texts[:150])):
            rates.append([f"{domain}, {name}", *(f"{rate:.0f}" for rate in speed(of, domain, known))])
    goes_on = [going_on(corpus[domain], domain, known) for domain in DOMAINS]
    listed = []
    for domain, rows in corpus.items():
        texts = pa.array([row["text"] for row in rows if len(row["text"]) >= 1_500], pa.large_string())
        shares = np.array(cheap(texts, [domain] * len(texts), known)["list_share"].to_pylist(), float)
        listed.append(
            [domain, f"{len(texts):,}", *(f"{np.mean(shares > most):.1%}" for most in (0.5, MAX_LIST_SHARE, 0.7))]
        )
    columns = [
        [d, len(k.documents), f"{len(k.keys):,}", k.min_recurrence and round(k.min_recurrence, 3)]
        for d, k in known.domains.items()
    ]
    parts = [
        "# Cheap scores\n\nMade by `benchmarks/cheap.py`.",
        "## MB/s of text on one core, CPU time\n\nEach by itself cuts the words anew; together they are cut once.",
        markdown(["texts", "words", "guard", "recurrence", "order", "lists", "all together"], rates),
        "## AUC of intact texts against junk, 90 % interval\n\nAbove 0.5: the score tells them apart the right way.",
        markdown(["junk", *HIGH], auc),
        f"## Flagged\n\nrepeat_share > {MAX_REPEAT_SHARE}, recurrence below the domain's 10 % point, order_z < {MIN_ORDER_Z}, list_share > {MAX_LIST_SHARE}.",
        markdown(["texts", *HIGH], flags),
        "## Recurrence of the first n KB of long documents: mean (standard deviation)",
        markdown(["domain (documents)", *(f"{n} KB" for n in (8, 16, 32, 64, 128, 256))], goes_on),
        "## Documents above a list_share",
        markdown(["domain", "documents of 1.5 KB and more", "0.5", str(MAX_LIST_SHARE), "0.7"], listed),
        f"## Backgrounds\n\n{notes}",
        markdown(["domain", "documents", "words", "min_recurrence"], columns),
        f"{time.process_time() - began:.0f} CPU seconds in all.",
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n\n".join(parts) + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
