"""How a stage runs: its actions, spread over the shards by one Beam pipeline.

A stage names an action for each shard that it will write, asks the store which of them were done before, and runs a
Beam pipeline over the others. What travels through Beam is an action (paths and hashes), never a document; workers
and driver meet in the store alone, so any runner whose workers see the root's folder will do.
"""

import ctypes
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import cpu_count

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from pipelines.store import Shard, Store, name_of
from schemas import errors

LOOK_UP = "look up"  # a runner that makes nothing: what is not there raises NotMade


class Runner(BaseModel):
    """The recipe's [run]: which Beam runner, how many workers. Never part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runner: str = "FnApiRunner"  # not DirectRunner, which looks for another engine to download first
    workers: NonNegativeInt = 0  # 0: one a core
    options: dict[str, str | int | bool] = Field(default_factory=dict)  # Beam's own pipeline options

    @property
    def n_workers(self) -> int:
        return self.workers or cpu_count() or 1

    def pipeline_options(self) -> PipelineOptions:
        local = {}
        if self.runner == "FnApiRunner":
            mode = "multi_threading" if self.n_workers > 1 else "in_memory"
            local = {"direct_num_workers": self.n_workers, "direct_running_mode": mode}
        return PipelineOptions(flags=[], runner=self.runner, **{**local, **self.options})


@dataclass(frozen=True)
class Read:
    """Some columns of a shard: what an action reads, and all that its name depends on."""

    shard: Shard
    columns: tuple[str, ...]

    def key(self) -> list[object]:
        return [self.shard.table, self.shard.n_rows, {c: self.shard.columns[c] for c in self.columns}]


@dataclass(frozen=True)
class Action:
    """One shard to make of `table`, by the stage's function from what it reads."""

    stage: str
    name: str
    table: str
    reads: tuple[Read, ...]


def actions_for(
    stage: str, version: int, params: BaseModel, table: str, reads: Iterable[tuple[Read, ...]]
) -> list[Action]:
    """An action for each tuple of reads, named by all that its result depends on."""
    return [Action(stage, name_of(stage, version, params, [r.key() for r in each]), table, each) for each in reads]


def make(action: Action, function: Callable[..., pa.Table], params: BaseModel, store: Store) -> int:
    """Do one action: read, call `function(*tables, params)`, write its shard, commit. Returns the rows made."""
    tables = [store.read(r.shard, r.columns) for r in action.reads]
    shard = store.write(action.table, function(*tables, params))
    store.commit(action.stage, action.name, [shard], shard.n_rows, sum(t.nbytes for t in tables))
    del tables
    release()
    return shard.n_rows


def release() -> None:
    """Give freed memory back to the system. What allocators hold on to would count against the next shard.

    With two workers on shards of 36 MB of text, what encode leaves behind falls from 620 to 400 MiB.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim:
        trim(0)


class MakeAll(beam.PTransform):
    """Actions -> their shards in the store. The Reshuffle spreads them: without it one worker does all."""

    def __init__(self, function: Callable[..., pa.Table], params: BaseModel, store: Store):
        super().__init__()
        self.arguments = (function, params, store)

    def expand(self, actions: beam.PCollection) -> beam.PCollection:
        return actions | "Spread" >> beam.Reshuffle() | "Make" >> beam.Map(make, *self.arguments)


def run_shards(
    actions: Sequence[Action], function: Callable[..., pa.Table], params: BaseModel, store: Store, runner: Runner
) -> list[Shard]:
    """The shard of each action, in order; made by one Beam pipeline where it was not there before."""
    if not actions:
        return []
    stage = actions[0].stage
    found = {action.name: store.find(stage, action.name) for action in actions}
    todo = list({a.name: a for a in actions if found[a.name] is None}.values())
    store.tell({"stage": stage, "event": "begun", "shards": len(todo), "there": len(actions) - len(todo)})
    if todo:
        with pipeline(stage, runner) as p:
            _ = (
                p
                | "Actions" >> beam.Create(todo, reshuffle=False)
                | stage.capitalize() >> MakeAll(function, params, store)
            )
        for action in todo:
            found[action.name] = store.find(stage, action.name)
    store.tell({"stage": stage, "event": "ended"})
    return [shard for action in actions for shard in made(found[action.name], action)]


def made(shards: list[Shard] | None, action: Action) -> list[Shard]:
    if shards is None:
        raise errors.StageError(f"{action.stage}: action {action.name} ended without a result; run the build again")
    return shards


@contextmanager
def pipeline(stage: str, runner: Runner) -> Iterator[beam.Pipeline]:
    """A Beam pipeline that runs at the end of the block. What it raises comes out as the error it was.

    Raises:
        NotMade: the runner is LOOK_UP.
        LongmixError: the one a worker raised, or a StageError with the last line of its traceback.
    """
    if runner.runner == LOOK_UP:
        raise errors.NotMade(stage)
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # a worker's traceback travels in the error below
    p = beam.Pipeline(options=runner.pipeline_options())
    yield p
    try:
        p.run().wait_until_finish()
    except Exception as error:
        raise from_worker(stage, error) from error
    finally:
        release()


RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Exit|Interrupt))(?:: (.*))?$", re.MULTILINE)


def from_worker(stage: str, error: BaseException) -> errors.LongmixError:
    """A worker's error, which a runner hands on as a text, as an error again."""
    text = f"{type(error).__name__}: {error}"
    found = RAISED.findall(re.sub(r"^(?:RuntimeError: )+", "", text, flags=re.MULTILINE))
    for name, message in found:
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, errors.LongmixError):
            return kind(plain(message))
    name, message = found[0] if found else (type(error).__name__, str(error))
    return errors.StageError(f"{stage}: {name}: {plain(message)}")


def plain(message: str) -> str:
    return message.partition(" [while running")[0].strip()
