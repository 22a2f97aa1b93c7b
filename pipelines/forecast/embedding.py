"""How many documents an encoder will read, and for how long: from a short timed run on this machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.embed import heads, works
from pipelines.stage import Engine
from pipelines.store import Shard
from scorers.embedding import Encoder, EncoderParams, is_static, load

SECONDS = 0.3  # of the timed run, about
MOST_TIMED = 128  # documents
MOST_PLACES = 16  # at which these lie, each at least a row group to read
TEXT = "The encoder reads the beginning of each document and makes a vector of it. "  # where no text is there yet


@dataclass(frozen=True)
class EmbeddingForecast:
    """What the encoder will do.

    Attributes:
        encoder: the name of its folder or file.
        is_static: a static table; else a transformer.
        dimensions: of a vector.
        n_documents: drawn documents.
        is_exact: of n_documents: counted; else estimated.
        cpu_seconds: for all of them, those whose vectors are kept from earlier included.
        n_timed: documents of the timed run.
        is_real_text: the timed run read documents of the corpus; else a text of full windows, which takes longest.
        n_chunks: chunks that negative_extension embeds besides, at most; 0 for another packer.
        chunk_tokens: tokens of a chunk.
        is_embedded: the vectors of all documents exist: only chunks are left.
    """

    encoder: str
    is_static: bool
    dimensions: int
    n_documents: int
    is_exact: bool
    cpu_seconds: float
    n_timed: int
    is_real_text: bool
    n_chunks: int = 0
    chunk_tokens: int = 0
    is_embedded: bool = False

    @property
    def chunk_seconds(self) -> float:
        """CPU seconds for all chunks: of a chunk, too, the encoder reads the beginning."""
        return self.n_chunks * self.cpu_seconds / max(1, self.n_documents)


@dataclass(frozen=True)
class Embedded:
    """The vectors of all drawn documents exist: nothing is timed.

    encoder, n_documents: as in EmbeddingForecast. has_chunks: the neighbours of all chunks exist too.
    """

    encoder: str
    n_documents: int
    has_chunks: bool = False


def embedding_forecast(
    params: EncoderParams, n_documents: int, engine: Engine, documents: Sequence[Shard] = (),
    draws: Sequence[Shard] = (), *, is_exact: bool = True,
) -> EmbeddingForecast:  # fmt: skip
    """Time the encoder on a few documents.

    Args:
        n_documents: drawn ones, see drawn_documents(). is_exact: whether that was counted.
        documents: shards of DOCUMENTS to take texts from; none where the corpus was not read yet.
        draws: takes texts of drawn documents only; none: of any.

    Raises:
        RecipeError: the encoder can't be loaded.
    """
    encoder = load(params)
    seconds, n_timed = timed(encoder, timed_texts(encoder, engine, documents, draws))
    return EmbeddingForecast(
        encoder=params.folder.name, is_static=is_static(params), dimensions=encoder.dimensions, n_documents=n_documents,
        is_exact=is_exact, cpu_seconds=n_documents * seconds, n_timed=n_timed, is_real_text=bool(documents),
    )  # fmt: skip


def timed_texts(
    encoder: Encoder, engine: Engine, documents: Sequence[Shard] = (), draws: Sequence[Shard] = ()
) -> pa.Array:
    """[n] texts for the timed run, spread over all documents, or over the drawn ones."""
    if not documents:
        head = (TEXT * (encoder.n_chars // len(TEXT) + 1))[: encoder.n_chars]
        return pa.array([head] * MOST_TIMED, pa.large_string())
    if draws:
        rows = [work.rows for work in works(documents, draws, (), engine.store)]
    else:
        rows = [np.arange(shard.n_rows) for shard in documents]
    stops = np.cumsum(list(map(len, rows)))
    places = timed_places(int(stops[-1]))
    pieces = [
        heads(
            shard,
            mine[places[(places >= stop - len(mine)) & (places < stop)] - stop + len(mine)],
            encoder.n_chars,
            engine.store,
        )
        for shard, mine, stop in zip(documents, rows, stops.tolist(), strict=True)
    ]
    return pa.concat_arrays(pieces)


def timed_places(n_documents: int) -> np.ndarray:
    """[n] of up to MOST_TIMED documents, ascending: a few neighbours at each of MOST_PLACES places over all of them."""
    if n_documents <= MOST_TIMED:
        return np.arange(n_documents)
    n_neighbours = MOST_TIMED // MOST_PLACES
    starts = np.linspace(0, n_documents - n_neighbours, MOST_PLACES).astype(np.int64)
    return np.unique(starts[:, None] + np.arange(n_neighbours))


def timed(encoder: Encoder, texts: pa.Array) -> tuple[float, int]:
    """CPU seconds of a document, and how many were timed. The texts are read in a stride, so that any number is a sample."""
    order = np.argsort(np.arange(len(texts)) * 0.6180339887 % 1)  # every beginning of it is spread over all texts
    encoder.vectors(texts.take(pa.array(order[:1])))  # compiles kernels
    began, n, batch = time.process_time(), 0, 1
    while n < len(texts) and time.process_time() - began < SECONDS:
        n += len(encoder.vectors(texts.take(pa.array(order[n : n + batch]))))
        batch *= 2
    return (time.process_time() - began) / max(1, n), n


def drawn_documents(draws: Sequence[Shard], engine: Engine) -> int:
    """Distinct documents of DRAWS."""
    epochs = (engine.store.read(shard, ["epoch"])["epoch"].to_numpy() for shard in draws)
    return sum(int((epoch == 0).sum()) for epoch in epochs)
