"""Where an attack takes place: a folder, a recipe, a root that was built once, and the command line that is attacked."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests import micro

MIX = "micro"
SEEN_CHARACTERS = 60
LONGEST_SECONDS = 300.0
FOLDER_OF_AN_ATTACK = re.compile(r"(?<![\w/])/[^\s:'\"]*/attacks/[\w-]+/")
TAIL_CHARACTERS = 20_000  # of a command's output


@dataclass(frozen=True)
class Outcome:
    """Whether what must happen did happen, and what was seen instead, in at most SEEN_CHARACTERS."""

    is_held: bool
    seen: str


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, negative for a signal, None where it was ended at its time limit."""

    status: int | None
    output: str
    seconds: float
    peak_bytes: int

    @property
    def has_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.output

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1].removeprefix("longmix: ").removeprefix("error: ") if lines else ""

    @property
    def is_refused(self) -> bool:
        """Whether it was refused as a user is: status 1 or 2, and no traceback."""
        return self.status in (1, 2) and not self.has_traceback

    @property
    def is_done(self) -> bool:
        return self.status == 0 and not self.has_traceback

    def summary(self) -> str:
        if self.status is None:
            return f"no end within {self.seconds:.0f} s"
        if self.status < 0:
            return f"ended by {signal.Signals(-self.status).name}"
        if self.has_traceback:
            return f"traceback: {self.last_line}"
        if self.status == 0:
            return "done"
        return f"{'refused' if self.status in (1, 2) else f'status {self.status}'}: {self.last_line}"


@dataclass
class Ground:
    """The folder of one attack. `longmix` is the command line, split into words; `shared` keeps what attacks have in common."""

    folder: Path
    longmix: list[str]
    shared: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: object,
        prefix: tuple[str, ...] = (),
        before: Callable[[], None] | None = None,
        seconds: float = LONGEST_SECONDS,
        during: Callable[[subprocess.Popen], None] | None = None,
    ) -> Ended:
        """Run a command of longmix in the folder of the attack, in a process group that ends with it.

        Args:
            prefix: words before the command line, such as those of unshare.
            before: called in the new process before the command.
            during: called with the process while it runs.
        """
        began = time.monotonic()
        log = self.folder / "output"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*prefix, *self.longmix, *map(str, words)],
                cwd=self.folder, env=self.variables(), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=before,  # noqa: PLW1509 no threads here
            )  # fmt: skip
            if during:
                during(process)
            status, peak = waited(process, began + seconds)
        output = log.read_text(errors="replace")[-TAIL_CHARACTERS:]
        return Ended(status, output, time.monotonic() - began, peak)

    def variables(self) -> dict[str, str]:
        own = {
            name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")
        }  # set by imports here
        return {**own, "TMPDIR": str(self.made("temporary")), **self.environment}

    def made(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def built(self, name: str = "root") -> Path:
        """A copy of a root with one version of the mix, and of its recipe and corpus, which lie beside it."""
        kept = self.shared / "built"
        if not kept.is_dir():
            made = Ground(self.shared / "making", self.longmix, self.shared)
            made.made("mix")
            recipe = micro.write(made.folder / "mix")
            ended = made.run("build", recipe, "--root", made.folder / "root", seconds=900)
            if not ended.is_done:
                raise SystemExit(f"the mix of the attacks can't be built: {ended.summary()}\n{ended.output}")
            made.folder.rename(kept)
            fix_paths(kept / "mix" / "micro.toml", made.folder, kept)
        shutil.copytree(kept / "mix", self.folder / "mix", dirs_exist_ok=True)
        return shutil.copytree(kept / "root", self.folder / name, symlinks=True)

    @property
    def recipe(self) -> Path:
        """The recipe beside a root that `built` has copied."""
        return self.folder / "mix" / "micro.toml"

    def add_article(self) -> None:
        """One document more in the corpus, so that a refresh has something to do."""
        rows = micro.lines(5, micro.CORPUS / "wikipedia.jsonl.gz")
        text = "".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows)
        (self.folder / "mix" / "corpus" / "articles.jsonl").write_text(text)

    def small(self, source: str, **sections: str) -> Path:
        """A recipe of a source of nine pages and of one that the attack describes by its keys."""
        folder = self.made("small")
        rows = micro.lines(9, micro.CORPUS / "c4.jsonl")
        (folder / "pages.jsonl").write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows))
        parts = {
            "encode": f'tokenizer = "{micro.ROOT}/examples/tokenizer/tokenizer.json"\neos_token = "<|endoftext|>"',
            "plan": "budget_tokens = 3_000\nlong_tokens = 4096\nshort_rate = 0.9\nmax_epochs = 4",
            "pack": "sequence_tokens = 1024",
            "run": "workers = 2",
            **sections,
        }
        text = parts.pop("top", 'mix = "small"')
        text += "".join(f"\n\n[{name}]\n{lines}" for name, lines in parts.items())
        text += '\n\n[[sources]]\nname = "pages"\ndomain = "web"\npath = "pages.jsonl"\n'
        if source:
            text += f"\n[[sources]]\n{source}\n"
        (folder / "small.toml").write_text(text)
        return folder / "small.toml"

    def build_small(self, source: str, seconds: float = LONGEST_SECONDS, **sections: str) -> Ended:
        recipe = self.small(source, **sections)
        return self.run("build", recipe, "--root", self.folder / "root", seconds=seconds)


def fix_paths(path: Path, before: Path, after: Path) -> None:
    path.write_text(path.read_text().replace(str(before), str(after)))


def waited(process: subprocess.Popen, until: float) -> tuple[int | None, int]:
    """The status of a process at its end, None where its group was ended at a time; and its peak of memory in bytes."""
    while True:
        if process.returncode is not None:  # whoever acted during the run has seen its end
            return process.returncode, 0
        pid, raw, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(raw)
            return process.returncode, usage.ru_maxrss * 1024
        if time.monotonic() > until:
            os.killpg(process.pid, signal.SIGKILL)
            _, raw, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(raw)
            return None, usage.ru_maxrss * 1024
        time.sleep(0.02)


Attack = tuple[str, Callable[[Ground], Outcome]]  # what must happen, in a few words, and the attack


def refused(ended: Ended) -> Outcome:
    return outcome(ended.is_refused, ended.summary())


def done(ended: Ended) -> Outcome:
    return outcome(ended.is_done, ended.summary())


def done_or_refused(ended: Ended) -> Outcome:
    return outcome(ended.is_done or ended.is_refused, ended.summary())


def outcome(is_held: bool, seen: str) -> Outcome:
    seen = " ".join(FOLDER_OF_AN_ATTACK.sub("", seen).split())
    return Outcome(is_held, seen if len(seen) <= SEEN_CHARACTERS else f"{seen[: SEEN_CHARACTERS - 1]}…")


def words_of(command: str) -> list[str]:
    return shlex.split(command)


def newest(root: Path, mix: str = MIX) -> Path:
    return (root / "datasets" / mix / "latest").resolve()


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
