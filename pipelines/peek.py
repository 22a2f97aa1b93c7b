"""Figures of shards that a build only looks at: read without comparing the file with its seal, which would read all of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.store import Shard, Store


def columns_of(shard: Shard, names: Sequence[str], store: Store) -> pa.Table:
    """
    Raises:
        DamagedError: they can't be read, and the shard differs from its seal.
    """
    with checked_on_error(shard, store):
        return replace(store, run=None).read(shard, names)


def footer(shard: Shard, store: Store) -> pq.FileMetaData:
    """See columns_of."""
    with checked_on_error(shard, store):
        return pq.read_metadata(store.path(shard))


@contextmanager
def checked_on_error(shard: Shard, store: Store) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException):
        store.check(shard)
        raise
