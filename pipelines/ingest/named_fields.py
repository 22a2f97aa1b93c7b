"""Fields that a recipe names and no record has: nothing is lost, but every value is NULL."""

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.ingest.listing import find_files
from pipelines.ingest.readers import records_of, saved
from pipelines.ingest.readers.record import File
from pipelines.ingest.source import Source
from pipelines.peek import footer
from pipelines.recipe_faults import meant
from pipelines.store import Shard, Store
from schemas.errors import RecipeError
from schemas.tables import TABLES

COLUMNS = {"id": "record_id", "origin": "origin", "license_field": "license"}  # key of a source -> column of DOCUMENTS


def absent_fields(source: Source, documents: Sequence[Shard], store: Store) -> list[str]:
    """A sentence on each field that the recipe names while no document of the source has a value of it."""
    if not any(shard.n_rows for shard in documents):
        return []
    lines = []
    for key, column in COLUMNS.items():
        name = getattr(source, key)
        if key not in source.model_fields_set or name is None or column not in TABLES["DOCUMENTS"].names:
            continue
        default = source.license if key == "license_field" else None
        if not any(has_value(shard, column, default, store) for shard in documents):
            lines.append(absent(source, key, fields_of(source, store), "record"))
    return lines


def absent(source: Source, key: str, fields: Sequence[str], noun: str) -> str:
    """The sentence on a key whose field no record has. fields: of a first record."""
    name, others = getattr(source, key), [field for field in fields if field not in source.texts]
    hint = meant(name, others) if others else ""
    return f"source {source.name}: {key} = {name!r}, and no {noun} has a value of it{hint}"


def has_value(shard: Shard, column: str, default: str | None, store: Store) -> bool:
    """Whether a row of a shard has a value other than the default, by the statistics in its footer."""
    if not shard.n_rows:
        return False
    metadata = footer(shard, store)
    place = metadata.schema.names.index(column)
    for i in range(metadata.num_row_groups):
        statistics = metadata.row_group(i).column(place).statistics
        if statistics is None or not statistics.has_null_count:
            return True
        if statistics.null_count == metadata.row_group(i).num_rows:
            continue
        if not statistics.has_min_max or {statistics.min, statistics.max} != {default}:
            return True
    return False


def fields_of(source: Source, store: Store) -> list[str]:
    """The fields of the source's first record that can be read; none where that cannot be found out."""
    if source.hub:
        return []
    try:
        kind, listed = find_files(source, store.root)
        return next((names for file in listed if not file.fault for names in records_fields(kind, file, source)), [])
    except (RecipeError, OSError, ValueError, pa.ArrowException):
        return []


def records_fields(kind: str, file: File, source: Source) -> Iterator[list[str]]:
    """The names of the fields of each record of a file, or of all of them once where it has a schema."""
    if kind == "parquet":
        yield pq.read_schema(file.path).names
    elif kind == "hf":
        with saved.opened(file) as table:
            yield table.schema.names
    elif kind != "text":
        for record in records_of(kind, file, source.fields):
            try:
                row = json.loads(record.raw)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield list(row)
