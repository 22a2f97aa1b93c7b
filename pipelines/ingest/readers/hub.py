"""A dataset of the Hugging Face hub, streamed at one commit. Nothing is stored on disk except the tables.

No code of the dataset runs, and the client's telemetry is off.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.record import Fields, File, Parsed, Record, Unusable, hash_of
from pipelines.ingest.readers.values import missing_text, prefixes
from schemas.errors import LongmixError, RecipeError
from schemas.hub_errors import TIMEOUT_SECONDS, Wanted, configure_client, errors_of, hub_error

BATCH_ROWS = 64


class Part(NamedTuple):
    """One part of a split at a commit."""

    hub: str
    config: str | None
    split: str
    commit: str
    part: int
    n_parts: int


class Hub:
    suffixes = ()
    may_be_compressed = False

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:
        names = open_split(part_of(file)).column_names
        if names is not None and fields.parts:
            missing = fields.parts.missing(names)
            return Unusable("sample_missing", missing) if missing else None
        if names is None or any(prefix in names for text in fields.texts for prefix in prefixes(text)):
            return None
        return missing_text(fields.texts, names, "column")

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        """Holds BATCH_ROWS rows and the buffers of the client in memory."""
        part, first = part_of(file), 0
        try:
            stream = open_split(part)
            if part.n_parts > 1:
                stream = stream.shard(num_shards=part.n_parts, index=part.part)
            for table in stream.with_format("arrow").iter(batch_size=BATCH_ROWS):
                columns = rows.columns_of(table.schema, fields)
                yield from rows.records_of(table, columns, file.name, first, fields)
                first += table.num_rows
        except Unusable as error:
            raise RecipeError(f"{part.hub}: {error.detail}; {fields.remedy}") from None
        except LongmixError:
            raise
        except Exception as error:
            cause = hub_error(wanted(part.hub), error)
            raise type(cause)(f"{cause}; reading {file.name} failed after row {first:,}") from error

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        return rows.parser(fields)


def parts(hub: str, config: str | None, split: str, revision: str | None) -> list[File]:
    """The parts of a split, as files. A part is hashed by its commit, which determines the content.

    Raises:
        RecipeError: the dataset, config or split does not exist or is not accessible.
        StageError: the hub can't be reached.
    """
    configure_client()
    from huggingface_hub import HfApi

    with errors_of(wanted(hub)):
        commit = HfApi().dataset_info(hub, revision=revision, timeout=TIMEOUT_SECONDS).sha or ""
        n_parts = max(1, open_split(Part(hub, config, split, commit, 0, 1)).num_shards)
    split_parts = [Part(hub, config, split, commit, part, n_parts) for part in range(n_parts)]
    name = f"{config}/{split}" if config else split
    return [
        File(
            f"{name}-{p.part:05d}-of-{n_parts:05d}",
            msgspec.json.encode(p).decode(),
            hash=hash_of(msgspec.json.encode(p)),
        )
        for p in split_parts
    ]


def part_of(file: File) -> Part:
    return msgspec.json.decode(file.path, type=Part)


def open_split(part: Part) -> Any:
    """The split that a part belongs to, as a stream of rows."""
    configure_client()
    from datasets import load_dataset

    return load_dataset(part.hub, part.config, split=part.split, revision=part.commit, streaming=True)


def wanted(hub: str) -> Wanted:
    return Wanted("dataset", hub, "save the dataset to a folder and set path in place of hub")
