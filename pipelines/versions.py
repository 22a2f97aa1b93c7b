"""Published versions of a mix: the folders under ROOT/datasets/MIX/, found, read and compared with their manifests."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.store import Shard
from pipelines.store.files import seal, sync_folder
from schemas.errors import RecipeError, SchemaError
from schemas.manifest import Manifest


@dataclass(frozen=True)
class Version:
    """A published version: datasets/MIX/VERSION. `is_new` is False where it was there before."""

    folder: Path
    mix: str
    version: str
    is_new: bool

    def __str__(self) -> str:
        return str(self.folder)


def shards_of(manifest: Manifest) -> dict[str, list[Shard]]:
    """The shards that a version lists, by table."""
    return {
        name: [Shard(name, s.content_hash, s.n_rows, s.columns, s.came_from) for s in shards]
        for name, shards in manifest.tables.items()
    }


def kept_by(base: Path | None) -> dict[str, list[Shard]]:
    """The tables of a base version, whose kept documents dedup keeps first; none without a base."""
    return shards_of(Manifest.of(base)) if base else {}


def is_whole(folder: Path) -> bool:
    """Whether a version was published here and its Parquet files are undamaged."""
    try:
        manifest = Manifest.of(folder)
        seals = [(s.n_bytes, s.xxh3_128) for s in manifest.tables["SEQUENCES"]]
        found = [seal(folder / name) for name in manifest.files]
    except (SchemaError, OSError):
        return False
    there = all((folder / name).is_file() for name in ("catalog.duckdb", "README.md", "report.html"))
    return there and [(f["n_bytes"], f["xxh3_128"]) for f in found] == seals


def point_latest(folder: Path) -> None:
    """Make datasets/MIX/latest lead to the version, in one step."""
    latest, fresh = folder.with_name("latest"), folder.with_name(".latest.part")
    if latest.is_symlink() and latest.readlink() == Path(folder.name):
        return
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    os.replace(fresh, latest)
    sync_folder(folder.parent)


def find_version(root: Path, mix: str | None = None, version: str = "latest") -> Path:
    """The folder of a published version: of the only mix under the root, or of the one named.

    Raises:
        RecipeError: there is none, or more than one mix to choose from.
    """
    if (root / "manifest.json").is_file():
        return root  # a version's own folder
    mixes = sorted(p.parent.parent.name for p in root.glob("datasets/*/latest/manifest.json"))
    if mix is None and len(mixes) != 1:
        known = f"holds {', '.join(mixes)}; choose with --mix" if mixes else "holds no dataset; build one first"
        raise RecipeError(f"{root}: {known}")
    folder = root / "datasets" / (mix or mixes[0]) / version
    if not (folder / "manifest.json").is_file():
        raise RecipeError(f"{folder}: no such version; the root holds {', '.join(mixes) or 'no dataset'}")
    return folder.resolve()


def latest(root: Path, mix: str) -> Path | None:
    """The folder of the mix's newest version, or None."""
    folder = root.absolute() / "datasets" / mix / "latest"
    return folder.resolve() if (folder / "manifest.json").is_file() else None
