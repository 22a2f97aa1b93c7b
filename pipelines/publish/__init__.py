"""SEQUENCES, or SFT_SEQUENCES and MESSAGES -> the folder that people and trainers open: datasets/MIX/VERSION with card, report, catalog and manifest.

The folder is made under a temporary name, manifest last, and renamed; `latest` then points to it. A version that was
published and is complete is left as it is.
"""

import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

from pipelines.catalog import check_laws, connect, materialise, variables_of, write_catalog
from pipelines.encode import bos_id, eos_id
from pipelines.publish.card import Edition, card
from pipelines.publish.report import report
from pipelines.publish.sft_card import sft_card
from pipelines.publish.sft_report import sft_report
from pipelines.recipe import AnyRecipe
from pipelines.sft_recipe import SftRecipe
from pipelines.store import Shard, Store, files
from pipelines.versions import Version, damaged_files, point_latest
from schemas.errors import DamagedError
from schemas.manifest import KEPT, PAGES, TOKENIZER, Manifest, ManifestShard, file_names, version_of

Tables = Mapping[str, Sequence[Shard]]

ROWS = ("SEQUENCES", "SFT_SEQUENCES")  # one of these has the training rows of a version

LIBRARIES = ("apache-beam", "duckdb", "longmix", "numba", "numpy", "pyarrow", "tokenizers")


def run(recipe: AnyRecipe, base: Manifest | None, tables: Tables, store: Store, notes: Sequence[str] = ()) -> Version:
    """Check the laws, then publish. Nothing is written where the version was published before, or equals its base.

    Args:
        tables: those of the version, and those of schemas.manifest.KEPT.
        notes: sentences on the input, for the card and the report. They do not change the version's name.

    Raises:
        LawError: the tables break a law; nothing is published.
    """
    kept = {name: tables[name] for name in KEPT if name in tables}
    tables = {name: shards for name, shards in tables.items() if name not in kept}
    hashes = {name: [shard.content_hash for shard in shards] for name, shards in sorted(tables.items())}
    parent = base.version if base else None
    version = version_of(recipe.identity(), parent, hashes)
    if base and base.holds(recipe.identity(), hashes):
        version, parent = base.version, base.base
    folder = store.root / "datasets" / recipe.mix / version
    damaged = damaged_files(folder, verify=store.verify) if folder.exists() else []
    if folder.exists() and not damaged:
        point_latest(folder)
        return Version(folder, recipe.mix, version, is_new=False)
    part = folder.with_name(f".{version}.part")
    shutil.rmtree(part, ignore_errors=True)
    files.make_folder(part)
    for name, shard in file_names(tables):
        files.link(store.path(shard), part / name)
    shutil.copyfile(recipe.encode.tokenizer.path, part / TOKENIZER)
    edition = Edition(version, folder, tuple(dict.fromkeys(notes)))
    write_pages(part, recipe, edition, parent, tables, store)
    manifest = Manifest(
        mix=recipe.mix,
        version=version,
        base=parent,
        recipe=recipe.identity(),
        tables={name: [listed(shard, store) for shard in shards] for name, shards in tables.items()},
        kept={name: [listed(shard, store) for shard in shards] for name, shards in kept.items()},
        marks=marks_of(recipe),
        files={name: shard.content_hash for name, shard in file_names(tables)},
        pages={name: files.seal(part / name)["xxh3_128"] for name in PAGES},
        notes=edition.notes,
        built={
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            **{name: installed(name) for name in LIBRARIES},
        },
    )
    files.write_json(part / "manifest.json", manifest.record())
    files.rename_folder(part, folder)
    point_latest(folder)
    mended = tuple(f"datasets/{recipe.mix}/{version}/{name}" for name in damaged)
    return Version(folder, recipe.mix, version, is_new=True, mended=mended)


def marks_of(recipe: AnyRecipe) -> dict[str, int | None]:
    """The ids that mark a document in input_ids, as in a manifest."""
    return {"eos_id": eos_id(recipe.encode), "bos_id": bos_id(recipe.encode)}


def write_pages(
    part: Path, recipe: AnyRecipe, edition: Edition, parent: str | None, tables: Tables, store: Store
) -> None:
    """Check the laws; write the catalog, the card and the report.

    Raises:
        LawError: the tables break a law.
        DamagedError: a shard's bytes differ from its seal.
    """
    for shards in tables.values():
        for shard in shards:
            store.check(shard)
    identity = recipe.identity()
    names = [name for name, shard in file_names(tables) if shard.table in ROWS]
    with (
        store.scratch("duckdb") as spill,
        connect(store, tables, names, spill.folder, variables_of(identity, marks_of(recipe))) as con,
    ):
        materialise(con)
        check_laws(con)
        facts = {
            "mix": recipe.mix,
            "version": edition.version,
            "base": parent or "",
            "recipe": identity,
        }
        write_catalog(con, part / "catalog.duckdb", facts)
        if isinstance(recipe, SftRecipe):
            (part / "README.md").write_text(sft_card(con, recipe, edition), encoding="utf-8")
            (part / "report.html").write_text(sft_report(con, recipe, edition), encoding="utf-8")
        else:
            (part / "README.md").write_text(card(con, recipe, edition), encoding="utf-8")
            (part / "report.html").write_text(report(con, recipe, edition), encoding="utf-8")


def listed(shard: Shard, store: Store) -> ManifestShard:
    """
    Raises:
        DamagedError: the shard's seal is missing.
    """
    seal = store.seal_of(shard)
    if seal is None:
        raise DamagedError(f"{shard.table}/{shard.content_hash}: its seal is missing; run the build again")
    return ManifestShard(
        content_hash=shard.content_hash, n_rows=shard.n_rows, columns=shard.columns, came_from=shard.came_from, **seal
    )
