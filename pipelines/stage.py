"""The engine: looks up what a stage made before, and spreads the rest over workers by one Beam pipeline.

A stage names an action for each result, by everything that the result depends on. `once` is for one action in this
process, `each` for many, `shards` for the most frequent kind: one shard made by a function of others. Workers receive
paths and hashes, never documents, and workers and driver meet in the store alone, so any Beam runner will do whose
workers see the root's folder.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from pipelines.actions import Action, Read, Reused, ShardStage, earlier_reads
from pipelines.failures import pointer, remedy_of, write_traceback
from pipelines.memory import release
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch
from schemas import errors

if TYPE_CHECKING:  # 1.5 CPU seconds, which a look-up does without
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions


class Runner(BaseModel):
    """The recipe's [run]: which Beam runner, how many workers. Never part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runner: str = "FnApiRunner"  # not DirectRunner, which looks for another engine to download first
    workers: NonNegativeInt = 0  # 0: one a core
    options: dict[str, str | int | bool] = Field(default_factory=dict)  # Beam's own pipeline options

    @property
    def n_workers(self) -> int:
        return self.workers or cpu_count() or 1

    def pipeline_options(self) -> "PipelineOptions":
        """On one machine the workers are threads of this process and nothing listens on a port.

        Beam's "multi_threading" mode opens four gRPC ports on every address without a credential. Its "in_memory" mode
        runs the same bundles on the same number of threads, by plain calls.
        """
        from pipelines.beam_parts import Options

        local = {}
        if self.runner == "FnApiRunner":
            local = {"direct_num_workers": self.n_workers, "direct_running_mode": "in_memory"}
        return Options(flags=[], runner=self.runner, **{**local, **self.options})


class Named(Protocol):
    @property
    def name(self) -> str: ...  # of an action


N = TypeVar("N", bound=Named)
Spread = Callable[["beam.Pipeline", list[Any]], object]  # adds to a pipeline what makes each of the actions


@dataclass(frozen=True)
class Engine:
    """Where the tables are, how work is spread, and whether anything may be made.

    An engine that only looks writes nothing, reports no progress, deletes nothing and opens no scratch folder: where a
    result is missing it raises NotMade.

    Attributes:
        earlier: the tables of an earlier version; rows of documents that did not change are copied from them.
        damaged: TABLE/HASH of shards that are made again.
        reused: by stage, the documents whose rows were copied; of embed, those whose vectors were kept.
        notes: sentences on the input for whoever reads the summary: what was passed over, lost, or not there.
    """

    store: Store
    runner: Runner
    looks_only: bool = False
    earlier: Mapping[str, list[Shard]] = field(default_factory=dict, compare=False)
    damaged: list[str] = field(default_factory=list, compare=False)
    reused: dict[str, Reused] = field(default_factory=dict, compare=False)
    notes: list[str] = field(default_factory=list, compare=False)

    @classmethod
    def looking(cls, root: Path) -> "Engine":
        """An engine for a root that another process may be building in."""
        return cls(Store(root.absolute(), run=None), Runner(), looks_only=True)

    def look(self) -> "Engine":
        """The same engine, only looking."""
        return replace(self, looks_only=True)

    def find(self, stage: str, name: str) -> list[Shard] | None:
        """What an action made; None where it is to be made.

        Raises:
            NotMade: it is missing, and this engine only looks.
        """
        shards = self.store.find(stage, name)
        if shards is None:
            self.must_make(stage)
            self.damaged.extend(self.store.damaged(stage, name))
        return shards

    def must_make(self, stage: str) -> None:
        """
        Raises:
            NotMade: this engine only looks.
        """
        if self.looks_only:
            raise errors.NotMade(stage)

    def once(self, stage: str, name: str, make: Callable[[], list[Shard]], n_documents: int = 0) -> list[Shard]:
        """The shards of one action, made in this process where they are missing.

        n_documents: what the progress of the stage counts.
        """
        shards = self.find(stage, name)
        with self.reported(stage, n_todo=int(shards is None), n_there=int(shards is not None)):
            return shards if shards is not None else self.store.commit(stage, name, make(), n_documents)

    def each(
        self,
        stage: str,
        actions: Sequence[N],
        spread: Spread,
        *,
        n_shards: Callable[[list[N]], int] = len,
        find: Callable[[N], list[Shard] | None] | None = None,
    ) -> list[list[Shard]]:
        """The shards of each action, in order; the missing ones are made by one Beam pipeline.

        Args:
            spread: adds to the pipeline what makes and commits each of the missing actions.
            n_shards: how many shards those will make, about; for progress.
            find: where an action's result may lie, when that is more than one place.
        """
        look_up = find or (lambda action: self.find(stage, action.name))
        shards = {action.name: look_up(action) for action in actions}
        todo = list({action.name: action for action in actions if shards[action.name] is None}.values())
        if todo:
            self.must_make(stage)
        with self.reported(stage, n_shards(todo), len(actions) - len(todo)):
            if todo:
                with self.pipeline(stage) as p:
                    spread(p, todo)
            shards |= {action.name: look_up(action) for action in todo}
        return [self.made(stage, action.name, shards[action.name]) for action in actions]

    def shards(self, stage: ShardStage, params: BaseModel, reads: Iterable[tuple[Read, ...]]) -> list[Shard]:
        """A shard for each tuple of reads, in order."""
        actions = stage.actions(params, reads)
        if not actions:
            return []

        making: list[Action] = []

        def spread(p: "beam.Pipeline", todo: list[Action]) -> object:
            making.extend(stage.with_copies(todo, self.replaced(stage, params, actions), self.store))
            return over_each(stage.make, params, self.store)(p, making)

        shards = self.each(stage.stage, actions, spread)
        self.reused[stage.stage] = self.reused.get(stage.stage, Reused()).plus(making)
        return [shard for shards_of_action in shards for shard in shards_of_action]

    def replaced(self, stage: ShardStage, params: BaseModel, actions: Sequence[Action]) -> list[Action]:
        """The stage's actions of the earlier version that are no longer needed: their rows are those that may be copied."""
        if not stage.same:
            return []
        names = {action.name for action in actions}
        earlier = stage.actions(params, earlier_reads(actions[0].reads, self.earlier))
        return [action for action in earlier if action.name not in names]

    def made(self, stage: str, name: str, shards: list[Shard] | None) -> list[Shard]:
        """
        Raises:
            StageError: the pipeline ended and the action was not committed.
        """
        if shards is None:
            raise errors.StageError(f"{stage}: action {name} ended without a result; run the build again")
        return shards

    @contextmanager
    def reported(self, stage: str, n_todo: int, n_there: int = 0) -> Iterator[None]:
        """Report the beginning and the end of a stage."""
        if self.looks_only:
            yield
            return
        self.store.tell({"stage": stage, "event": "begun", "shards": n_todo, "there": n_there})
        yield
        self.store.tell({"stage": stage, "event": "ended"})

    @contextmanager
    def scratch(self, name: str) -> Iterator[Scratch]:
        """A folder for a stage's temporary files; none is made by an engine that only looks."""
        if self.looks_only:
            yield Scratch(self.store.root / "scratch" / name)
            return
        with self.store.scratch(name) as scratch:
            yield scratch

    @contextmanager
    def pipeline(self, stage: str) -> Iterator["beam.Pipeline"]:
        """A Beam pipeline that runs at the end of the block.

        Raises:
            NotMade: this engine only looks.
            LongmixError: the error of a worker, or a StageError that names the file of its traceback.
        """
        self.must_make(stage)
        import apache_beam as beam

        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # the log below has a worker's traceback
        p = beam.Pipeline(options=self.runner.pipeline_options())
        yield p
        try:
            p.run().wait_until_finish()
        except Exception as error:
            raise from_worker(stage, error, self.store.root) from error
        finally:
            release()


def over_each(function: Callable[..., object], *arguments: object) -> Spread:
    """Call `function(action, *arguments)` for each action."""

    def called(p: "beam.Pipeline", actions: list[Any]) -> object:
        import apache_beam as beam

        from pipelines.beam_parts import spread

        return spread(p, actions) | "Make" >> beam.Map(function, *arguments)

    return called


RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Exit|Interrupt|NotMade))(?:: (.*))?$", re.MULTILINE)


def from_worker(stage: str, error: BaseException, root: Path) -> errors.LongmixError:
    """A worker's error, which a runner hands on as a text, as an error again; one of longmix's own keeps its message.

    The traceback of another is written to a file under the root, which the message names.
    """
    text = f"{type(error).__name__}: {error}"
    raised = RAISED.findall(re.sub(r"^(?:RuntimeError: )+", "", text, flags=re.MULTILINE))
    for name, message in raised:
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, errors.LongmixError):
            return kind(plain(message))
    name, message = raised[0] if raised else (type(error).__name__, str(error))
    message = " ".join(plain(message).split())
    remedy = remedy_of(name, message) or "run the build again, and report the error if it comes back"
    log = pointer(write_traceback(root, stage, error))
    return errors.StageError(f"{': '.join(filter(None, [stage, name, message]))}; {remedy} ({log})")


def plain(message: str) -> str:
    """A message without what Beam adds to it; of a KeyError, which is quoted, the first quote goes with the last."""
    text, added, _ = message.partition(" [while running")
    if added and text[:1] in ("'", '"') and text[-1:] != text[:1]:
        text = text[1:]
    return text.strip()
