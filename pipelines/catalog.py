"""DuckDB over the tables of a version: the views of schemas, the laws of laws.sql, and catalog.duckdb."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.store import ROW_GROUP_BYTES, Shard, Store
from schemas.errors import LawError, SchemaError
from schemas.lengths import BUCKETS
from schemas.tables import TABLES
from schemas.views import comments, views

Tables = Mapping[str, Sequence[Shard]]

NOT_MATERIALISED = {
    "judged",
    "score_values",
    "encoded",
    "packed",
}  # many rows for each document, half of the catalog; scores has most of it
OF_INGEST = {"encoded", "rejected", "rejections"}  # views that need no table but DOCUMENTS and REJECTED
WITHOUT_TEXT = "SELECT COLUMNS(lambda name: name <> 'head')"  # the one column of views that holds text
STORAGE = "v1.0.0"  # the oldest DuckDB that can open a catalog
INSERT_SHARDS = "INSERT INTO shards SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)"  # a list a column
LIMIT_BYTES = 400_000_000  # of memory of a connection; the rest is spilled
TOKEN_BYTES = 32  # that a scan needs at most for each token of the longest list
LABEL_BYTES = 64  # that the law on labels needs
SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": f"{LIMIT_BYTES}B",
}


@contextmanager
def connect(
    store: Store, tables: Tables, published: Sequence[str], spill: Path, variables: Mapping[str, object]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory with a view for each table, and the views of views.sql.

    Args:
        published: the names of the version's Parquet files, in order.
        spill: a folder for what does not fit into memory.
        variables: those that views.sql and laws.sql name, see `variables_of`.

    Raises:
        SchemaError: the tables lack a column, because another release of longmix made them.
    """
    for shard in (shard for shards in tables.values() for shard in shards):
        if missing := [column for column in TABLES[shard.table].names if column not in shard.columns]:
            raise SchemaError(
                f"{store.root}: {shard.table} lacks {', '.join(missing)}: another release of longmix made this version; "
                "build the mix again"
            )
    con = duckdb.connect(config={**SETTINGS, "temp_directory": str(spill)})
    try:
        con.execute("SET enable_progress_bar = false")  # standard error is for people: progress.py writes there
        con.execute("CREATE TABLE shards (name VARCHAR, shard BIGINT, path VARCHAR, file VARCHAR, first_byte BIGINT)")
        con.execute("CREATE SCHEMA tables")
        for name in TABLES:
            shards = list(tables.get(name, ()))
            rows = [(name, i, str(store.path(s)), *(s.came_from or (None, None))) for i, s in enumerate(shards)]
            if rows:
                con.execute(INSERT_SHARDS, [list(column) for column in zip(*rows, strict=True)])
            con.execute(view_of(name, [row[2] for row in rows]))
        for name, value in {"published": list(published), **variables}.items():
            con.execute(f"SET VARIABLE {name} = {literal(value)}")
        con.execute(views())
        for view, comment in comments().items():
            con.execute(f"COMMENT ON VIEW {view} IS {literal(comment)}")
        yield con
    finally:
        con.close()


@contextmanager
def connect_ingested(store: Store, tables: Tables, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with DOCUMENTS and REJECTED alone, and the views `documents`, `rejected` and `rejections` of them."""
    variables = {"sequence_tokens": 0, "negative_neighbours": 0, "dropped_reasons": []}
    with connect(store, tables, [], spill, variables) as con:
        for view in comments():
            if view not in OF_INGEST:
                con.execute(f"DROP VIEW {view}")
        con.execute("CREATE VIEW documents AS SELECT * EXCLUDE (text) FROM tables.documents")
        yield con


def variables_of(recipe: Mapping[str, Any], marks: Mapping[str, int | None]) -> dict[str, object]:
    """What views and laws compare tables with.

    Args:
        recipe: Recipe.identity(), as in a manifest.
        marks: eos_id and bos_id, as in a manifest.
    """
    plan, pack = recipe.get("plan") or {}, recipe["pack"]  # a set of samples has no plan
    return {
        "threshold": recipe["dedup"]["threshold"],
        "sequence_tokens": pack["sequence_tokens"],
        "pad_documents_to": pack.get("pad_documents_to") or 1,  # an earlier release has no such key
        "negative_neighbours": pack.get("negative_neighbours", 0),
        "n_knots": len(pack.get("knot_tokens", ())),
        "dropped_reasons": (plan.get("select") or {}).get("drop", []),
        **marks,
        **{name: plan.get(name) for name in ("budget_tokens", "long_tokens", "max_epochs")},
    }


def view_of(name: str, paths: list[str]) -> str:
    """A view over the table's shards, each row with the number of its shard and its place in it.

    Shards of the same rows are one file: it is read once, and its rows have the number of each.
    """
    if not paths:
        columns = ", ".join(f'NULL::{sql_type(field.type)} AS "{field.name}"' for field in TABLES[name])
        return f'CREATE VIEW tables."{name}" AS SELECT 0::BIGINT AS shard, 0::BIGINT AS row, {columns} WHERE false'
    columns = ", ".join(f"t.{column}" for column in TABLES[name].names)
    return (
        f'CREATE VIEW tables."{name}" AS SELECT s.shard, t.file_row_number AS row, {columns} '
        f"FROM read_parquet({literal(list(dict.fromkeys(paths)))}, filename = true, file_row_number = true) t "
        f"JOIN shards s ON s.path = t.filename AND s.name = '{name}'"
    )


SQL_TYPES = {
    pa.string(): "VARCHAR", pa.large_string(): "VARCHAR", pa.binary(): "BLOB", pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER", pa.int64(): "BIGINT", pa.uint32(): "UINTEGER", pa.uint64(): "UBIGINT", pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
}  # fmt: skip


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's type for a column of a table. duckdb.from_arrow knows it too, after importing pandas for half a second."""
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{field.name}" {sql_type(field.type)}' for field in kind)
        return f"STRUCT({fields})"
    if pa.types.is_fixed_size_list(kind):
        return f"{sql_type(kind.value_type)}[{kind.list_size}]"
    return f"{sql_type(kind.value_type)}[]" if pa.types.is_list(kind) else SQL_TYPES[kind]


def literal(value: object) -> str:
    """A value as SQL text: a view takes no parameters."""
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]" + ("" if value else "::VARCHAR[]")
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value)


def laws() -> dict[str, str]:
    """Each law of laws.sql: its title -> the query for the rows that break it."""
    queries = {}
    for part in files("schemas").joinpath("laws.sql").read_text(encoding="utf-8").split("-- law: ")[1:]:
        title, _, query = part.partition("\n")
        queries[title] = query.strip().rstrip(";")
    return queries


LONGEST = "SELECT max(n) FROM (SELECT n_tokens AS n FROM largest UNION ALL SELECT n_tokens FROM sequences)"


def make_room(con: duckdb.DuckDBPyConnection, n_tokens: int, token_bytes: int) -> None:
    """Let a connection read lists of up to n_tokens token ids, which DuckDB holds in memory and cannot spill.

    A scan holds the lists of a row group, or one longer list, in an array that grows by doubling. Where they do not fit
    into the memory limit in every thread, there are fewer threads; where one does not fit, the limit is raised.
    """
    need_bytes = token_bytes * max(n_tokens, ROW_GROUP_BYTES // 4)
    ((n_threads,),) = con.execute("SELECT current_setting('threads')").fetchall()
    con.execute(f"SET threads = {max(1, min(n_threads, LIMIT_BYTES // need_bytes))}")
    con.execute(f"SET memory_limit = '{max(LIMIT_BYTES, need_bytes)}B'")


@contextmanager
def room_for(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[None]:
    """Room for the longest list of tokens where a query reads lists, and the settings of before at the end."""
    if "input_ids" not in query:
        yield
        return
    ((longest,),) = con.execute(LONGEST).fetchall()
    ((n_threads,),) = con.execute("SELECT current_setting('threads')").fetchall()
    make_room(con, longest or 0, LABEL_BYTES if "labels" in query else TOKEN_BYTES)
    try:
        yield
    finally:
        con.execute(f"SET threads = {n_threads}")
        con.execute(f"SET memory_limit = '{LIMIT_BYTES}B'")


def check_laws(con: duckdb.DuckDBPyConnection) -> None:
    """Run every law. Memory: the connection's limit, or up to LABEL_BYTES for each token of the longest row.

    Raises:
        LawError: one is broken; with its first rows.
    """
    for title, query in laws().items():
        with room_for(con, query):
            broken = con.execute(f"{query} LIMIT 3").fetchall()
        if broken:
            raise LawError(
                f"law broken: {title}; for example {broken}; nothing was published: this is a defect of longmix"
            )


def materialise(con: duckdb.DuckDBPyConnection) -> None:
    """Replace the views of the catalog by tables of their rows, so that laws, catalog, card and report compute each once.

    No view is left that reads the text of documents. Memory: about 500 bytes a document, within the memory limit of the connection; the rest is spilled.
    """
    for view in comments():  # in the order of their dependencies
        if view not in NOT_MATERIALISED:
            con.execute(f"CREATE TABLE materialised AS {WITHOUT_TEXT} FROM {view}")
            con.execute(f"DROP VIEW {view}")
            con.execute(f"ALTER TABLE materialised RENAME TO {view}")


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """The answer to a query, a dict for each row."""
    answer = con.execute(query)
    columns = [column[0] for column in answer.description or []]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def by_length(con: duckdb.DuckDBPyConnection, column: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Domains, ascending, and a column of the view `lengths` as [d, 9] int64 by domain and length bucket."""
    cells = con.execute(f"SELECT domain, length_bucket::VARCHAR, {column} FROM lengths").fetchall()
    domains = tuple(sorted({domain for domain, _, _ in cells}))
    figures = np.zeros((len(domains), len(BUCKETS)), np.int64)
    for domain, bucket, n in cells:
        figures[domains.index(domain), BUCKETS.index(bucket)] = n
    return domains, figures


def write_catalog(con: duckdb.DuckDBPyConnection, path: Path, facts: Mapping[str, object]) -> None:
    """The statistics as tables of a DuckDB file of its own: no text, no tokens, no path of this machine."""
    con.execute(f"ATTACH {literal(str(path))} AS catalog (STORAGE_VERSION '{STORAGE}')")
    for view, comment in comments().items():
        if view not in NOT_MATERIALISED:
            con.execute(f"CREATE TABLE catalog.{view} AS {WITHOUT_TEXT} FROM {view}")
            con.execute(f"COMMENT ON TABLE catalog.{view} IS {literal(comment)}")
    con.execute("CREATE TABLE catalog.build (key VARCHAR, value VARCHAR)")
    con.executemany(
        "INSERT INTO catalog.build VALUES (?, ?)",
        [(k, v if isinstance(v, str) else json.dumps(v)) for k, v in facts.items()],
    )
    con.execute("DETACH catalog")
