"""`longmix calibrate`: fit the gain of a pair to cheap features of its chunks, for one model and chunk size.

All pairs of a pool of documents are measured. That takes long, so each pair is kept and a second run resumes.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines import build
from pipelines.documents import Chunking, Documents, side_by_side, text_tokens
from pipelines.recipe import Recipe
from pipelines.score import ScoreParams, measure
from pipelines.score.model import reader_of
from pipelines.stage import Engine, Read
from pipelines.store import Shard, Store
from pipelines.store.lock import locked
from pipelines.versions import possible_bases, tables_of
from schemas.errors import NotMade, RecipeError
from scorers.chunk_gain import MeasuredPair, chunks_of
from scorers.chunk_gain.calibration import Calibration, evenness, fit
from scorers.chunk_gain.overlap import bags, features
from scorers.chunk_gain.pairs import FAR, n_far, n_near, price

CHUNKS = 34  # of each document: 561 pairs, 76,000 model tokens


def check_out(path: Path) -> None:
    """Check that a calibration can be written, before the work that it takes. An existing file is left unchanged.

    Raises:
        RecipeError: it can't be written.
    """
    is_new = not path.exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise RecipeError(
            f"{path}: can't be written ({error.strerror}); name a file in a folder that is there and can be written"
        ) from error
    if is_new:
        path.unlink()


def calibrate(recipe: Recipe, root: Path, n_documents: int, report: Callable[[str], None]) -> Calibration:
    """Measure a pool of the recipe's documents and fit.

    The pool takes documents of at least CHUNKS chunks from each domain in turn, by lowest content hash.

    Raises:
        RecipeError: the recipe scores nothing, its documents were not read yet, or too few are long enough.
        BusyError: a build holds the root.
    """
    if not recipe.score:
        raise RecipeError("calibrate: the recipe has no section [score], which names the model")
    root = root.absolute()
    if not (root / "actions").is_dir():  # locking it would make it
        raise RecipeError(f"{root}: no mix was built there; build it first, without [score], or name its --root")
    engine = Engine(Store(root), recipe.run)
    params = recipe.score.model_copy(update={"calibration": None})
    reader_of(params, recipe.encode)  # a model that does not fit is refused before the lock is taken
    with locked(root, f"a calibration for {recipe.mix!r}", "--root"), engine.store.session():
        return fitted(
            measured_pool(recipe, params, n_documents, engine, report),
            Path(params.model.weights.path).name,
            params.model.weights.hash,
        )


def measured_pool(
    recipe: Recipe, params: ScoreParams, n_documents: int, engine: Engine, report: Callable[[str], None]
) -> list[tuple[Sequence[MeasuredPair], np.ndarray]]:
    """All pairs of each document of the pool, and its chunks."""
    store, reader = engine.store, reader_of(params, recipe.encode)
    documents, tokens = tables(recipe.model_copy(update={"score": params}), engine)
    chunking = Chunking(params.chunk_tokens, reader.n_marks)
    chosen = pool(documents, tokens, n_documents, chunking, store)
    n_pairs = sum(reading.n_pairs for _, readings in chosen for reading in readings)
    report(f"{n_documents} documents, {n_pairs:,} pairs, resumed where it was stopped")
    measured = measure.folder_of(store, params.model, params.chunk_tokens, reader.tokenizer.hash, use="calibration")
    measure.run(chosen, params.model, chunking, measured, engine)
    pairs: list[tuple[Sequence[MeasuredPair], np.ndarray]] = []
    for shard, readings in chosen:
        ids = store.read(shard, ["input_ids"])["input_ids"]
        for reading in readings:
            chunks = chunks_of(text_tokens(ids, reading.row, chunking.marks), chunking.chunk_tokens)
            pairs.append((measured.of(reading.content_hash), chunks[: reading.n_chunks]))
    return pairs


def fitted(pool: Sequence[tuple[Sequence[MeasuredPair], np.ndarray]], model: str, weights: str) -> Calibration:
    """The calibration of a pool: for each document its measured pairs and its chunks."""
    kinds: dict[bool, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {True: [], False: []}
    for pairs, chunks in pool:
        places = np.array([(p.target, p.context) for p in pairs], np.int32)
        gain = np.array([p.alone - p.after for p in pairs])
        cheap = features(bags(chunks), places)
        near = places[:, 0] - places[:, 1] < FAR
        for kind, mine in ((True, near), (False, ~near)):
            kinds[kind].append((places[mine], gain[mine], cheap[mine]))
    fits = []
    for kind, low, high in ((True, 1, FAR), (False, FAR, 1 << 30)):
        places, gains, cheap = zip(*kinds[kind], strict=True)
        line = fit(places, gains, cheap)
        fits.append(line.model_copy(update={"evenness": evenness(places, gains, cheap, line, low, high)}))
    return Calibration(
        model=model, weights=weights, chunk_tokens=pool[0][1].shape[1], n_documents=len(pool),
        n_pairs=sum(len(pairs) for pairs, _ in pool), near=fits[0], far=fits[1],
    )  # fmt: skip


def tables(recipe: Recipe, engine: Engine) -> tuple[list[Shard], list[Shard]]:
    """DOCUMENTS of a recipe that was built, and the model's TOKENS of them, which that build may not have made.

    Raises:
        RecipeError: the documents were never read.
    """
    for base in possible_bases(engine.store.root, recipe.mix):
        with suppress(NotMade):
            corpus = build.corpus(recipe, engine.look(), tables_of(base))
            return corpus["DOCUMENTS"], build.model_tokens(recipe, corpus, engine)
    raise RecipeError(
        f"{engine.store.root}: the recipe's documents were not read there yet; build it first, without [score]"
    )


def pool(
    documents: Sequence[Shard], tokens: Sequence[Shard], n_documents: int, chunking: Chunking, store: Store
) -> list[tuple[Shard, list[measure.Reading]]]:
    """The documents to measure, by shard of TOKENS: from each domain in turn the one of lowest content hash.

    Raises:
        RecipeError: too few documents have CHUNKS chunks.
    """
    columns = ("content_hash", "domain"), ("document_id", "n_tokens")
    reads = [(Read(s, columns[0]), Read(t, columns[1])) for s, t in zip(documents, tokens, strict=True)]
    every = Documents.of(side_by_side(reads, store))
    is_long = chunking.n_chunks(every.n_tokens) >= CHUNKS
    places, long = np.flatnonzero(is_long), every.take(is_long)
    by_hash = np.lexsort((long.content[:, 1], long.content[:, 0], long.domain))
    turn = np.empty(len(long), np.int64)
    turn[by_hash] = np.arange(len(long)) - np.searchsorted(long.domain[by_hash], long.domain[by_hash])
    chosen = np.lexsort((long.domain, turn))[:n_documents]
    if len(chosen) < n_documents:
        raise RecipeError(
            f"calibrate: {len(chosen)} documents have {CHUNKS} chunks of {chunking.chunk_tokens} tokens; ask for fewer"
        )
    many = n_near(CHUNKS) + n_far(CHUNKS)
    content_hash, stops = long.content_hash.take(pa.array(chosen)).to_pylist(), np.cumsum([s.n_rows for s in tokens])
    readings: list[list[measure.Reading]] = [[] for _ in tokens]
    for place, text in zip(places[chosen].tolist(), content_hash, strict=True):
        k = int(np.searchsorted(stops, place, side="right"))
        row = place - int(stops[k]) + tokens[k].n_rows
        readings[k].append(measure.Reading(row, text, CHUNKS, many, price(many, CHUNKS, chunking.chunk_tokens)))
    return list(zip(tokens, readings, strict=True))
