"""`longmix gc`: remove what no published version lists: shards, and the actions that lead to them."""

import json
from pathlib import Path

from pipelines.store.lock import locked
from schemas.errors import RecipeError
from schemas.manifest import Manifest


def collect(root: Path, dry_run: bool) -> tuple[int, int]:
    """Remove unlisted shards and the actions that name them. Returns the files and bytes removed.

    Raises:
        BusyError: another process holds the root.
        RecipeError: nothing was ever built under the root.
    """
    root = root.absolute()
    if not (root / "actions").is_dir():
        raise RecipeError(f"{root}: no mix was built there; name the --root of a build")
    with locked(root, "gc", "--root"):
        listed = listed_hashes(root)
        unlisted = [path for path in sorted(root.glob("shards/*/*/*")) if path.stem not in listed]
        unlisted += [path for path in sorted(root.glob("actions/**/*.json")) if not leads_to(path, listed)]
        n_bytes = sum(path.stat().st_size for path in unlisted)
        if not dry_run:
            for path in reversed(unlisted):  # actions first: one that is there leads to shards that are
                path.unlink()
        return len(unlisted), n_bytes


def listed_hashes(root: Path) -> set[str]:
    """The content hashes of all shards that versions list, for their readers or for the next refresh."""
    manifests = [Manifest.of(path.parent) for path in sorted(root.glob("datasets/*/*/manifest.json"))]
    return {
        shard.content_hash
        for manifest in manifests
        for tables in (manifest.tables, manifest.kept)
        for shards in tables.values()
        for shard in shards
    }


def leads_to(action: Path, listed: set[str]) -> bool:
    return all(shard["content_hash"] in listed for shard in json.loads(action.read_bytes())["shards"])
