"""Attacks by the machine: files in place of folders, links, other file systems, full disks, locales, Ctrl-C."""

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.attack.ground import Attack, Ended, Ground, Outcome, done_or_refused, newest, outcome, refused
from tests.interrupted import hears_interrupts

OTHER_FILE_SYSTEM = Path("/dev/shm")
MOST_SECONDS_OF_CTRL_C = 2.0


def root_is_a_file(ground: Ground) -> Outcome:
    ground.built()
    root = ground.folder / "file"
    root.write_text("not a folder")
    ended = ground.run("build", ground.recipe, "--root", root)
    return outcome(ended.is_refused and root.read_text() == "not a folder", ended.summary())


def datasets_is_a_link(ground: Ground) -> Outcome:
    ground.built()
    root = ground.made("linked")
    (root / "datasets").symlink_to(ground.made("elsewhere"))
    ended = ground.run("build", ground.recipe, "--root", root)
    if not ended.is_done:
        return refused(ended)
    checked = ground.run("check", root)
    return outcome(checked.is_done, f"built; check: {checked.summary()}")


def shards_elsewhere(ground: Ground) -> Outcome:
    """shards/ is a link into another file system, into which no file of datasets/ can be a hard link."""
    ground.built()
    root = ground.made("linked")
    if not OTHER_FILE_SYSTEM.is_dir():
        return outcome(False, f"not run: no {OTHER_FILE_SYSTEM} here")
    with TemporaryDirectory(dir=OTHER_FILE_SYSTEM) as folder:
        (root / "shards").symlink_to(folder)
        return done_or_refused(ground.run("build", ground.recipe, "--root", root))


def names_the_disk(ended: Ended) -> bool:
    return ended.is_refused and bool(re.search(r"space|large|disk|quota", ended.output))


def small_files(ground: Ground) -> Outcome:
    """No file may become larger than 40 kB, as under a quota; then the same build without the limit."""
    ground.built()
    root = ground.folder / "other"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))

    ended = ground.run("build", ground.recipe, "--root", root, before=limit)
    again = ground.run("build", ground.recipe, "--root", root)
    same = again.is_done and newest(root).name == newest(ground.folder / "root").name
    seen = ended.summary() if same else f"then: {again.summary()}"
    return outcome(names_the_disk(ended) and same, seen)


def full_disk(ground: Ground, size: str) -> Outcome:
    """A root on a disk of a few hundred kB."""
    ground.built()
    root = ground.made("full")
    script = f'mount -t tmpfs -o size={size} none "{root}" && exec "$@"'
    ended = ground.run(
        "build", ground.recipe, "--root", root / "root", prefix=("unshare", "-rm", "sh", "-c", script, "sh")
    )
    if "unshare" in ended.last_line or "mount" in ended.last_line:
        return outcome(False, f"not run: {ended.last_line}")
    return outcome(names_the_disk(ended), ended.summary())


def read_only_root(ground: Ground) -> Outcome:
    """A root on a file system that is read-only: it can be read, and a build of another mix is refused."""
    root = ground.built()
    mount = f'mount --bind "{root}" "{root}" && mount -o remount,ro,bind "{root}" && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", mount, "sh")
    for words in (("query", root, "FROM sources"), ("show", root, "0"), ("check", root)):
        read = ground.run(*words, prefix=prefix)
        if not read.is_done:
            return outcome(False, f"{words[0]}: {read.summary()}")
    ground.add_article()
    ended = ground.run("build", ground.recipe, "--root", root, prefix=prefix)
    return outcome(ended.is_refused and "ead-only" in ended.output, ended.summary())


def locale_c(ground: Ground) -> Outcome:
    """A build in the locale C publishes the version of a build in UTF-8, pages in UTF-8."""
    ground.built()
    folder = ground.folder / "mix" / "corpus" / "speeches"
    shutil.copy(folder / "0.txt", folder / "éü.txt")
    roots = {}
    for name, variables in {
        "c": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "utf-8": {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
    }.items():
        ground.environment |= variables
        roots[name] = ground.folder / f"root-{name}"
        ended = ground.run("build", ground.recipe, "--root", roots[name])
        if not ended.is_done:
            return outcome(False, f"{name}: {ended.summary()}")
    c, utf8 = (newest(root) for root in roots.values())
    (c / "README.md").read_text(encoding="utf-8")
    return outcome(c.name == utf8.name, "the same version" if c.name == utf8.name else "another version")


def ctrl_c(ground: Ground, stage: str) -> Outcome:
    """SIGINT while a stage runs: the process ends within two seconds, with status 130 and one line."""
    ground.built()
    root = ground.folder / "other"
    sent: list[float] = []

    def interrupt(process: subprocess.Popen) -> None:
        progress = root / "progress.jsonl"
        until = time.monotonic() + 240
        while time.monotonic() < until and process.poll() is None:
            if progress.is_file() and f'"stage": "{stage}", "event": "begun"' in progress.read_text():
                time.sleep(0.2)
                break
            time.sleep(0.02)
        sent.append(time.monotonic())
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGINT)

    ended = ground.run("build", ground.recipe, "--root", root, before=hears_interrupts, during=interrupt)
    seconds = time.monotonic() - sent[0]
    is_soon = seconds <= MOST_SECONDS_OF_CTRL_C
    seen = f"{seconds:.1f} s, {ended.summary()}"
    return outcome(is_soon and ended.status == 130 and not ended.has_traceback, seen)


ATTACKS: dict[str, Attack] = {
    "root-is-file": ("refused in one line", root_is_a_file),
    "datasets-link": ("builds and checks, or refused", datasets_is_a_link),
    "shards-elsewhere": ("builds, or refused in one line", shards_elsewhere),
    "disk-quota": ("one line, then the same version", small_files),
    "disk-full": ("one line that names the space", partial(full_disk, size="200k")),
    "disk-full-publish": ("one line that names the space", partial(full_disk, size="5m")),
    "read-only-root": ("read; a build is refused in one line", read_only_root),
    "locale-c": ("the same version, UTF-8", locale_c),
    "ctrl-c-signatures": ("ends in 2 s, status 130", partial(ctrl_c, stage="signatures")),
    "ctrl-c-ingest": ("ends in 2 s, status 130", partial(ctrl_c, stage="ingest")),
}
