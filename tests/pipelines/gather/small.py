"""A corpus of four tiny packages, which stand-in clients serve; and what a gathering of it wrote and reported."""

import hashlib
import json
import random
from pathlib import Path

import zstandard

from pipelines.gather import Arguments, Lock, gather
from pipelines.gather.catalogue import Source
from pipelines.gather.extractors import html_pages, plain_files
from pipelines.gather.fetching import Package
from pipelines.gather.packages import Member
from tests.clients import Registries


def text(n: int, seed: int = 0) -> bytes:
    """n words."""
    return " ".join(
        random.Random(f"{n} {seed}").choices(["a", "site", "of", "pages", "about", "other", "words"], k=n)
    ).encode()


def pages(n: int, seed: int) -> dict[str, bytes]:
    return {f"docs/{i}.txt": text(60 + 7 * i, seed) for i in range(n)}


TABLE = [
    Source("book", Package("deb", "alpha"), "MIT", "permissive", plain_files("docs/*.txt")),
    Source("book", Package("npm", "@scope/beta"), "CC0-1.0", "pd", plain_files("package/*.txt")),
    Source("c4", Package("deb", "alpha"), "MIT", "permissive", html_pages("site/*.html")),
    Source("c4", Package("pypi", "gamma"), "GPL-3.0-only", "copyleft", plain_files("gamma/*.md")),
    Source("github", Package("deb", "delta"), "Apache-2.0", "permissive", plain_files("src/*")),
    Source("github", Package("npm", "@scope/beta"), "none", "contested", plain_files("package/*.txt")),
]


FILES = {
    ("deb", "alpha_1%3a1.0_all.deb"): {
        **pages(9, 1),
        "site/a.html": b"<p>" + text(80) + b"</p>",
        "site/no.png": b"\x89",
    },
    ("deb", "delta_3_all.deb"): {"src/x.py": text(50), "src/short.py": b"x" * 150, "src/y.py": text(99)},
    ("npm", "scope-beta-2.0.0.tgz"): {"package/1.txt": text(70), "package/2.txt": text(80)},
    ("pypi", "gamma-0.5-py3-none-any.whl"): {"gamma/readme.md": text(90), "gamma-0.5.dist-info/x.md": text(90)},
}


KEYS = {"alpha_1%3a1.0_all.deb": ("deb:alpha", "1:1.0"), "delta_3_all.deb": ("deb:delta", "3"),
        "scope-beta-2.0.0.tgz": ("npm:@scope/beta", "2.0.0"), "gamma-0.5-py3-none-any.whl": ("pypi:gamma", "0.5")}  # fmt: skip


def lock_of(pool: Path, **changes: dict[str, str]) -> dict[str, dict[str, str]]:
    lock = {}
    for registry, file in FILES:
        key, version = KEYS[file]
        digest = hashlib.sha256((pool / registry / file).read_bytes()).hexdigest()
        lock[key] = {"version": version, "file": file, "sha256": digest} | changes.get(key.partition(":")[2], {})
    return lock


class Run:
    """Gathers in a folder of its own, and keeps what was reported."""

    def __init__(self, folder: Path, served: Registries, lock: dict | None = None):
        self.out, self.cache, self.lock = folder / "out", folder / "cache", folder / "lock.json"
        folder.mkdir(exist_ok=True)
        self.lock.write_text(json.dumps(lock_of(served.pool) if lock is None else lock))
        self.reported: list[str] = []

    def __call__(self, *, sources=TABLE, update_lock=False, **arguments):
        self.reported.clear()
        lock = Lock(arguments.pop("lock", self.lock), update_lock)
        return gather(self.out, self.cache, Arguments(**arguments), lock, self.reported.append, sources)

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.out.iterdir())}

    def reports(self, words: str) -> bool:
        return any(words in line for line in self.reported)


def rows(path: Path) -> list[dict]:
    return [
        json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    ]


def fetches(served: Registries) -> list[str]:
    return sorted(call.split()[-1] for call in served.calls() if call.split()[1] in {"download", "pack"})


def members(files: dict[str, bytes | str]) -> list[Member]:
    """The members of a package with these files."""
    return [
        Member(path, lambda content=content: content if isinstance(content, bytes) else content.encode())
        for path, content in files.items()
    ]
