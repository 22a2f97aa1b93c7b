"""Dedup on Chinese, Japanese, Korean, Khmer, Thai and Burmese documents with planted near copies.

    python benchmarks/dedup_cjk.py PACKAGES [--work data/dedup-cjk]

PACKAGES is a folder with these Debian packages unpacked (`apt-get download NAME`, then `dpkg-deb -x FILE
PACKAGES/NAME`): manpages-zh manpages-ja linux-doc-6.1 debian-handbook gnome-user-docs libreoffice-help-ja
libreoffice-help-ko libreoffice-help-zh-cn libreoffice-help-km gimp-help-ja gimp-help-ko gimp-help-zh-cn
debian-reference-ja debian-reference-zh-cn debian-reference-zh-tw installation-guide-amd64 firefox-esr-l10n-th
firefox-esr-l10n-my. Packages that are missing are left out.

A copy has a share of its letters replaced by letters of the same document. The exact similarity of all pairs is
computed by dedup_truth.py. justified, orphaned and recall are those of dedup.py.
"""

import argparse
import gzip
import html
import random
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dedup
import dedup_truth
import pyarrow as pa
import pyarrow.parquet as pq

RATES = (0.005, 0.01, 0.02, 0.05, 0.10, 0.20)
COPIES = 150  # of each rate
MAX_DOCUMENTS = 450  # of a language
MIN_LETTERS, MAX_CHARS = 300, 8_000
FLOOR = 0.4
ENDINGS = (".html", ".page", ".gz", ".txt", ".xpi")
LANGUAGES = {
    "zh": r"[\u4e00-\u9fff]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
    "km": r"[\u1780-\u17d3]",
    "th": r"[\u0e01-\u0e4e]",
    "my": r"[\u1000-\u103f]",
}
PLACES = re.compile(
    r"(?P<zh>zh[-_](?:CN|TW|cn|tw)|manpages-zh)|(?P<ja>[-/_]ja(?:[-_/.]|JP|$)|ja_JP)|(?P<ko>[-/_]ko(?:[-_/.]|KR|$)|ko_KR)"
    r"|(?P<km>help-km)|(?P<th>l10n-th|langpack-th)|(?P<my>l10n-my|langpack-my)"
)


def texts_of(path: Path) -> Iterator[str]:
    """The texts of a file, without markup."""
    if path.suffix == ".xpi":
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.endswith((".ftl", ".properties")))
            contents = [archive.read(name) for name in names]
        texts = [re.sub(r"(?m)^\s*[\w.-]+ ?=|^#.*$", " ", raw.decode("utf-8", "replace")) for raw in contents]
        yield from ("".join(texts[i : i + 3]) for i in range(0, len(texts), 3))  # one alone is a few lines
        return
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace")
    if path.suffix in {".html", ".page"}:
        text = html.unescape(re.sub(r"(?s)<(script|style|head)\b.*?</\1>|<[^>]+>", " ", text))
    elif re.search(r"\.\d\w*\.gz$", path.name):  # a manual page: requests and escapes of roff
        text = re.sub(r"(?m)^[.'][^\n ]*|\\f.|\\[&,/|^-]|^\.\\\".*$", " ", text)
    yield re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


def documents(packages: Path) -> list[tuple[str, str]]:
    """(language, text) of distinct documents."""
    paths = sorted(p for p in packages.rglob("*") if p.name.endswith(ENDINGS) and p.is_file() and not p.is_symlink())
    random.Random(1).shuffle(paths)
    by_language: dict[str, dict[str, None]] = {language: {} for language in LANGUAGES}
    for path in paths:
        place = PLACES.search(path.relative_to(packages).as_posix())
        if not place or not place.lastgroup or "changelog" in path.name:
            continue
        language, texts = place.lastgroup, by_language[place.lastgroup]
        for text in texts_of(path) if len(texts) < MAX_DOCUMENTS else ():
            n_letters = len(re.findall(LANGUAGES[language], text)) if len(text) <= MAX_CHARS else 0
            if n_letters >= max(MIN_LETTERS, len(text) // 5) and len(texts) < MAX_DOCUMENTS:
                texts[text] = None
    return [(language, text) for language, texts in by_language.items() for text in texts]


def changed(text: str, share: float, language: str, rng: random.Random) -> str:
    """A copy with a share of the letters of its language replaced by others of the same text."""
    letters = [match.start() for match in re.finditer(LANGUAGES[language], text)]
    characters = list(text)
    for i in rng.sample(letters, max(1, round(share * len(letters)))):
        characters[i] = rng.choice(
            [c for c in (text[rng.choice(letters)] for _ in range(20)) if c != text[i]] or ["。"]
        )
    return "".join(characters)


def make_corpus(packages: Path, corpus: Path) -> dict[str, tuple[str, float, float]]:
    """Write parquet/*.parquet and truth_pairs.parquet. Returns (language, rate, Jaccard similarity) of each copy's id."""
    rng = random.Random(2)
    base = documents(packages)
    rows = [(f"b{i:05d}", language, text) for i, (language, text) in enumerate(base)]
    parents = rng.sample(range(len(base)), min(len(base), COPIES * len(RATES)))
    copies = {}
    for number, parent in enumerate(parents):
        language, text = base[parent]
        copies[f"c{number:05d}"] = (parent, RATES[number % len(RATES)])
        rows.append((f"c{number:05d}", language, changed(text, RATES[number % len(RATES)], language, rng)))
    pairs = dedup_truth.similar_pairs([dedup_truth.windows(text) for _, _, text in rows], FLOOR)
    planted = {(f"b{parent:05d}", name) for name, (parent, _) in copies.items()}
    ids = [name for name, _, _ in rows]
    truth = [
        {
            "id_a": ids[i],
            "id_b": ids[j],
            "jaccard": jaccard,
            "kind": "injected" if (ids[i], ids[j]) in planted else "natural",
        }
        for i, j, jaccard in pairs
    ]
    (corpus / "parquet").mkdir(parents=True, exist_ok=True)
    order = rng.sample(range(len(rows)), len(rows))
    table = pa.table({"id": [ids[i] for i in order], "text": pa.array([rows[i][2] for i in order], pa.large_string())})
    pq.write_table(table, corpus / "parquet" / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(truth), corpus / "truth_pairs.parquet")
    similarity = {row["id_b"]: row["jaccard"] for row in truth if row["kind"] == "injected"}
    return {
        name: (base[parent][0], rate, similarity.get(name, 0.0)) for name, (parent, rate) in sorted(copies.items())
    } | {name: (language, 0.0, 0.0) for name, language, _ in rows[: len(base)]}


def by_rate(about: dict[str, tuple[str, float, float]], corpus: Path, kept: dict[str, set[str]]) -> str:
    """For each rate and language: copies of which one of the pair was dropped."""
    truth = pq.read_table(corpus / "truth_pairs.parquet").to_pylist()
    parent = {row["id_b"]: row["id_a"] for row in truth if row["kind"] == "injected"}
    lines = [
        "| letters changed | copies | Jaccard, mean | (1-p)^5 / (2-(1-p)^5) | "
        + " | ".join(kept)
        + " | found by longmix, by language |"
    ]
    lines.append("| ---: | ---: | ---: | ---: |" + " ---: |" * len(kept) + " --- |")
    for rate in RATES:
        names = [name for name, (_, r, _) in about.items() if r == rate]
        found = {
            tool: {n for n in names if n not in survivors or parent.get(n, n) not in survivors}
            for tool, survivors in kept.items()
        }
        total = Counter(about[n][0] for n in names)
        hits = Counter(about[n][0] for n in found["longmix"])
        same = (1 - rate) ** 5
        lines.append(
            f"| {rate:.1%} | {len(names)} | {sum(about[n][2] for n in names) / len(names):.3f} | {same / (2 - same):.3f} | "
            + " | ".join(f"{len(found[tool]) / len(names):.3f}" for tool in kept)
            + " | "
            + ", ".join(f"{language} {hits[language]}/{n}" for language, n in sorted(total.items()))
            + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--work", type=Path, default=Path("data/dedup-cjk"))
    args = parser.parse_args()
    corpus = args.work / "corpus"
    about = make_corpus(args.packages, corpus)
    kept, spent = dedup.longmix(corpus, args.work / "root")
    truth = pq.read_table(corpus / "truth_pairs.parquet").to_pylist()
    ours = {**dedup.score(corpus, kept, truth), "cpu": spent["ingest"] + spent["dedup"]}
    baseline_kept, baseline_cpu = dedup.baseline(corpus)
    theirs = {**dedup.score(corpus, baseline_kept, truth), "cpu": baseline_cpu}
    languages = Counter(language for language, rate, _ in about.values() if not rate)
    tools = {"longmix": kept, r"datasketch, \w+": baseline_kept}
    n_bytes = pq.read_table(corpus / "parquet", columns=["text"])["text"].nbytes
    text = (
        f"{len(about):,} documents, {n_bytes / 1e6:.1f} MB: "
        + ", ".join(f"{n:,} {language}" for language, n in sorted(languages.items()))
        + f", and {sum(1 for _, rate, _ in about.values() if rate):,} copies.\n\n"
        + dedup.table({"longmix": ours, r"datasketch, \w+, keep first": theirs})
        + "\n\nCopies of which one of the pair was dropped, as a share:\n\n"
        + by_rate(about, corpus, tools)
        + "\n"
    )
    Path("benchmarks/results/dedup_cjk.md").write_text(text)
    print(text)
    if ours["justified"] != 1 or ours["orphaned"]:
        raise SystemExit(f"not met: justified {ours['justified']}, orphaned {ours['orphaned']}")


if __name__ == "__main__":
    main()
