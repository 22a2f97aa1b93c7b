"""Remove what no published version lists: shards, and the actions that lead to them."""

import json
from pathlib import Path

from pipelines.store import Store
from pipelines.store.lock import held
from schemas.manifest import Manifest


def collect(root: Path, dry_run: bool) -> tuple[int, int]:
    """Remove unlisted shards and the actions that name them. Returns the files and bytes that went.

    Raises:
        BusyError: a build holds the root.
    """
    store = Store(root.absolute())
    with held(store, "gc"):
        listed = {
            (table, shard.content_hash)
            for path in sorted(root.glob("datasets/*/*/manifest.json"))
            for table, shards in Manifest.of(path.parent).tables.items()
            for shard in shards
        }
        gone = [p for p in sorted(root.glob("shards/*/*/*")) if (p.parts[-3], p.stem) not in listed]
        gone += [p for p in sorted(root.glob("actions/**/*.json")) if not leads_to(p, listed)]
        n_bytes = sum(p.stat().st_size for p in gone)
        if not dry_run:
            for path in reversed(gone):  # actions first: one that is there leads to shards that are
                path.unlink()
        return len(gone), n_bytes


def leads_to(action: Path, listed: set[tuple[str, str]]) -> bool:
    shards = json.loads(action.read_bytes())["shards"]
    return all((s["table"], s["content_hash"]) in listed for s in shards)
