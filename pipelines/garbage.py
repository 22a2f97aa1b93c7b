"""`longmix gc`: remove what no published version lists: shards, and the actions that lead to them."""

from pathlib import Path

from pipelines.ingested import INGESTED
from pipelines.store import shards_in
from pipelines.store.lock import locked
from schemas.errors import RecipeError
from schemas.manifest import Manifest


def collect(root: Path, dry_run: bool) -> tuple[int, int]:
    """Remove unlisted shards and the actions that name them. Returns the files and bytes removed.

    Raises:
        BusyError: another process holds the root.
        RecipeError: nothing was ever built under the root, or what is published cannot be accounted for.
    """
    root = root.absolute()
    if not (root / "actions").is_dir():
        raise RecipeError(f"{root}: no mix was built there; name the --root of a build")
    with locked(root, "gc", "--root"):
        listed = listed_hashes(root)
        unlisted = [path for path in sorted(root.glob("shards/*/*/*")) if path.stem not in listed]
        unlisted += [path for path in sorted(root.glob("actions/**/*.json")) if not leads_to(path, listed)]
        unlisted += [path for path in sorted(root.glob(f"{INGESTED}/*.json")) if not leads_to(path, listed)]
        n_bytes = sum(path.stat().st_size for path in unlisted)
        if not dry_run:
            for path in reversed(unlisted):  # actions first: one that is there leads to shards that are
                path.unlink()
        return len(unlisted), n_bytes


def listed_hashes(root: Path) -> set[str]:
    """The content hashes of all shards that versions list, for their readers or for the next refresh.

    Raises:
        RecipeError: there is no version, or one has no manifest: its shards would count as unlisted.
        SchemaError: a manifest is damaged.
    """
    folders = [path for path in sorted(root.glob("datasets/*/[!.]*")) if path.is_dir() and not path.is_symlink()]
    if not folders:
        raise RecipeError(f"{root}: no version is published, so gc would remove everything; remove the folder instead")
    if without := [folder for folder in folders if not (folder / "manifest.json").is_file()]:
        raise RecipeError(
            f"{without[0]}: has no manifest.json, so gc cannot tell which shards it needs; nothing was removed; build "
            "the mix again or remove this folder"
        )
    manifests = [Manifest.of(folder) for folder in folders]
    return {
        shard.content_hash
        for manifest in manifests
        for tables in (manifest.tables, manifest.kept)
        for shards in tables.values()
        for shard in shards
    }


def leads_to(action: Path, listed: set[str]) -> bool:
    """Whether an action has made only listed shards. A damaged record leads to nothing."""
    try:
        return all(shard.content_hash in listed for shard in shards_in(action.read_bytes()))
    except (ValueError, KeyError, TypeError):
        return False
