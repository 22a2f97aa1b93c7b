"""manifest.json: the content of a version. Times, paths and library versions do not affect the version's name."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas import records
from schemas.errors import SchemaError

S = TypeVar("S")

# Tables that no reader of a version needs, and that the next refresh would otherwise compute again.
KEPT = ("NEAR", "FIRST_BUDGET", "FIRST_SCORES")

# Tables whose shards are published as files, and how the names of the files begin.
PUBLISHED = {"SEQUENCES": "sequences", "SFT_SEQUENCES": "sequences", "MESSAGES": "messages"}

# Published beside the Parquet files.
TOKENIZER = "tokenizer.json"
PAGES = ("catalog.duckdb", "README.md", "report.html", TOKENIZER)


class ManifestShard(BaseModel):
    """A shard as a version lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content_hash: str
    n_rows: int
    columns: dict[str, str]  # column -> hash of its values
    came_from: tuple[str, int] | None  # raw file, first byte in it
    n_bytes: int  # of the Parquet file
    xxh3_128: str  # of the Parquet file


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    mix: str
    version: str
    base: str | None  # the version whose decisions this one kept where possible
    recipe: dict[str, object]
    tables: dict[str, list[ManifestShard]]
    kept: dict[str, list[ManifestShard]] = Field(default_factory=dict)  # see KEPT; not part of the version's name
    files: dict[str, str]  # published file -> content hash of its shard
    pages: dict[str, str] = Field(default_factory=dict)  # each of PAGES -> xxh3-128 of its bytes; not part of the name
    marks: dict[str, int | None] = Field(
        default_factory=dict
    )  # eos_id and bos_id, ids in input_ids; not part of the name
    notes: tuple[str, ...] = ()  # sentences on the input, as in the card; not part of the version's name
    built: dict[str, object]  # time, environment, duration; not part of the version's name

    @classmethod
    def of(cls, folder: Path) -> "Manifest":
        """The manifest of a published folder.

        Raises:
            SchemaError: the file is missing or damaged.
        """
        path = folder / "manifest.json"
        try:
            return cls.model_validate(records.checked(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise SchemaError(f"{path}: not a readable manifest ({fault(error)}); build the mix again") from error

    def record(self) -> dict[str, object]:
        """As in the file, with its checksum."""
        return records.with_checksum(self.model_dump(mode="json"))

    def published(self) -> dict[str, ManifestShard]:
        """Published file -> its shard."""
        return dict(file_names(self.tables))

    @property
    def tokenizer_hash(self) -> str:
        """Of the tokenizer that made input_ids, as HashedFile.hash."""
        return self.recipe["encode"]["tokenizer"]["hash"]  # type: ignore[index]

    def holds(self, recipe: dict[str, object], tables: dict[str, list[str]]) -> bool:
        """Whether the version has this recipe and these content hashes."""
        hashes = {name: [shard.content_hash for shard in shards] for name, shards in self.tables.items()}
        return canonical(self.recipe) == canonical(recipe) and hashes == tables


def file_names(tables: Mapping[str, Sequence[S]]) -> list[tuple[str, S]]:
    """The name of each published file and its shard, table by table, in order."""
    return [
        (f"{prefix}-{i:05d}-of-{len(tables[table]):05d}.parquet", shard)
        for table, prefix in PUBLISHED.items()
        for i, shard in enumerate(tables.get(table, ()))
    ]


def fault(error: OSError | ValueError) -> str:
    """The first finding about a file, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return ": ".join([*map(str, first["loc"]), first["msg"]])


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def version_of(recipe: dict[str, object], base: str | None, tables: dict[str, list[str]]) -> str:
    """The first 12 hex digits of a hash over the recipe, the base and the content hashes of all shards."""
    return blake2b(canonical([recipe, base, tables]).encode(), digest_size=16).hexdigest()[:12]
