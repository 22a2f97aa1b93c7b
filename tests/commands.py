"""The command line in a process of its own: a fork of the server of kills.py, which has its imports."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kills import FORKS


@contextmanager
def started(*words: object) -> Iterator[tuple[BaseProcess, Path, Path]]:
    """`longmix WORDS`, and the files of its output and errors; killed when the block ends."""
    with TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        process = FORKS.Process(target=run, args=([*map(str, words)], output, errors))
        process.start()
        try:
            yield process, output, errors
        finally:
            process.kill()
            process.join()


def longmix(*words: object) -> subprocess.CompletedProcess:
    with started(*words) as (process, output, errors):
        process.join()
        texts = [path.read_text(encoding="utf-8") for path in (output, errors)]
        return subprocess.CompletedProcess(words, process.exitcode, *texts)


def run(words: list[str], *files: Path) -> None:
    """The command, in this process, whose standard output and error go to the files."""
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["longmix", *words]
    from flows.cli import main

    main()
