"""Where tables are kept: shards under the hash of their content, and actions that lead to the shards they made.

    ROOT/shards/TOKENS/3f/3f09....parquet   a shard, under its content hash; its checksum in a .seal beside it
    ROOT/actions/encode/a1/a1b2....json     what one action made; its name is a hash of everything it depends on
    ROOT/measured/                          values measured by models, by scorer, fingerprint and document
    ROOT/raw_hashes.sqlite                  hashes of raw files, with the state of the file that each was taken of
    ROOT/ingested/MIX.json                  the shards of the mix's last ingest, for queries after a failed build
    ROOT/scratch/                           temporary files of a running stage; emptied when a build begins
    ROOT/datasets/MIX/VERSION/              what people and trainers open
    ROOT/progress.jsonl                     a line for each action committed in the current build

A build looks every action up and makes those that are missing, so skipping, resuming and sharing between versions need
no further code. Every file is written under a temporary name, synced and renamed, and an action is written after its
shards: after a crash at any moment, a file that has a name is complete.
"""

import json
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from pipelines.memory import prefer_release
from pipelines.store import files
from pipelines.store.content_hash import TableHash
from pipelines.store.files import Scratch
from schemas import records
from schemas.conform import conform
from schemas.errors import DamagedError
from schemas.tables import ENCODINGS, FEW_VALUES, TABLES

ROW_GROUP_BYTES = 8 << 20  # in memory; 16 rows of 131,072 tokens

prefer_release()


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
    """The tables under one folder. Small enough to travel to every worker.

    A shard's bytes are compared with its seal when a run reads it first. A shard that is only listed is compared by size.

    Attributes:
        run: names the run; a shard is verified once in each process of a run. None: reads verify nothing.
        verify: a shard that is only listed is verified too.
    """

    root: Path
    run: str | None = ""
    verify: bool = False

    def path(self, shard: Shard) -> Path:
        return self.root / "shards" / shard.table / shard.content_hash[:2] / f"{shard.content_hash}.parquet"

    def seal_path(self, shard: Shard) -> Path:
        return self.path(shard).with_suffix(".seal")

    @contextmanager
    def session(self) -> Iterator[None]:
        """Begin with an empty scratch folder and progress file. Only for the process that holds the root's lock."""
        shutil.rmtree(self.root / "scratch", ignore_errors=True)
        (self.root / "scratch").mkdir(exist_ok=True)  # a mount or a link stays
        (self.root / "progress.jsonl").write_bytes(b"")
        yield
        shutil.rmtree(self.root / "scratch", ignore_errors=True)

    @contextmanager
    def scratch(self, name: str) -> Iterator[Scratch]:
        """A folder for a stage's temporary files, empty at first and removed afterwards."""
        folder = self.root / "scratch" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield Scratch(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def parts(self) -> Path:
        """The folder of files that are being written."""
        folder = self.root / "scratch" / "writing"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # -- shards

    def open(self, shard: Shard) -> pq.ParquetFile:
        """
        Raises:
            DamagedError: the shard's file is missing, or its bytes differ from its seal.
        """
        self.check(shard)
        return pq.ParquetFile(self.path(shard))

    def read(self, shard: Shard, columns: Iterable[str] | None = None) -> pa.Table:
        """The shard's rows, in the types of the contract.

        Raises:
            DamagedError: the shard's file is missing, or its bytes differ from its seal.
        """
        self.check(shard)
        names = None if columns is None else list(columns)
        table = pq.read_table(self.path(shard), columns=names, partitioning=None)
        schema = TABLES[shard.table]
        return table.cast(schema if names is None else pa.schema([schema.field(name) for name in names]))

    def check(self, shard: Shard) -> None:
        """Verify a shard that this run has not verified before.

        Raises:
            DamagedError: its file is missing, or its bytes differ from its seal.
        """
        if self.run is not None:
            check_once(self, shard)

    def write(
        self, table_name: str, tables: Iterable[pa.Table] | pa.Table, came_from: tuple[str, int] | None = None
    ) -> Shard:
        """Write a shard piece by piece, in the memory of one piece. An undamaged file of the same content stays.

        Raises:
            SchemaError: a column is missing, not declared, of another type, or NULL where it may not be.
        """
        schema = TABLES[table_name]
        digest = TableHash(table_name, schema)
        part = self.parts() / f"{uuid.uuid4().hex}.parquet"
        try:
            with pq.ParquetWriter(
                part,
                schema,
                compression="zstd",
                use_dictionary=[name for name in schema.names if name in FEW_VALUES],
                column_encoding=ENCODINGS.get(table_name),
                write_statistics=[f.name for f in schema if not pa.types.is_nested(f.type) and f.name != "text"],
            ) as writer:
                for table in [tables] if isinstance(tables, pa.Table) else tables:
                    checked = conform(table, schema, table_name)
                    digest.update(checked)
                    rows = max(1, checked.num_rows * ROW_GROUP_BYTES // max(1, checked.nbytes))
                    if checked.num_rows:  # datasets.load_dataset fails on a file whose first row group is empty
                        writer.write_table(checked, row_group_size=rows)
            shard = Shard(table_name, digest.content_hash(), digest.n_rows, digest.columns(), came_from)
            if not self.is_whole(shard):  # another library may have written the same rows as other bytes: those stay
                files.rename(part, self.path(shard))
                files.write_json(self.seal_path(shard), files.seal(self.path(shard)), self.parts())
            return shard
        finally:
            part.unlink(missing_ok=True)

    def seal_of(self, shard: Shard) -> files.Seal | None:
        """The shard's seal; None where it is missing or unreadable."""
        try:
            return json.loads(self.seal_path(shard).read_bytes())
        except (OSError, ValueError):
            return None

    def is_listed(self, shard: Shard) -> bool:
        """Whether the shard's file has the length that its seal says. Reads no byte of it."""
        seal = self.seal_of(shard)
        try:
            return seal is not None and seal["n_bytes"] == self.path(shard).stat().st_size
        except (OSError, KeyError, TypeError):
            return False

    def is_damaged(self, shard: Shard) -> bool:
        """Whether a shard that an action lists must be made again."""
        if not self.verify:
            return not self.is_listed(shard)
        try:
            check_once(self, shard)
        except DamagedError:
            return True
        return False

    def is_whole(self, shard: Shard) -> bool:
        """Whether the shard's file is undamaged. Reads all of it."""
        try:
            return self.is_listed(shard) and self.seal_of(shard) == files.seal(self.path(shard))
        except OSError:
            return False

    def discard(self, error: DamagedError) -> str:
        """Remove the damaged shard that an error names, so that its action makes it again. Returns TABLE/HASH."""
        name = DAMAGED.match(str(error))
        if not name:
            raise error
        path = self.path(Shard(name["table"], name["content_hash"], 0, {}))
        path.unlink(missing_ok=True)
        return name[0]

    # -- actions

    def action_path(self, stage: str, name: str) -> Path:
        return self.root / "actions" / stage / name[:2] / f"{name}.json"

    def find(self, stage: str, name: str) -> list[Shard] | None:
        """What the action made; None where it was never committed, or a shard of it is missing or damaged."""
        shards = self.recorded(stage, name)
        return None if shards is None or any(self.is_damaged(shard) for shard in shards) else shards

    def damaged(self, stage: str, name: str) -> list[str]:
        """TABLE/HASH of each missing or damaged shard of an action that was committed; the action itself if its record is damaged."""
        shards = self.recorded(stage, name)
        if shards is None:
            return [f"actions/{stage}/{name}"] if self.action_path(stage, name).exists() else []
        return [f"{shard.table}/{shard.content_hash}" for shard in shards if self.is_damaged(shard)]

    def recorded(self, stage: str, name: str) -> list[Shard] | None:
        """The shards of a committed action, whatever became of their files; None where its record is unreadable."""
        try:
            return shards_in(self.action_path(stage, name).read_bytes())
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def commit(
        self, stage: str, name: str, shards: list[Shard], n_documents: int = 0, n_bytes: int = 0, n_reused: int = 0
    ) -> list[Shard]:
        """Record what an action made, after its shards, and report its progress.

        n_reused: documents whose rows were copied from shards of an earlier version.
        """
        record = records.with_checksum({"stage": stage, "shards": [asdict(shard) for shard in shards]})
        files.write_json(self.action_path(stage, name), record, self.parts())
        if n_documents or n_bytes:  # an action that only lists shards of others has made nothing of its own
            reused = {"reused": n_reused} if n_reused else {}
            self.tell({"stage": stage, "event": "made", "documents": n_documents, "bytes": n_bytes, **reused})
        return shards

    def tell(self, event: dict[str, object]) -> None:
        """Append an event to progress.jsonl."""
        files.append_line(self.root / "progress.jsonl", json.dumps({"time": round(time.time(), 3), **event}))


DAMAGED = re.compile(r"(?P<table>[A-Z_]+)/(?P<content_hash>[0-9a-f]{32})")


@cache
def check_once(store: Store, shard: Shard) -> None:
    """What raises is not cached: a shard that was made again is verified again."""
    if not store.is_whole(shard):
        raise DamagedError(
            f"{shard.table}/{shard.content_hash}: the file is missing or differs from its seal; run the build again, "
            "which makes it anew"
        )


def shards_in(record: bytes) -> list[Shard]:
    """The shards that the record of an action lists.

    Raises:
        ValueError, KeyError, TypeError: the record is damaged.
    """
    return [load_shard(item) for item in records.checked(record)["shards"]]


def load_shard(item: dict) -> Shard:
    came_from = item["came_from"]
    return Shard(**{**item, "came_from": tuple(came_from) if came_from else None})


def name_of(*parts: object) -> str:
    """The name of an action: blake2b-128 over the canonical JSON of everything that its result depends on."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return blake2b(json.dumps(plain, sort_keys=True, ensure_ascii=True).encode(), digest_size=16).hexdigest()
