"""Commands in processes of their own that are killed at a time, a rename or a removal; the process group goes with them."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kills import FORKS

MIX = "micro"


@dataclass(frozen=True)
class Command:
    """build, refresh or gc of a recipe in a root."""

    name: str
    recipe: Path
    root: Path
    workers: int = 2


@dataclass(frozen=True)
class Moment:
    """When a command is killed: after so many seconds, or before or after its n-th rename or removal."""

    way: str  # time, before, after
    at: float

    def earlier(self) -> "Moment":
        return Moment(self.way, self.at * 0.6 if self.way == "time" else max(1, int(self.at * 0.6)))


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbs: its seconds and its renames and removals."""

    seconds: float
    n_steps: int

    def moment(self, rng: random.Random) -> Moment:
        if rng.random() < 0.5:
            return Moment("time", rng.uniform(0, 1) * self.seconds)
        return Moment(rng.choice(["before", "after"]), rng.randint(1, self.n_steps))


def perform(command: Command, log: Path, moment: Moment | None) -> None:
    """Run a command in this process, the leader of a new process group; its steps and errors go to the log."""
    os.setsid()
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    steps = Steps(moment)
    for name in ("replace", "unlink"):
        setattr(os, name, steps.counted(getattr(os, name)))
    from pipelines.build import build
    from pipelines.garbage import collect
    from pipelines.recipe import load
    from pipelines.versions import latest

    if command.name == "gc":
        collect(command.root, dry_run=False)
    else:
        recipe = load(command.recipe)
        runner = recipe.run.model_copy(update={"workers": command.workers})
        base = latest(command.root, MIX) if command.name == "refresh" else None
        build(recipe.model_copy(update={"run": runner}), command.root, base=base)
    os.write(2, f"steps {steps.n}".encode())


class Steps:
    """Counts the renames and removals of this process, and ends its group at the moment."""

    def __init__(self, moment: Moment | None) -> None:
        self.moment, self.n = moment, 0

    def counted(self, function: Callable) -> Callable:
        def step(*arguments: object, **options: object) -> object:
            self.n += 1
            is_last = self.moment is not None and self.moment.way != "time" and self.n == self.moment.at
            if is_last and self.moment.way == "before":
                os.killpg(0, signal.SIGKILL)
            result = function(*arguments, **options)
            if is_last:
                os.killpg(0, signal.SIGKILL)
            return result

        return step


class Running:
    """A command in a process of its own."""

    def __init__(self, command: Command, moment: Moment | None = None) -> None:
        self.log = command.root.with_name(f"{command.root.name}-{command.name}.log")
        self.moment = moment
        self.began = time.monotonic()
        self.process = FORKS.Process(target=perform, args=(command, self.log, moment))
        self.process.start()

    def killed(self) -> bool:
        """Kill the group at its moment. Returns whether the command was still running then."""
        assert self.moment is not None
        if self.moment.way == "time":
            self.process.join(self.moment.at)
            if self.process.is_alive():
                self.end()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL

    def end(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # killed before it led a group
            self.process.kill()

    def finished(self, *, may_be_busy: bool = False) -> Undisturbed | None:
        """Wait for the end. None where the command was refused because another holds the root."""
        self.process.join()
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        if may_be_busy and "BusyError" in text:
            return None
        assert self.process.exitcode == 0, text[-2_000:]
        return Undisturbed(time.monotonic() - self.began, int(text.rpartition("steps ")[2]))


def complete(*commands: Command) -> Undisturbed:
    """Run commands one after another. Returns what the last took."""
    for command in commands:
        run = Running(command).finished()
    assert run is not None
    return run


def stage_of(root: Path) -> str:
    """The stage that a killed build was in; of one that had begun none, `start`."""
    path = root / "progress.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    open_stages: list[str] = []
    for record in records:
        if record["event"] == "begun":
            open_stages.append(record["stage"])
        elif record["event"] == "ended" and record["stage"] in open_stages:
            open_stages.remove(record["stage"])
    if open_stages:
        return open_stages[-1]
    return f"after {records[-1]['stage']}" if records else "start"
