"""Kill builds, refreshes, gc and the scoring stage at random; what is resumed must leave the same bytes.

    python benchmarks/crash.py random --kills 200 --seed 0 --out benchmarks/results/random_kills.md

Each kill is SIGKILL to the process group of one command, at a time drawn from the duration of an undisturbed run, or at a
rename (of gc: a removal) drawn from those of an undisturbed run, before or after it. Kills that are done are lines of
WORK/done.jsonl and are not repeated. Exits with 1 if any byte differs; see tests.kills.fingerprint.
"""

import argparse
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path

import xxhash

from benchmarks.killing import MIX, Command, Moment, Running, Undisturbed, complete, stage_of
from tests import micro
from tests.kills import FORKS, building, fingerprint, measured_lines

SCORE = "min_tokens = 4096\nbudget_tokens = 20_000\nchunk_tokens = 32\nmost_pairs = 8"
MODEL = micro.ROOT / "tests" / "reference" / "prolong" / "model_opt_trained"
WORKERS = (1, 2, 4)
PATIENCE = 6  # a run that ends before its kill is repeated, each time with an earlier kill
PRELOADED = ["apache_beam", "pipelines.build", "pipelines.garbage", "pipelines.recipe"]


class Mixes:
    """The recipes, the roots that undisturbed runs leave, and what these took."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.recipes = self.written(work / "recipes")  # the same bytes each time
        self.fingerprints: dict[str, dict[str, str]] = {}

    def written(self, folder: Path) -> dict[str, Path]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        first = micro.write(folder)
        rows = micro.lines(5, micro.CORPUS / "wikipedia.jsonl.gz")
        text = "".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows)
        (folder / "corpus" / "more.jsonl").write_text(text)
        second, scored = folder / "more.toml", folder / "scored.toml"
        second.write_text(first.read_text().replace("articles.jsonl", "more.jsonl"))
        score = f'\n[score]\n{SCORE}\n\n[score.model]\nweights = "{MODEL}"\n\n[plan]\n'
        scored.write_text(first.read_text().replace("\n[plan]\n", score, 1))
        return {"build": first, "refresh": second, "scoring": scored}

    def fresh(self, name: str, like: str | None = None) -> Path:
        """A root to work in: empty, or a copy of an undisturbed one."""
        root = self.work / name
        shutil.rmtree(root, ignore_errors=True)
        if like:
            shutil.copytree(self.work / like, root, symlinks=True)
        return root

    def command(self, name: str, root: Path, workers: int = 2) -> Command:
        verb = "build" if name == "scoring" else name
        return Command(verb, self.recipes.get(name, self.recipes["build"]), root, workers)

    @cached_property
    def runs(self) -> dict[str, Undisturbed]:
        """What undisturbed runs took; those of an earlier run of this benchmark on the same code are kept."""
        path = self.work / "undisturbed.json"
        kept = json.loads(path.read_text()) if path.is_file() else {}
        if kept.get("code") != code():
            kept = {"code": code(), "runs": {name: asdict(run) for name, run in self.made().items()}}
            path.write_text(json.dumps(kept))
        return {name: Undisturbed(**run) for name, run in kept["runs"].items()}

    def made(self) -> dict[str, Undisturbed]:
        """What undisturbed runs took. Their roots: built, refreshed, removed (its first version), collected, scored.

        again: refreshed twice. The second refresh has another base, so it adds actions that lead to the same shards.
        """
        runs = {}
        complete(self.command("build", self.fresh("built")))  # compiles what this machine has not compiled yet
        runs["build"] = complete(self.command("build", self.fresh("built")))
        runs["refresh"] = complete(self.command("refresh", self.fresh("refreshed", "built")))
        root = self.fresh("removed", "refreshed")
        newest = (root / "datasets" / MIX / "latest").readlink().name
        for folder in (root / "datasets" / MIX).iterdir():
            if folder.name not in ("latest", newest):
                shutil.rmtree(folder)
        runs["gc"] = complete(self.command("gc", self.fresh("collected", "removed")))
        complete(self.command("build", self.fresh("rebuilt", "collected")))
        complete(self.command("gc", self.fresh("rebuilt-collected", "rebuilt")))
        complete(self.command("gc", self.fresh("refreshed-collected", "refreshed")))
        complete(self.command("refresh", self.fresh("again", "refreshed")))
        complete(self.command("gc", self.fresh("again-collected", "again")))
        runs["scoring"] = complete(self.command("scoring", self.fresh("scored")))
        return runs

    def expected(self, name: str) -> dict[str, str]:
        if name not in self.fingerprints:
            self.fingerprints[name] = fingerprint(self.work / name)
        return self.fingerprints[name]

    def after_refresh(self, root: Path) -> str:
        """Which undisturbed root a refresh must leave: `again` where the version that it makes is the newest already."""
        newest = [(folder / "datasets" / MIX / "latest").readlink() for folder in (root, self.work / "refreshed")]
        return "again" if newest[0] == newest[1] else "refreshed"


@cache
def code() -> str:
    """A hash of the code whose runs are killed."""
    paths = [path for folder in ("pipelines", "schemas", "scorers") for path in (micro.ROOT / folder).rglob("*.*")]
    sources = sorted(path for path in paths if path.suffix in (".py", ".sql"))
    return xxhash.xxh3_128_hexdigest(b"".join(path.read_bytes() for path in sources))


def killed(mixes: Mixes, name: str, like: str | None, moment: Moment) -> tuple[Path, Moment]:
    """A root in which a command was killed, and when that was."""
    for _ in range(PATIENCE):
        root = mixes.fresh("killed", like)
        if Running(mixes.command(name, root), moment).killed():
            return root, moment
        moment = moment.earlier()
    raise AssertionError(f"{name}: ended before each of {PATIENCE} kills")


def in_build(mixes: Mixes, rng: random.Random) -> tuple[str, bool]:
    root, moment = killed(mixes, "build", None, mixes.runs["build"].moment(rng))
    where = stage_of(root)
    complete(mixes.command("build", root, rng.choice(WORKERS)))
    return f"{moment.way}: {where}", fingerprint(root) == mixes.expected("built")


def in_refresh(mixes: Mixes, rng: random.Random) -> tuple[str, bool]:
    root, moment = killed(mixes, "refresh", "built", mixes.runs["refresh"].moment(rng))
    where = stage_of(root)
    expected = mixes.after_refresh(root)
    complete(mixes.command("refresh", root, rng.choice(WORKERS)))
    return f"{moment.way}: {where}", fingerprint(root) == mixes.expected(expected)


def in_gc(mixes: Mixes, rng: random.Random) -> tuple[str, bool]:
    """A killed gc, then gc, which must leave the same files; or a build of the removed version first, then gc."""
    root, moment = killed(mixes, "gc", "removed", mixes.runs["gc"].moment(rng))
    if rng.random() < 0.5:
        complete(mixes.command("gc", root))
        return f"{moment.way}: then gc", fingerprint(root) == mixes.expected("collected")
    complete(mixes.command("build", root, rng.choice(WORKERS)))
    is_same = datasets_of(fingerprint(root)) == datasets_of(mixes.expected("rebuilt"))
    complete(mixes.command("gc", root))
    is_same = is_same and fingerprint(root) == mixes.expected("rebuilt-collected")
    return f"{moment.way}: then a build, then gc", is_same


def in_gc_beside(mixes: Mixes, rng: random.Random) -> tuple[str, bool]:
    """A refresh is killed; while it resumes gc begins, and one of the two is killed. Then a refresh and gc."""
    root, _ = killed(mixes, "refresh", "built", mixes.runs["refresh"].moment(rng))
    victim = rng.choice(["gc", "refresh"])
    moment = Moment("time", rng.uniform(0, 1) * mixes.runs[victim].seconds)
    commands = [mixes.command("gc", root), mixes.command("refresh", root)]
    rng.shuffle(commands)
    running: dict[str, Running] = {}
    for command in commands:
        running[command.name] = Running(command, moment if command.name == victim else None)
        time.sleep(rng.uniform(0, 0.3))
    hit = running[victim].killed()
    other = running["refresh" if victim == "gc" else "gc"].finished(may_be_busy=True)
    expected = mixes.after_refresh(root)
    complete(mixes.command("refresh", root, rng.choice(WORKERS)), mixes.command("gc", root))
    outcome = "other refused" if other is None else "other done"
    where = f"{victim} {'killed' if hit else 'ended before'}, {outcome}"
    return where, fingerprint(root) == mixes.expected(f"{expected}-collected")


def in_scoring(mixes: Mixes, rng: random.Random) -> tuple[str, bool]:
    """Killed once so many pairs are measured, which a resumed build must keep, or as another build."""
    if rng.random() < 0.5:
        root, moment = killed(mixes, "scoring", None, mixes.runs["scoring"].moment(rng))
        where = f"{moment.way}: {stage_of(root)}"
    else:
        n_all = sum(map(len, measured_lines(mixes.work / "scored").values()))
        root = killed_at_pair(mixes, rng.randrange(1, n_all))
        where = "pair: score"
    before = measured_lines(root)
    complete(mixes.command("scoring", root, rng.choice(WORKERS)))
    after = measured_lines(root)
    is_kept = all(after[file][: len(lines)] == lines for file, lines in before.items())
    return where, is_kept and fingerprint(root) == mixes.expected("scored")


def killed_at_pair(mixes: Mixes, n_pairs: int) -> Path:
    """A root whose build was killed once the model had measured so many pairs, or fewer where it ended before."""
    for _ in range(PATIENCE):
        root = mixes.fresh("killed")
        with building(mixes.recipes["scoring"], root, 2) as (process, _):
            while process.is_alive():
                if sum(file.read_bytes().count(b"\n") for file in root.glob("measured/**/*.jsonl")) >= n_pairs:
                    return root
                time.sleep(0.002)
        n_pairs = max(1, n_pairs // 2)
    raise AssertionError("scoring: ended before each kill")


def datasets_of(hashes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in hashes.items() if name.startswith("datasets/")}


KILLS: dict[str, tuple[int, Callable[[Mixes, random.Random], tuple[str, bool]]]] = {  # of ten kills, how many
    "build": (3, in_build),
    "refresh": (2, in_refresh),
    "gc": (1, in_gc),
    "gc while a refresh resumes": (2, in_gc_beside),
    "scoring": (2, in_scoring),
}


def table(done: list[dict]) -> str:
    """Markdown: a row for each kind of kill."""
    lines = [
        "| killed | kills | at a time | at a rename, removal or pair | same bytes |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in KILLS:
        rows = [row for row in done if row["kind"] == kind]
        n_timed = sum(row["where"].startswith("time") or kind.startswith("gc while") for row in rows)
        same = sum(row["is_same"] for row in rows)
        lines.append(f"| {kind} | {len(rows)} | {n_timed} | {len(rows) - n_timed} | {same} |")
    same = sum(row["is_same"] for row in done)
    lines += [
        f"| all | {len(done)} | | | {same} |",
        "",
        "| killed during | kills | same bytes |",
        "| --- | ---: | ---: |",
    ]
    places = Counter(f"{row['kind']}: {row['where'].partition(': ')[2] or row['where']}" for row in done)
    differing = Counter(
        f"{row['kind']}: {row['where'].partition(': ')[2] or row['where']}" for row in done if not row["is_same"]
    )
    lines += [f"| {place} | {n} | {n - differing[place]} |" for place, n in sorted(places.items())]
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("data/random_kills"))
    parser.add_argument("--out", type=Path, help="A file for the tables.")
    args = parser.parse_args(words)
    FORKS.set_forkserver_preload(PRELOADED)
    work = args.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    record = work / "done.jsonl"
    lines = record.read_text().splitlines() if record.is_file() else []
    done = [json.loads(line) for line in lines]
    done = [row for row in done if (row["code"], row["seed"]) == (code(), args.seed) and row["kill"] < args.kills]
    kinds = [kind for kind, (n, _) in KILLS.items() for _ in range(n)]
    todo = sorted(set(range(args.kills)) - {row["kill"] for row in done})
    if todo:
        mixes = Mixes(work)
        for kind, run in mixes.runs.items():
            print(f"{kind}, undisturbed: {run.seconds:.1f} s, {run.n_steps} renames and removals", flush=True)
    for i in todo:
        kind = kinds[i % len(kinds)]
        began = time.monotonic()
        where, is_same = KILLS[kind][1](mixes, random.Random(f"{args.seed} {i}"))
        row = {"code": code(), "seed": args.seed, "kill": i, "kind": kind, "where": where, "is_same": is_same}
        with record.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        done.append(row)
        verdict = "same bytes" if is_same else "DIFFERENT"
        print(f"{i} {kind}, {where}: {verdict}, {time.monotonic() - began:.1f} s", flush=True)
        if not is_same:
            shutil.copytree(work / "killed", work / f"different-{i}", symlinks=True, dirs_exist_ok=True)
    text = table(done)
    print(text)
    if args.out:
        args.out.write_text(f"    python benchmarks/crash.py random --kills {args.kills} --seed {args.seed}\n\n{text}")
    sys.exit(not all(row["is_same"] for row in done))
