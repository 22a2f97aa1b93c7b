r"""Dedup on Chinese, Japanese, Korean, Khmer, Thai and Burmese documents with planted near copies.

    python benchmarks/dedup_cjk.py PACKAGES [--work data/dedup-cjk]

PACKAGES is a folder with these Debian packages unpacked (`apt-get download NAME`, then `dpkg-deb -x FILE
PACKAGES/NAME`): manpages-zh manpages-ja linux-doc-6.1 debian-handbook gnome-user-docs libreoffice-help-ja
libreoffice-help-ko libreoffice-help-zh-cn libreoffice-help-km gimp-help-ja gimp-help-ko gimp-help-zh-cn
debian-reference-ja debian-reference-zh-cn debian-reference-zh-tw installation-guide-amd64 firefox-esr-l10n-th
firefox-esr-l10n-my. Packages that are missing are left out.

Documents are cut to MAX_CHARS characters. A copy has a share of its letters replaced by letters of the same document.
The exact similarity of all pairs is computed by dedup_truth.py. justified, orphaned and recall are those of dedup.py;
recall is over all isolated pairs. longmix runs twice: with its own words, and with runs of \w as words in all scripts.
"""

import argparse
import gzip
import html
import os
import random
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import dedup
import dedup_truth
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dedup import characters

RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.10, 0.20)
COPIES = 300  # of each rate
MAX_DOCUMENTS = 800  # of a language
MIN_LETTERS, MAX_CHARS = 300, 4_000
ENDINGS = (".html", ".page", ".gz", ".txt", ".xpi")
LANGUAGES = {
    "zh": r"[\u4e00-\u9fff]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
    "km": r"[\u1780-\u17d3]",
    "th": r"[\u0e01-\u0e4e]",
    "my": r"[\u1000-\u103f]",
}
NAMES = {"zh": "Chinese", "ja": "Japanese", "ko": "Korean", "km": "Khmer", "th": "Thai", "my": "Burmese"}
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
    names = [os.path.relpath(f"{folder}/{n}", packages) for folder, _, files in os.walk(packages) for n in files]
    names = sorted(n for n in names if n.endswith(ENDINGS) and "changelog" not in n and PLACES.search(n))
    random.Random(1).shuffle(names)
    by_language: dict[str, dict[str, None]] = {language: {} for language in LANGUAGES}
    for name in names:
        path, language = packages / name, str(PLACES.search(name).lastgroup)
        texts = by_language[language]
        if len(texts) == MAX_DOCUMENTS or path.is_symlink():
            continue
        for text in texts_of(path):
            start = text[:MAX_CHARS]
            n_letters = len(re.findall(LANGUAGES[language], start))
            if n_letters >= max(MIN_LETTERS, len(start) // 5) and len(texts) < MAX_DOCUMENTS:
                texts[start] = None
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


class Copy(NamedTuple):
    """A planted copy, and its exact similarity to the document that it was made from."""

    name: str
    parent: str
    language: str
    rate: float
    jaccard: float
    old_jaccard: float  # with runs of \w as words


def make_corpus(packages: Path, corpus: Path) -> tuple[dict[str, tuple[str, str]], list[Copy]]:
    """Write parquet/*.parquet. Returns (language, text) of every document, and what is known of the copies."""
    rng = random.Random(2)
    base = documents(packages)
    texts = {f"b{i:05d}": document for i, document in enumerate(base)}
    copies = []
    for number, parent in enumerate(rng.sample(sorted(texts), min(len(texts), COPIES * len(RATES)))):
        language, text = texts[parent]
        rate, name = RATES[number % len(RATES)], f"c{number:05d}"
        texts[name] = language, changed(text, rate, language, rng)
        similarity = [
            dedup_truth.jaccard(*(dedup_truth.windows(t, words) for t in (text, texts[name][1])))
            for words in (dedup_truth.words_of, dedup_truth.old_words_of)
        ]
        copies.append(Copy(name, parent, language, rate, *similarity))
    shutil.rmtree(corpus / "parquet", ignore_errors=True)
    (corpus / "parquet").mkdir(parents=True)
    ids = rng.sample(sorted(texts), len(texts))
    table = pa.table({"id": ids, "text": pa.array([texts[name][1] for name in ids], pa.large_string())})
    pq.write_table(table, corpus / "parquet" / "part-0.parquet")
    return texts, copies


def judge(texts: dict[str, tuple[str, str]]) -> dedup.Judged:
    ids = sorted(texts)
    pairs = dedup_truth.similar_pairs([dedup_truth.windows(texts[name][1]) for name in ids], dedup.FLOOR)
    truth = [{"id_a": ids[i], "id_b": ids[j], "jaccard": jaccard} for i, j, jaccard in pairs]
    return dedup.Judged(set(ids), truth, truth)


@contextmanager
def old_words() -> Iterator[None]:
    r"""longmix takes runs of \w as words in all scripts, as it did before letters of UNSPACED became words."""
    blocks = characters.UNSPACED
    characters.UNSPACED = ()
    characters.characters.cache_clear()
    yield
    characters.UNSPACED = blocks
    characters.characters.cache_clear()


def by_rate(copies: list[Copy], kept: dict[str, set[str]]) -> str:
    r"""A row for each rate: how similar the copies are, and how many are not kept together with their document."""
    lines = [
        "| letters changed | copies | Jaccard, mean | with `\\w+` | at 0.7 or more | with `\\w+` | "
        + " | ".join(f"dropped by {tool}" for tool in kept)
        + " | recall of longmix at 0.7 or more | dropped by longmix, by language |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |" + " ---: |" * len(kept) + " ---: | --- |",
    ]
    for rate in RATES:
        chosen = [copy for copy in copies if copy.rate == rate]
        dropped = {
            tool: {copy for copy in chosen if not {copy.name, copy.parent} <= survivors}
            for tool, survivors in kept.items()
        }
        similar = {copy for copy in chosen if copy.jaccard >= dedup.THRESHOLD}
        total, hits = (Counter(copy.language for copy in group) for group in (chosen, dropped["longmix"]))
        cells = [
            f"{rate:.1%}",
            str(len(chosen)),
            f"{sum(copy.jaccard for copy in chosen) / len(chosen):.3f}",
            f"{sum(copy.old_jaccard for copy in chosen) / len(chosen):.3f}",
            str(len(similar)),
            str(sum(copy.old_jaccard >= dedup.THRESHOLD for copy in chosen)),
            *(str(len(dropped[tool])) for tool in kept),
            f"{len(similar & dropped['longmix']) / len(similar):.4f}" if similar else "",
            ", ".join(f"{language} {hits[language]}/{n}" for language, n in sorted(total.items())),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--work", type=Path, default=Path("data/dedup-cjk"))
    args = parser.parse_args()
    corpus = args.work / "corpus"
    texts, copies = make_corpus(args.packages, corpus)
    judged = judge(texts)
    dedup.longmix(corpus, args.work / "root")  # compiles the kernels, or reads them from numba's cache
    kept, spent = dedup.longmix(corpus, args.work / "root")
    with old_words():
        old_kept, old_spent = dedup.longmix(corpus, args.work / "root")
    baseline_kept, baseline_cpu = dedup.baseline(corpus)
    columns = {
        "longmix": (kept, spent["ingest"] + spent["dedup"]),
        r"longmix with `\w+`": (old_kept, old_spent["ingest"] + old_spent["dedup"]),
        r"datasketch, `\w+`, keep first": (baseline_kept, baseline_cpu),
    }
    scores = {name: {**dedup.score(k, judged, judged.truth), "cpu": cpu} for name, (k, cpu) in columns.items()}
    languages = Counter(language for name, (language, _) in texts.items() if name.startswith("b"))
    n_bytes = sum(len(text.encode()) for _, text in texts.values())
    text = (
        f"{len(texts):,} documents, {n_bytes / 1e6:.1f} MB: "
        + ", ".join(f"{n:,} {NAMES[language]}" for language, n in sorted(languages.items()))
        + f", and {len(copies):,} copies. The exact similarity is by longmix's words.\n\n"
        + dedup.table(scores)
        + f"\n\nCopies and their documents; {dedup.THRESHOLD} is the threshold. Dropped: not both are kept, "
        + "also for similarity to a third document.\n\n"
        + by_rate(copies, {name: k for name, (k, _) in columns.items()})
        + "\n"
    )
    Path("benchmarks/results/dedup_cjk.md").write_text(text)
    print(text)
    missing = dedup.unmet(scores["longmix"])
    if missing:
        raise SystemExit("not met: " + "; ".join(missing))


if __name__ == "__main__":
    main()
