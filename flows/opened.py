"""Opened for `longmix query` and `longmix show`: the tables of a version, or those of a mix's last ingest.

The root may be read-only. What DuckDB spills goes to a temporary folder of the system's, which is removed at the end, also
after an error or Ctrl-C.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.interrupts import temporary_folder
from flows.terminal import echo
from pipelines.catalog import LABEL_BYTES, LONGEST, connect, connect_ingested, make_room, variables_of
from pipelines.ingested import INGESTED, last_ingest, mixes
from pipelines.store import Shard, Store
from pipelines.versions import find_version, shards_of
from schemas.errors import DamagedError, RecipeError
from schemas.manifest import Manifest

MOST_NAMED = 3  # damaged files in a message
OF_FILES = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)


@dataclass(frozen=True)
class Query:
    """A query of a version. is_unrestricted: it may read and write other files and databases.

    version: its name, "latest", or INGESTED for what the mix's last ingest made.
    """

    sql: str
    mix: str | None = None
    version: str = "latest"
    is_unrestricted: bool = False


@contextmanager
def opened(root: Path, mix: str | None, version: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Manifest, Path]]:
    """A connection with the version's views, its manifest and its folder.

    Raises:
        DamagedError: DuckDB cannot read a file of the version; the message names it.
        RecipeError: there is no such version, or DuckDB refuses a query in the block.
    """
    folder = find_version(root.absolute(), mix, version)
    manifest = Manifest.of(folder)
    store = Store(folder.parents[2], run=None)
    tables, names = shards_of(manifest), [name for name in manifest.files if name.startswith("sequences-")]
    variables = variables_of(manifest.recipe, manifest.marks)
    longest = longest_list(folder)
    with (
        damage_named(store, tables),
        temporary_folder("longmix-query-") as spill,
        connect(store, tables, names, spill, variables) as con,
    ):
        make_room(con, longest, LABEL_BYTES)
        yield con, manifest, folder


@contextmanager
def tables_of(root: Path, query: Query) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to what a query reads: a version, or the last ingest of a mix that has none.

    Raises:
        DamagedError, RecipeError: as `opened`.
    """
    if not reads_ingest(root, query):
        with opened(root, query.mix, query.version) as (con, _, _):
            yield con
        return
    mix, tables = last_ingest(root.absolute(), query.mix)
    echo(f"{mix}: the documents and rejected records of its last ingest, not those of a version", err=True)
    store = Store(root.absolute(), run=None)
    with (
        damage_named(store, tables),
        temporary_folder("longmix-query-") as spill,
        connect_ingested(store, tables, spill) as con,
    ):
        try:
            yield con
        except duckdb.CatalogException as error:
            finding = str(error).partition("\n")[0]
            raise RecipeError(
                f"query: {finding} Without a version there are documents, rejected and rejections; build the mix for the others"
            ) from error


def reads_ingest(root: Path, query: Query) -> bool:
    """Whether a query reads the last ingest: it says so, or the root has an ingest and no version of the mix."""
    if query.version == INGESTED:
        return True
    is_there = query.mix in mixes(root) if query.mix else bool(mixes(root))
    versions = root.glob(f"datasets/{query.mix or '*'}/latest/manifest.json")
    return query.version == "latest" and is_there and not any(versions)


def longest_list(folder: Path) -> int:
    """Tokens of the longest row of TOKENS or SEQUENCES, from a version's catalog.

    Raises:
        DamagedError: the catalog cannot be read.
    """
    path = folder / "catalog.duckdb"
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            ((longest,),) = con.execute(LONGEST).fetchall()
    except duckdb.Error as error:
        raise DamagedError(f"{path}: damaged or missing; `longmix build RECIPE --verify` makes it again") from error
    return longest or 0


@contextmanager
def damage_named(store: Store, tables: Mapping[str, Sequence[Shard]]) -> Iterator[None]:
    """DuckDB's errors as one line: which files are damaged, else why it refuses a query.

    Raises:
        DamagedError: files of the tables differ from their seals.
        RecipeError: none does.
    """
    try:
        yield
    except duckdb.Error as error:
        if may_be_damage(error):
            damaged = [shard for shards in tables.values() for shard in shards if not store.is_whole(shard)]
            if damaged:
                names = [str(store.path(shard).relative_to(store.root)) for shard in damaged]
                more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
                raise DamagedError(
                    f"{store.root}: {', '.join(names[:MOST_NAMED])}{more}: damaged or missing; "
                    "`longmix build RECIPE --verify` makes it again"
                ) from error
        raise RecipeError(f"query: {str(error).strip()}") from error


def may_be_damage(error: duckdb.Error) -> bool:
    """Whether DuckDB may have met a damaged file: the seals of all shards are compared only then.

    What it says about a query's own mistakes is of other types, or names no Parquet file.
    """
    return type(error) is duckdb.Error or isinstance(error, OF_FILES) or "parquet" in str(error).lower()
