"""SEQUENCES -> the folder that people and trainers open: datasets/MIX/VERSION with card, report, catalog and manifest.

The folder is made under a temporary name, manifest last, and renamed; `latest` then points to it. A version that is
there and whole is left as it is.
"""

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

from pipelines.card import card
from pipelines.recipe import Recipe
from pipelines.report import report
from pipelines.store import Shard, Store, seal, sync_folder, write_json
from pipelines.views import check_laws, connect, write_catalog
from schemas.errors import RecipeError, SchemaError
from schemas.manifest import Manifest, ManifestShard, version_of

Tables = Mapping[str, Sequence[Shard]]

LIBRARIES = ("apache-beam", "duckdb", "longmix", "numba", "numpy", "pyarrow", "tokenizers")


@dataclass(frozen=True)
class Version:
    """A published version: datasets/MIX/VERSION. `is_new` is False where it was there before."""

    folder: Path
    mix: str
    version: str
    is_new: bool

    def __str__(self) -> str:
        return str(self.folder)


def run(recipe: Recipe, base: Manifest | None, tables: Tables, store: Store) -> Version:
    """Check the laws, then publish. Nothing is written where the version is there already, or is its base again.

    Raises:
        LawError: the tables break a law; nothing is published.
    """
    hashes = {name: [shard.content_hash for shard in shards] for name, shards in sorted(tables.items())}
    version = version_of(recipe.identity(), base.version if base else None, hashes)
    if base and base.holds(recipe.identity(), hashes):
        version = base.version
    folder = store.root / "datasets" / recipe.mix / version
    if is_whole(folder):
        point_latest(folder)
        return Version(folder, recipe.mix, version, is_new=False)
    part = folder.with_name(f".{version}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    sequences = tables["SEQUENCES"]
    names = [f"sequences-{i:05d}-of-{len(sequences):05d}.parquet" for i in range(len(sequences))]
    for name, shard in zip(names, sequences, strict=True):
        link(store.path(shard), part / name)
    with connect(store, tables, names, **limits(recipe)) as con:
        check_laws(con)
        facts = {
            "mix": recipe.mix,
            "version": version,
            "base": base.version if base else "",
            "recipe": recipe.identity(),
        }
        write_catalog(con, part / "catalog.duckdb", facts)
        (part / "README.md").write_text(card(con, recipe, version))
        (part / "report.html").write_text(report(con, recipe, version))
    manifest = Manifest(
        mix=recipe.mix,
        version=version,
        base=base.version if base else None,
        recipe=recipe.identity(),
        tables={name: [listed(shard, store) for shard in shards] for name, shards in tables.items()},
        files={name: shard.content_hash for name, shard in zip(names, sequences, strict=True)},
        built={
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            **{name: installed(name) for name in LIBRARIES},
        },
    )
    write_json(part / "manifest.json", manifest.model_dump(mode="json"))
    shutil.rmtree(folder, ignore_errors=True)  # only a damaged one is ever here
    os.replace(part, folder)
    sync_folder(folder.parent)
    point_latest(folder)
    return Version(folder, recipe.mix, version, is_new=True)


def limits(recipe: Recipe) -> dict[str, object]:
    """The recipe's figures that a law holds the tables against."""
    return {
        "threshold": recipe.dedup.threshold,
        "sequence_tokens": recipe.pack.sequence_tokens,
        "budget_tokens": recipe.plan.budget_tokens,
    }


def link(shard: Path, path: Path) -> None:
    """The same file under another name; a copy where the file system has no hard links."""
    try:
        os.link(shard, path)
    except OSError:
        shutil.copyfile(shard, path)


def listed(shard: Shard, store: Store) -> ManifestShard:
    return ManifestShard(
        content_hash=shard.content_hash,
        n_rows=shard.n_rows,
        columns=shard.columns,
        came_from=shard.came_from,
        **seal(store.path(shard)),
    )


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
