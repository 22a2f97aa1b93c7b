"""A recipe and its corpus -> a published dataset. The whole of it, from top to bottom."""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines import dedup, encode, ingest, pack, plan, publish, score, screen
from pipelines.encode import EncodeParams
from pipelines.publish import Version
from pipelines.recipe import Recipe
from pipelines.scorer_model import reader_of
from pipelines.stage import Runner
from pipelines.store import Shard, Store
from schemas.errors import BusyError, RecipeError
from schemas.manifest import Manifest

Stage = Callable[[Callable], Callable]


def build(recipe: Recipe, root: Path, stage: Stage = lambda run: run, base: Path | None = None) -> Version:
    """Build a recipe's mix under a root, making only what is not there yet.

    Args:
        recipe: checked already, see recipe.load.
        root: a folder of its own; made where it is missing.
        stage: wraps each stage's run, for instance in a task of an orchestrator.
        base: a version's folder whose choices are kept where they can be; see flows/refresh.py.

    Raises:
        RecipeError: the recipe asks for what the corpus can't give.
        BusyError: another build holds the root.
        StageError: a stage stopped for another reason; run it again and it goes on where it was.
    """
    store = Store(root.absolute())
    before = Manifest.of(base) if base else None
    names = tuple(source.name for source in recipe.sources)
    reader = reader_of(recipe.score, recipe.encode) if recipe.score else recipe.encode
    with held(store, recipe.mix):
        documents, rejected = stage(ingest.run)(recipe.sources, store, recipe.run)
        signatures, duplicates = stage(dedup.run)(
            documents, recipe.dedup, names, publish.kept_by(base), store, recipe.run
        )
        tokens = stage(encode.run)(documents, duplicates, recipe.encode, store, recipe.run)
        tables = {
            "DOCUMENTS": documents, "REJECTED": rejected, "SIGNATURES": signatures, "DUPLICATES": duplicates,
            "TOKENS": tokens,
        }  # fmt: skip
        tables |= scores(recipe, tables, reader, base, store, recipe.run, stage)
        by = tables.get(plan.score_table(recipe.plan.select), [])
        draws = stage(plan.run)(documents, tokens, by, recipe.plan, store, recipe.run)
        sequences = stage(pack.run)(tokens, draws, recipe.encode, recipe.pack, store, recipe.run)
        tables |= {"DRAWS": draws, "SEQUENCES": sequences}
        return stage(publish.run)(recipe, before, tables, store)


def scores(
    recipe: Recipe, tables: Mapping[str, list[Shard]], reader: EncodeParams, base: Path | None, store: Store,
    runner: Runner, stage: Stage = lambda run: run,
) -> dict[str, list[Shard]]:  # fmt: skip
    """The tables that judge documents: those of the cheap tier, then those of the model, as far as the recipe asks.

    reader: how texts become the model's tokens; where it is not the recipe's way, texts are encoded so too.
    """
    documents, duplicates, tokens = tables["DOCUMENTS"], tables["DUPLICATES"], tables["TOKENS"]
    found: dict[str, list[Shard]] = {}
    if recipe.screen:
        found |= stage(screen.run)(documents, duplicates, recipe.screen, publish.kept_by(base), store, runner)
    if recipe.score:
        if reader != recipe.encode:
            tokens = stage(encode.run)(documents, duplicates, reader, store, runner)
        cheap = found["SCORES_CHEAP"]
        found |= stage(score.run)(documents, tokens, cheap, reader.tokenizer, recipe.score, store, runner)
    return found


def latest(root: Path, mix: str) -> Path | None:
    """The folder of the mix's newest version, or None."""
    folder = root.absolute() / "datasets" / mix / "latest"
    return folder.resolve() if (folder / "manifest.json").is_file() else None


@contextmanager
def held(store: Store, mix: str) -> Iterator[None]:
    """Hold the root against a second build, and begin with an empty scratch folder and progress file.

    The lock is the kernel's: it is gone with the process, however that ends.

    Raises:
        BusyError: names the build that holds it.
        RecipeError: the root can't be written.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(store.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RecipeError(f"{store.root}: can't be written ({error.strerror}); choose another --root") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{store.root}: {holder(store.root / 'lock')}; wait for it or choose another --root"
            ) from None
        os.ftruncate(handle, 0)
        who = {
            "mix": mix,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.write(handle, json.dumps(who).encode())
        shutil.rmtree(store.root / "scratch", ignore_errors=True)
        (store.root / "scratch").mkdir()
        (store.root / "progress.jsonl").write_bytes(b"")
        store.tell({"event": "build", "mix": mix})
        yield
        shutil.rmtree(store.root / "scratch", ignore_errors=True)
    finally:
        os.close(handle)


def holder(lock: Path) -> str:
    try:
        who = json.loads(lock.read_text())
        return f"a build of {who['mix']!r} holds it since {who['since']} (process {who['pid']} on {who['host']})"
    except (OSError, ValueError, KeyError):
        return "another build holds it"
