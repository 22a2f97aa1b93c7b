"""Documents of many packages become one file for each domain, sorted, and cut to a size blind to their order."""

import hashlib
import io
import random
import tarfile
from pathlib import Path

import pytest

from pipelines.gather.assembly import as_line, choose, spool, write_domain
from pipelines.gather.catalogue import Source
from pipelines.gather.extractors import plain_files
from pipelines.gather.fetching import Package
from pipelines.gather.packages import PackageError
from tests.clients import deb_of, package_of
from tests.pipelines.gather.small import rows


def slow_choose(sizes, max_bytes, seed):
    kept, used = set(), 0
    for _, name in sorted((hashlib.blake2b(f"{seed}\0{n}".encode(), digest_size=16).hexdigest(), n) for n in sizes):
        if max_bytes == 0 or used + sizes[name] <= max_bytes:
            kept.add(name)
            used += sizes[name]
    return kept


def test_choose_is_the_slow_one_and_blind_to_order():
    cut = 0
    for seed in range(60):
        draw = random.Random(seed)
        sizes = {f"d/{draw.random()}": draw.randrange(1, 90) for _ in range(draw.randrange(1, 40))}
        max_bytes = draw.choice([0, 1, sum(sizes.values()) - 1, sum(sizes.values()), draw.randrange(1, 900)])
        turned = dict(sorted(sizes.items(), key=lambda _: draw.random()))
        kept = choose(sizes, max_bytes, seed)
        assert kept == choose(turned, max_bytes, seed) == slow_choose(sizes, max_bytes, seed), f"{seed=}"
        cut += 0 < len(kept) < len(sizes)
    assert cut > 10


def source(*patterns: str, domain: str = "book") -> Source:
    return Source(domain, Package("deb", "alpha"), "MIT", "permissive", plain_files(*patterns))


def package(folder, files) -> Path:
    path = folder / "alpha_1_all.deb"
    path.write_bytes(package_of(path.name, files))
    return path


def test_texts_lie_in_the_spool_where_their_places_say(tmp_path):
    files = {"a.txt": b"caf\xc3\xa9 au lait", "b.txt": b"short", "c.txt": b"\xf0\x9f\x90\xb3 a whale"}
    spooled = spool(source("*.txt"), package(tmp_path, files), tmp_path / "spool", 9)
    raw = (tmp_path / "spool").read_bytes()
    texts = {name: raw[start : start + size].decode() for name, (start, size) in spooled.spans.items()}
    assert texts == {"book/alpha/a.txt": "café au lait\n", "book/alpha/c.txt": "🐳 a whale\n"}
    assert spooled.facts().model_dump() == {
        "documents": 2, "text_bytes": len(raw), "license": "MIT", "kind": "permissive",
    }  # fmt: skip


def test_of_a_path_that_lies_twice_in_a_package_the_later_counts(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for content in (b"the first", b"the second one"):
            info = tarfile.TarInfo("a.txt")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path = tmp_path / "alpha_1_all.deb"
    path.write_bytes(deb_of(out.getvalue()))
    spooled = spool(source("*.txt"), path, tmp_path / "spool", 1)
    write_domain(tmp_path / "book.jsonl.zst", [spooled], 0, 0)
    assert [row["text"] for row in rows(tmp_path / "book.jsonl.zst")] == ["the second one\n"]


def test_a_package_without_a_document_or_with_a_fault_is_named(tmp_path):
    path = package(tmp_path, {"a.txt": b"short"})
    with pytest.raises(
        PackageError, match=r"^alpha_1_all\.deb: contains no document; the layout of the package must have changed$"
    ):
        spool(source("*.txt"), path, tmp_path / "spool", 100)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(PackageError, match=r"^alpha_1_all\.deb: can't be read \(\w+: "):
        spool(source("*.txt"), path, tmp_path / "spool", 1)


def test_a_domain_is_written_sorted_and_counted(tmp_path):
    files = {f"{name}.txt": f"text of {name}".encode() for name in "bca"}
    spooled = spool(source("*.txt"), package(tmp_path, files), tmp_path / "spool", 1)
    facts = write_domain(tmp_path / "book.jsonl.zst", [spooled], 0, 0)
    found = rows(tmp_path / "book.jsonl.zst")
    assert [row["id"] for row in found] == [f"book/alpha/{name}.txt" for name in "abc"]
    lines = b"".join(as_line(row["id"], row["text"], source()) for row in found)
    assert (facts.documents, facts.text_bytes, facts.jsonl_bytes) == (3, 3 * len("text of a\n"), len(lines))
    assert facts.jsonl_sha256 == hashlib.sha256(lines).hexdigest()
    assert facts.sha256 == hashlib.sha256((tmp_path / "book.jsonl.zst").read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha_1_all.deb", "book.jsonl.zst", "spool"]
