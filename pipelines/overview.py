"""`longmix list`: what a root holds, a row for each version, from manifests and the sizes of files. Reads no table."""

from pathlib import Path
from typing import Any

from pipelines.versions import latest, published
from schemas.errors import RecipeError, SchemaError
from schemas.manifest import Manifest


def overview(root: Path) -> list[dict[str, Any]]:
    """A row for each version, by mix and time. tokens is NULL where no catalog has them.

    Raises:
        RecipeError: the root holds no version.
    """
    folders = published(root)
    if not folders:
        raise RecipeError(f"{root}: holds no dataset; build one first, or name the --root of a build")
    rows = [row_of(folder) for folder in folders]
    return sorted(rows, key=lambda row: (row["mix"], row["built"] or "", row["version"]))


def row_of(folder: Path) -> dict[str, Any]:
    n_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    is_latest = latest(folder.parents[2], folder.parent.name) == folder
    row = {"mix": folder.parent.name, "version": folder.name, "latest": is_latest}
    try:
        manifest = Manifest.of(folder)
    except SchemaError:
        return {**row, "sequences": None, "tokens": None, "bytes": n_bytes, "built": None, "base": None}
    shards = [shard for table in ("SEQUENCES", "SFT_SEQUENCES") for shard in manifest.tables.get(table, ())]
    return {
        **row, "sequences": sum(shard.n_rows for shard in shards), "tokens": tokens_of(folder), "bytes": n_bytes,
        "built": manifest.built.get("at"), "base": manifest.base,
    }  # fmt: skip


def tokens_of(folder: Path) -> int | None:
    """Tokens of all training rows, from the catalog."""
    import duckdb

    try:
        with duckdb.connect(str(folder / "catalog.duckdb"), read_only=True) as con:
            row = con.execute("SELECT tokens FROM totals").fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None
