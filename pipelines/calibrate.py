"""`longmix calibrate`: fit what cheap features say of a pair's gain, for one model and chunk size.

All pairs of a pool of documents are measured, which is long work: it is kept pair by pair and goes on where it was.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from pipelines import build
from pipelines.recipe import Recipe
from pipelines.score import ScoreParams, measure
from pipelines.score.model import reader_of
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from pipelines.store.lock import locked
from pipelines.versions import possible_bases, tables_of
from schemas.errors import NotMade, RecipeError
from scorers.chunk_gain import MeasuredPair, chunks_of
from scorers.chunk_gain.calibration import Calibration, evenness, fit
from scorers.chunk_gain.overlap import bags, features
from scorers.chunk_gain.pairs import FAR, n_far, n_near

CHUNKS = 34  # of each document: 561 pairs, 76,000 model tokens


def check_out(path: Path) -> None:
    """Make sure that a calibration can be written, before the work that it takes. Leaves what is there as it is.

    Raises:
        RecipeError: it can't.
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
    wanted = pool(documents, tokens, n_documents, params.chunk_tokens, store)
    n_pairs = sum(w.n_pairs for _, each in wanted for w in each)
    report(f"{sum(len(each) for _, each in wanted)} documents, {n_pairs:,} pairs, resumed where it was stopped")
    measured = measure.folder_of(store, params.model, params.chunk_tokens, reader.tokenizer.hash, use="calibration")
    measure.run(wanted, params.model, params.chunk_tokens, measured, engine)
    found: list[tuple[Sequence[MeasuredPair], np.ndarray]] = []
    for shard, each in wanted:
        ids = store.read(shard, ["input_ids"])["input_ids"]
        for one in each:
            chunks = chunks_of(ids[one.row].values.to_numpy()[:-1], params.chunk_tokens)[: one.n_chunks]
            found.append((measured.of(one.content_hash), chunks))
    return found


def fitted(pool: Sequence[tuple[Sequence[MeasuredPair], np.ndarray]], model: str, weights: str) -> Calibration:
    """The calibration of a pool: for each document its measured pairs and its chunks."""
    kinds: dict[bool, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {True: [], False: []}
    for pairs, chunks in pool:
        places = np.array([(p.target, p.context) for p in pairs], np.int32)
        gain = np.array([p.alone - p.after for p in pairs])
        of_features = features(bags(chunks), places)
        near = places[:, 0] - places[:, 1] < FAR
        for kind, mine in ((True, near), (False, ~near)):
            kinds[kind].append((places[mine], gain[mine], of_features[mine]))
    fits = []
    for kind, low, high in ((True, 1, FAR), (False, FAR, 1 << 30)):
        places, gains, said = zip(*kinds[kind], strict=True)
        found = fit(places, gains, said)
        fits.append(found.model_copy(update={"evenness": evenness(places, gains, said, found, low, high)}))
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
    documents: Sequence[Shard], tokens: Sequence[Shard], n_documents: int, chunk_tokens: int, store: Store
) -> list[tuple[Shard, list[measure.Wanted]]]:
    """The documents to measure, by shard of TOKENS: from each domain in turn the one of lowest content hash."""
    by_domain: dict[str, list[tuple[str, int, int]]] = {}
    for place, (text, ids) in enumerate(zip(documents, tokens, strict=True)):
        table = store.read(text, ("content_hash", "domain"))
        n_tokens = store.read(ids, ("n_tokens",))["n_tokens"].fill_null(0).to_numpy()
        for row in np.flatnonzero(n_tokens > CHUNKS * chunk_tokens):
            found = by_domain.setdefault(table["domain"][int(row)].as_py(), [])
            found.append((table["content_hash"][int(row)].as_py(), place, int(row)))
    queues = [sorted(found) for _, found in sorted(by_domain.items())]
    turns = [each[k] for k in range(max(map(len, queues), default=0)) for each in queues if k < len(each)][:n_documents]
    if len(turns) < n_documents:
        raise RecipeError(
            f"calibrate: {len(turns)} documents have {CHUNKS} chunks of {chunk_tokens} tokens; ask for fewer"
        )
    many = n_near(CHUNKS) + n_far(CHUNKS)
    price = many * (chunk_tokens - 1) + CHUNKS * (chunk_tokens + 1)
    return [
        (shard, [measure.Wanted(row, content, CHUNKS, many, price) for content, at, row in turns if at == place])
        for place, shard in enumerate(tokens)
    ]
