"""Where tables lie: shards under the hash of what they hold, and actions that lead to the shards they made.

    ROOT/shards/TOKENS/3f/3f09....parquet   a shard, under its content hash; its checksum in a .seal beside it
    ROOT/actions/encode/a1/a1b2....json     what one action made; its name is a hash of all that went into it
    ROOT/measured/                          what models said, by scorer, fingerprint and document; see measured.py
    ROOT/scratch/                           what a running stage needs on disk; emptied when a build begins
    ROOT/datasets/MIX/VERSION/              what people and trainers open
    ROOT/progress.jsonl                     a line for each action that was committed in this build

A build asks for each action's result and makes those that are not there, so skipping, resuming and sharing work
between versions need no further code. Every file is written under a temporary name, synced and renamed, and an
action is written after its shards: whatever the moment of a crash, what has a name is whole.
"""

import json
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from pipelines.store.content_hash import TableHash
from pipelines.store.files import publish, seal, write_json
from schemas.conform import conform
from schemas.tables import FEW_VALUES, TABLES

ROW_GROUP_BYTES = 8 << 20  # in memory; 16 rows of 131,072 tokens


@dataclass(frozen=True)
class Shard:
    """One Parquet file of a table. Equal content has an equal `content_hash`, whatever wrote it."""

    table: str
    content_hash: str
    n_rows: int
    columns: dict[str, str]  # column -> hash of its values
    came_from: tuple[str, int] | None = field(default=None, compare=False)  # raw file, first byte in it

    def __hash__(self) -> int:
        return int(self.content_hash[:15], 16)


@dataclass(frozen=True)
class Store:
    """The tables under one folder. Small enough to travel to every worker; holds nothing but the path."""

    root: Path

    def path(self, shard: Shard) -> Path:
        return self.root / "shards" / shard.table / shard.content_hash[:2] / f"{shard.content_hash}.parquet"

    def scratch(self, name: str) -> Path:
        """A folder for a stage's temporary files. The stage removes it; so does the next build."""
        folder = self.root / "scratch" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # -- shards

    def read(self, shard: Shard, columns: Iterable[str] | None = None) -> pa.Table:
        """The shard's rows, in the types of the contract."""
        wanted = None if columns is None else list(columns)
        table = pq.read_table(self.path(shard), columns=wanted, partitioning=None)
        schema = TABLES[shard.table]
        return table.cast(schema if wanted is None else pa.schema([schema.field(name) for name in wanted]))

    def write(
        self, name: str, tables: Iterable[pa.Table] | pa.Table, came_from: tuple[str, int] | None = None
    ) -> Shard:
        """Write a shard of table `name`, piece by piece; memory is that of one piece.

        Raises:
            SchemaError: a column is missing, not declared, of another type, or NULL where it may not be.
        """
        schema = TABLES[name]
        digest = TableHash(name, schema)
        part = self.scratch("writing") / f"{uuid.uuid4().hex}.parquet"
        try:
            with pq.ParquetWriter(
                part,
                schema,
                compression="zstd",
                use_dictionary=[f for f in schema.names if f in FEW_VALUES],
                write_statistics=[f.name for f in schema if not pa.types.is_nested(f.type) and f.name != "text"],
            ) as writer:
                for table in [tables] if isinstance(tables, pa.Table) else tables:
                    checked = conform(table, schema, name)
                    digest.update(checked)
                    rows = max(1, checked.num_rows * ROW_GROUP_BYTES // max(1, checked.nbytes))
                    writer.write_table(checked, row_group_size=rows)
            shard = Shard(name, digest.content_hash(), digest.n_rows, digest.columns(), came_from)
            if not self.is_whole(shard):  # the same rows may be there in another library's bytes: those stay
                publish(part, self.path(shard))
                write_json(self.seal_path(shard), seal(self.path(shard)), self.scratch("writing"))
            return shard
        finally:
            part.unlink(missing_ok=True)

    def seal_path(self, shard: Shard) -> Path:
        return self.path(shard).with_suffix(".seal")

    def is_whole(self, shard: Shard) -> bool:
        """Whether the shard's file is there and undamaged. Reads the file once."""
        try:
            return json.loads(self.seal_path(shard).read_bytes()) == seal(self.path(shard))
        except (OSError, ValueError):
            return False

    # -- actions

    def action_path(self, stage: str, name: str) -> Path:
        return self.root / "actions" / stage / name[:2] / f"{name}.json"

    def find(self, stage: str, name: str) -> list[Shard] | None:
        """What the action made; None when it was never done or a shard of it is missing or damaged."""
        path = self.action_path(stage, name)
        try:
            shards = [load_shard(item) for item in json.loads(path.read_bytes())["shards"]]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # never done, or its record is damaged: do it
        damaged = [shard for shard in shards if not self.is_whole(shard)]
        for shard in damaged:
            self.path(shard).unlink(missing_ok=True)
        return None if damaged else shards

    def commit(self, stage: str, name: str, shards: list[Shard], n_documents: int = 0, n_bytes: int = 0) -> list[Shard]:
        """Record what an action made, after its shards; and say so to whoever follows the progress."""
        record = {"stage": stage, "shards": [asdict(s) for s in shards]}
        write_json(self.action_path(stage, name), record, self.scratch("writing"))
        if n_documents or n_bytes:  # an action over others' shards makes nothing of its own
            self.tell({"stage": stage, "event": "made", "documents": n_documents, "bytes": n_bytes})
        return shards

    def tell(self, event: dict[str, object]) -> None:
        """Append a line to progress.jsonl; one write, so that lines of several workers never mix."""
        line = json.dumps({"time": round(time.time(), 3), **event}) + "\n"
        with open(self.root / "progress.jsonl", "ab", buffering=0) as stream:
            stream.write(line.encode())


def load_shard(item: dict) -> Shard:
    came_from = item["came_from"]
    return Shard(**{**item, "came_from": tuple(came_from) if came_from else None})


# -- files


# -- names


def name_of(*parts: object) -> str:
    """A hash that leads to an action: blake2b-128 over the canonical JSON of all that it depends on."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return blake2b(json.dumps(plain, sort_keys=True, ensure_ascii=True).encode(), digest_size=16).hexdigest()


@contextmanager
def scratch_folder(store: Store, name: str) -> Iterator[Path]:
    """A scratch folder that is gone afterwards."""
    folder = store.scratch(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
