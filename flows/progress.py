"""How far a build is: read from ROOT/progress.jsonl, to which every worker appends a line for each action it commits.

On a terminal a bar for each stage with documents, MB/s and time left; in a log a plain line now and then.
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

from pipelines.check import Checked

POLL_SECONDS = 0.2
LINE_SECONDS = 15  # between two lines of a stage in a log


@dataclass
class StageProgress:
    """A stage so far. `shards` is what there is to make, about: ingest knows it only when all is read."""

    stage: str
    shards: int = 0
    there: int = 0
    made: int = 0
    documents: int = 0
    n_bytes: int = 0
    model_tokens: int = 0
    began: float = 0.0
    ended: float | None = None
    latest: float = 0.0

    @property
    def seconds(self) -> float:
        return max(1e-9, (self.ended or self.latest) - self.began)

    @property
    def left_seconds(self) -> float | None:
        """At the pace so far; None before the first shard."""
        return self.seconds / self.made * max(0, self.shards - self.made) if self.made else None

    def told(self) -> str:
        """The figures in words."""
        if self.ended and not self.made:
            return "nothing to make" if self.there or not self.shards else "done"
        words = []
        if self.documents:
            words.append(f"{self.documents:,} documents")
        if self.n_bytes:
            words.append(f"{self.n_bytes / 1e6 / self.seconds:,.1f} MB/s")
        if self.model_tokens:
            words.append(f"{self.model_tokens:,} model tokens, {self.model_tokens / self.seconds:,.0f} a second")
        if not self.ended and self.left_seconds:
            words.append(f"{self.left_seconds:,.0f} s left")
        return ", ".join(words)


class Follower:
    """Reads the progress file of a build that begins after it: what stands there from an earlier one is passed over."""

    def __init__(self, root: Path):
        self.path = root / "progress.jsonl"
        self.since = time.time()
        self.position: int | None = None
        self.stages: dict[str, StageProgress] = {}

    def poll(self) -> list[StageProgress]:
        """The stages that changed since the last poll, each once."""
        changed: dict[str, StageProgress] = {}
        for event in self.events():
            stage = self.stages.setdefault(event["stage"], StageProgress(event["stage"]))
            stage.latest = event["time"]
            if event["event"] == "begun":
                stage.began, stage.ended = stage.began or event["time"], None  # a stage may go on in a second round
                stage.shards += event.get("shards", 0)
                stage.there += event.get("there", 0)
            elif event["event"] == "made":
                stage.made += 1
                stage.documents += event["documents"]
                stage.n_bytes += event["bytes"]
                stage.model_tokens += event.get("model_tokens", 0)
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
        except FileNotFoundError:
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
    """Call `show` with what changed, from a thread, until the block ends; and once after it."""
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
    """Show the progress of a build on standard error: bars on a terminal, lines elsewhere."""
    follower = Follower(root)
    console = Console(stderr=True)
    if not console.is_terminal:
        with polling(follower, lines(follower), POLL_SECONDS):
            yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def show(_: list[StageProgress]) -> None:
            for name, stage in follower.stages.items():
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=None, told="")
                total = max(stage.shards, stage.made, 1)
                done = total if stage.ended else stage.made
                bars.update(tasks[name], total=total, completed=done, told=stage.told())
                if stage.ended:
                    bars.stop_task(tasks[name])

        with polling(follower, show, POLL_SECONDS):
            yield


def lines(follower: Follower) -> Callable[[list[StageProgress]], None]:
    """A line when a stage ends, and every LINE_SECONDS while it runs."""
    said: dict[str, float] = {}

    def show(_: list[StageProgress]) -> None:
        for stage in follower.stages.values():
            last = said.get(stage.stage, stage.began)
            if last == float("inf"):
                if stage.ended is None:  # it goes on
                    said[stage.stage] = stage.latest
                continue
            if stage.ended:
                said[stage.stage] = float("inf")
                print(f"{stage.stage}: {stage.told() or 'done'}, {stage.seconds:,.1f} s", file=sys.stderr, flush=True)
            elif stage.latest - last >= LINE_SECONDS:
                said[stage.stage] = stage.latest
                of = max(stage.shards, stage.made)
                print(f"{stage.stage}: {stage.made} of {of} shards, {stage.told()}", file=sys.stderr, flush=True)

    return show


@contextmanager
def counting() -> Iterator[Callable[[Checked], Checked]]:
    """Count the files and bytes of a check on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.fields[n_files]:,} files"), DownloadColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, n_files = bar.add_task("", total=None, n_files=0), 0

        def count(result: Checked) -> Checked:
            nonlocal n_files
            n_files += 1
            bar.update(task, advance=result.n_bytes, n_files=n_files)
            return result

        yield count
