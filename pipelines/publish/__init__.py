"""SEQUENCES -> the folder that people and trainers open: datasets/MIX/VERSION with card, report, catalog and manifest.

The folder is made under a temporary name, manifest last, and renamed; `latest` then points to it. A version that is
there and whole is left as it is.
"""

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

from pipelines.catalog import check_laws, connect, write_catalog
from pipelines.publish.card import card
from pipelines.publish.report import report
from pipelines.recipe import Recipe
from pipelines.store import Shard, Store
from pipelines.store.files import seal, sync_folder, write_json
from pipelines.versions import Version, is_whole, point_latest
from schemas.manifest import Manifest, ManifestShard, version_of

Tables = Mapping[str, Sequence[Shard]]

LIBRARIES = ("apache-beam", "duckdb", "longmix", "numba", "numpy", "pyarrow", "tokenizers")


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
