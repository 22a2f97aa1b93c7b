"""A dataset of the Hugging Face hub, streamed at one commit: nothing is kept on disk but what the tables hold.

No code of the dataset's own runs, and the client's telemetry is off.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.record import File, Found, Record, Unusable, Wanted, hash_of
from schemas.errors import RecipeError, StageError

BATCH_ROWS = 64


class Place(NamedTuple):
    """One part of a split at a commit."""

    hub: str
    config: str | None
    split: str
    commit: str
    part: int
    n_parts: int


class Hub:
    suffixes = ()

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def misfit(self, file: File, wanted: Wanted) -> Unusable | None:
        names = streamed(place_of(file)).column_names
        if names is None or wanted.text in names:
            return None
        return Unusable("text_missing", f"no column {wanted.text!r}; there are {', '.join(names[:20])}")

    def records(self, file: File, wanted: Wanted) -> Iterator[Record]:
        """Holds BATCH_ROWS rows, and what the client buffers."""
        place, at = place_of(file), 0
        try:
            stream = streamed(place)
            if place.n_parts > 1:
                stream = stream.shard(num_shards=place.n_parts, index=place.part)
            for table in stream.with_format("arrow").iter(batch_size=BATCH_ROWS):
                names = rows.columns_of(table.schema, wanted)
                yield from rows.rows(table, names, file.name, at, wanted)
                at += table.num_rows
        except Unusable as why:
            raise RecipeError(f"{place.hub}: {why.detail}; set the source's text") from None
        except (OSError, pa.ArrowException) as error:
            raise StageError(
                f"{place.hub}: {file.name} broke off after row {at:,} ({first_line(error)}); run it again"
            ) from error

    def parser(self, wanted: Wanted) -> Callable[[bytes], Found]:
        return rows.parser(wanted)


def parts(hub: str, config: str | None, split: str, revision: str | None) -> list[File]:
    """The parts of a split, as files. Their hash is the commit's: the same commit is the same content.

    Raises:
        RecipeError: there is no such dataset, config or split, or it may not be read.
        StageError: the hub can't be reached.
    """
    client()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().dataset_info(hub, revision=revision).sha or ""
        n_parts = max(1, streamed(Place(hub, config, split, commit, 0, 1)).num_shards)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError, ValueError) as error:
        raise RecipeError(
            f"{hub}: not on the hub as asked for ({first_line(error)}); mend hub, config, split or revision"
        ) from error
    except (HfHubHTTPError, OSError, RuntimeError) as error:
        said = first_line(error)
        raise StageError(
            f"{hub}: the hub can't be reached ({said}); or save the dataset and name its folder"
        ) from error
    places = [Place(hub, config, split, commit, part, n_parts) for part in range(n_parts)]
    name = f"{config}/{split}" if config else split
    return [
        File(
            f"{name}-{p.part:05d}-of-{n_parts:05d}",
            msgspec.json.encode(p).decode(),
            hash=hash_of(msgspec.json.encode(p)),
        )
        for p in places
    ]


def place_of(file: File) -> Place:
    return msgspec.json.decode(file.path, type=Place)


def streamed(place: Place) -> Any:
    """The split as a stream of rows."""
    client()
    from datasets import load_dataset

    return load_dataset(place.hub, place.config, split=place.split, revision=place.commit, streaming=True)


def client() -> None:
    """Before the hub's client is imported, which reads these once."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
