"""Builds in a process of their own that can be killed at a chosen moment, and a fingerprint of what they leave.

    python -m tests.kills RECIPE ROOT WORKERS [before|after PATTERN]

kills itself (SIGKILL) before or after the first rename whose target matches PATTERN: nothing is flushed or undone.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb

KINDS = {
    "a shard of DOCUMENTS": r"/shards/DOCUMENTS/.*\.parquet$",
    "a shard of SIGNATURES": r"/shards/SIGNATURES/.*\.parquet$",
    "a shard of DUPLICATES": r"/shards/DUPLICATES/.*\.parquet$",
    "a shard of TOKENS": r"/shards/TOKENS/.*\.parquet$",
    "a shard of DRAWS": r"/shards/DRAWS/.*\.parquet$",
    "a shard of SEQUENCES": r"/shards/SEQUENCES/.*\.parquet$",
    "a seal": r"/shards/.*\.seal$",
    "an action": r"/actions/encode/.*\.json$",
    "the manifest": r"/manifest\.json$",
    "the published folder": r"/datasets/[^/]+/[0-9a-f]{12}$",
    "latest": r"/datasets/[^/]+/latest$",
}


def child(recipe: Path, root: Path, workers: int, when: str | None = None, pattern: str = "") -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.kills", str(recipe), str(root), str(workers)]
    return subprocess.Popen(
        command + ([when, pattern] if when else []),
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def run(recipe: Path, root: Path, workers: int = 2) -> float:
    """A build that must end well. Returns its seconds."""
    began = time.monotonic()
    process = child(recipe, root, workers)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-2_000:]
    return time.monotonic() - began


def run_killed_at(recipe: Path, root: Path, workers: int, when: str, pattern: str) -> None:
    """A build that is killed at a rename, and must get there."""
    process = child(recipe, root, workers, when, pattern)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, (when, pattern, process.returncode, said.decode()[-2_000:])


def run_killed_after(recipe: Path, root: Path, workers: int, seconds: float) -> bool:
    """A build that is killed at a time. Returns whether it was still running then."""
    process = child(recipe, root, workers)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def run_killed_scoring(recipe: Path, root: Path, workers: int, n_pairs: int) -> bool:
    """A build that is killed once the model has measured so many pairs. Returns whether it was still running then."""
    process = child(recipe, root, workers)
    while process.poll() is None:
        if sum(map(len, measured_lines(root).values())) >= n_pairs:
            process.kill()
            process.communicate()
            return True
        time.sleep(0.01)
    process.communicate()
    return False


def measured_lines(root: Path) -> dict[str, list[bytes]]:
    """The pairs that a root keeps, whole lines, by file."""
    files = sorted(root.glob("measured/**/*.jsonl"))
    return {str(f.relative_to(root)): f.read_bytes().rpartition(b"\n")[0].splitlines() for f in files}


def fingerprint(root: Path) -> dict[str, str]:
    """Path below the root -> hash of its bytes, for all that a build must leave the same.

    The time in a manifest stands outside; catalog.duckdb counts by the rows of its tables, in order.
    """
    found = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.parent.is_symlink()):
        name = path.relative_to(root).as_posix()
        if name in ("lock", "progress.jsonl"):
            continue
        if path.name == "manifest.json":
            manifest = json.loads(path.read_text())
            del manifest["built"]["at"]
            raw = json.dumps(manifest, sort_keys=True).encode()
        elif path.name == "catalog.duckdb":
            raw = rows_of(path)
        else:
            raw = path.read_bytes()
        found[name] = hashlib.sha256(raw).hexdigest()
    for link in sorted(root.glob("datasets/*/latest")):
        found[f"{link.parent.name}/latest"] = str(link.readlink())
    return found


def rows_of(catalog: Path) -> bytes:
    with duckdb.connect(str(catalog), read_only=True) as con:
        tables = [name for (name,) in con.execute("SHOW TABLES").fetchall()]
        return repr([(t, con.execute(f"FROM {t} ORDER BY ALL").fetchall()) for t in sorted(tables)]).encode()


def die_at(when: str, pattern: str) -> None:
    """Make the first matching rename of this process its last act."""
    replace = os.replace

    def deadly(source, target, **options):
        hit = re.search(pattern, os.fspath(target))
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target, **options)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = deadly


def main() -> None:
    recipe, root, workers, *deadly = sys.argv[1:]
    if deadly:
        die_at(*deadly)
    from pipelines.build import build
    from pipelines.recipe import load

    loaded = load(recipe)
    build(loaded.model_copy(update={"run": loaded.run.model_copy(update={"workers": int(workers)})}), Path(root))


if __name__ == "__main__":
    main()
