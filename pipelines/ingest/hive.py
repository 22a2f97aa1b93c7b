"""Keys in the names of folders, as Hive, Spark and DuckDB write them: lang=de/year=2020/part-0.parquet."""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from pipelines.ingest.readers.record import ROLES, Fields, Parsed

NULL = "__HIVE_DEFAULT_PARTITION__"


@lru_cache(maxsize=1024)
def keys_of(file: str) -> dict[str, str]:
    """The keys in the folders of a file's name; of a key that is there twice, the inner value."""
    pairs = [folder.partition("=") for folder in file.split("/")[:-1] if "=" in folder]
    values = {unquote(key): unquote(value) for key, _, value in pairs}
    return {key: value for key, value in values.items() if key and value and value != NULL and "\0" not in value}


def with_keys(documents: list[Parsed], files: Sequence[str], fields: Fields) -> list[Parsed]:
    """The documents; each label that a record lacks is the key of this name in its own file's name, if there is one."""
    names = {role: name for role, name in fields.labels.items() if role in ROLES}
    if not any("=" in file for file in set(files)):
        return documents
    return [labelled(document, keys_of(file), names) for document, file in zip(documents, files, strict=True)]


def labelled(document: Parsed, keys: dict[str, str], names: dict[str, str]) -> Parsed:
    lacking = {role: keys[name] for role, name in names.items() if getattr(document, role) is None and name in keys}
    return msgspec.structs.replace(document, **lacking) if lacking else document
