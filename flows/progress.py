"""Progress of a build, read from ROOT/progress.jsonl. Workers append a line to it for each action that they commit.

On a terminal: a bar per stage with documents, MB/s and remaining time. In a log: a plain line at intervals.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from flows.terminal import printable
from pipelines.check import Checked

POLL_SECONDS = 0.2
LINE_SECONDS = 15  # between two lines of a stage in a log

LEAST_RATE = 0.05  # MB/s; bytes do not measure a slower stage


@dataclass
class StageProgress:
    """Progress of one stage.

    Attributes:
        shards: number of shards to make. An estimate: ingest knows the number only at its end.
        existing: number of actions whose results existed before.
        reused: documents whose rows were copied from an earlier version.
        began, ended, latest: times in seconds; `ended` is None while the stage runs.
    """

    stage: str
    shards: int = 0
    existing: int = 0
    made: int = 0
    documents: int = 0
    n_bytes: int = 0
    model_tokens: int = 0
    reused: int = 0
    began: float = 0.0
    ended: float | None = None
    latest: float = 0.0

    @property
    def seconds(self) -> float:
        return max(1e-9, (self.ended or self.latest) - self.began)

    @property
    def left_seconds(self) -> float | None:
        """Remaining time at the mean rate so far; None before the first shard."""
        return self.seconds / self.made * max(0, self.shards - self.made) if self.made else None

    def summary(self) -> str:
        """The figures as text, such as "20 documents, 3.0 MB/s, 2 s left"."""
        if self.ended and not self.made:
            return "nothing to make" if self.existing or not self.shards else "done"
        words = []
        if self.documents:
            words.append(
                f"{self.documents:,} document{'' if self.documents == 1 else 's'}"
                + (f", {self.reused:,} of them reused" if self.reused else "")
            )
        if (rate := self.n_bytes / 1e6 / self.seconds) >= LEAST_RATE:
            words.append(f"{rate:,.1f} MB/s")
        if self.model_tokens:
            words.append(f"{self.model_tokens:,} model tokens, {self.model_tokens / self.seconds:,.0f} a second")
        if not self.ended and self.left_seconds:
            words.append(f"{self.left_seconds:,.0f} s left")
        return ", ".join(words)


class Follower:
    """Reads the progress file of a build that starts later than the follower; lines of earlier builds are ignored."""

    def __init__(self, root: Path):
        self.path = root / "progress.jsonl"
        self.since = time.time()
        self.position: int | None = None
        self.stages: dict[str, StageProgress] = {}

    def poll(self) -> list[StageProgress]:
        """The stages that changed since the last poll."""
        changed: dict[str, StageProgress] = {}
        for event in self.events():
            stage = self.stages.setdefault(event["stage"], StageProgress(event["stage"]))
            stage.latest = event["time"]
            if event["event"] == "begun":
                stage.began, stage.ended = stage.began or event["time"], None  # some stages run in two rounds
                stage.shards += event.get("shards", 0)
                stage.existing += event.get("there", 0)
            elif event["event"] == "made":
                stage.made += 1
                stage.documents += event["documents"]
                stage.n_bytes += event["bytes"]
                stage.model_tokens += event.get("model_tokens", 0)
                stage.reused += event.get("reused", 0)
            elif event["event"] == "ended":
                stage.ended = event["time"]
            changed[stage.stage] = stage
        now = time.time()
        for stage in self.stages.values():
            if stage.ended is None:
                stage.latest = max(stage.latest, now)
        return list(changed.values())

    def events(self) -> Iterator[dict]:
        try:
            raw = self.path.read_bytes() if self.position is None else self.tail()
        except OSError:  # missing yet; a root that is none is reported by the build
            return
        lines = raw[: raw.rfind(b"\n") + 1]
        events = [json.loads(line) for line in lines.splitlines()]
        if self.position is None:
            if not events or events[0]["time"] < self.since:
                return  # the file of an earlier build
            self.position = 0
        self.position += len(lines)
        yield from (event for event in events if "stage" in event)

    def tail(self) -> bytes:
        with open(self.path, "rb") as stream:
            stream.seek(self.position or 0)
            return stream.read()


@contextmanager
def polling(follower: Follower, show: Callable[[list[StageProgress]], None], every: float) -> Iterator[None]:
    """Call `show` with the changed stages every `every` seconds, in a thread, and once more after the block."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(every):
            show(follower.poll())

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        show(follower.poll())


@contextmanager
def following(root: Path) -> Iterator[None]:
    """Show the progress of a build on standard error: bars on a terminal, otherwise lines."""
    follower = Follower(root)
    console = Console(stderr=True)
    if not console.is_terminal:
        with polling(follower, lines(follower), POLL_SECONDS):
            yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:10}", markup=False),  # a name in [brackets] is no markup
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[summary]}", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def show(_: list[StageProgress]) -> None:
            for name, stage in follower.stages.items():
                if name not in tasks:
                    tasks[name] = bars.add_task(printable(name), total=None, summary="")
                total = max(stage.shards, stage.made, 1)
                done = total if stage.ended else stage.made
                bars.update(tasks[name], total=total, completed=done, summary=stage.summary())
                if stage.ended:
                    bars.stop_task(tasks[name])

        with polling(follower, show, POLL_SECONDS):
            yield


def lines(follower: Follower) -> Callable[[list[StageProgress]], None]:
    """Print a line when a stage ends, and every LINE_SECONDS while it runs."""
    printed_at: dict[str, float] = {}  # infinity: the last line of the stage is printed

    def show(_: list[StageProgress]) -> None:
        for stage in follower.stages.values():
            last = printed_at.get(stage.stage, stage.began)
            if last == float("inf"):
                if stage.ended is None:  # the stage has started a second round
                    printed_at[stage.stage] = stage.latest
                continue
            if stage.ended:
                printed_at[stage.stage] = float("inf")
                print(
                    f"{stage.stage}: {stage.summary() or 'done'}, {stage.seconds:,.1f} s", file=sys.stderr, flush=True
                )
            elif stage.latest - last >= LINE_SECONDS:
                printed_at[stage.stage] = stage.latest
                total = max(stage.shards, stage.made)
                words = ", ".join(filter(None, [f"{stage.made} of {total} shards", stage.summary()]))
                print(f"{stage.stage}: {words}", file=sys.stderr, flush=True)

    return show


@contextmanager
def counting(*, is_shown: bool = True) -> Iterator[Callable[[Checked], Checked]]:
    """A function that counts the files and bytes of a check on standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.fields[n_files]:,} files"), DownloadColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not (is_shown and console.is_terminal)) as bar:
        task, n_files = bar.add_task("", total=None, n_files=0), 0

        def count(result: Checked) -> Checked:
            nonlocal n_files
            n_files += 1
            bar.update(task, advance=result.n_bytes, n_files=n_files)
            return result

        yield count
