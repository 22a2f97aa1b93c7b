"""CPU seconds, peak memory and wall time of every stage by the size of the corpus: 50 MB to 2 GB of text.

    python benchmarks/scale.py --corpus data/corpus --work data/scale [--runs 3]

CORPUS is the output of `longmix corpus`, 203 MB. Documents are taken in the order of a keyed hash, so smaller sizes are
subsets of larger ones; 200 is the complete corpus. Larger sizes add altered copies of all documents: in copy c every word
of letters is replaced by another word of the corpus, of as many bytes and about as frequent, and every digit by another
digit. A copy has the lengths, the words and the duplicates of the corpus, and no run of five words in common with it, so
dedup keeps as large a share of 2 GB as of 200 MB. It has no new words: real text of 2 GB has more distinct ones.

The recipe is mixes/128k.toml without [score], with a budget of a tenth of a token for each byte. Every build runs in a
process of its own on an empty root, with one worker and with two. CPU seconds and memory are those of one worker, wall
times of both. The start of the process (imports) is a line of its own and in no stage. Kernels are compiled by a build
that is not counted.

The script resumes: runs in WORK/runs.jsonl are not repeated; delete it after a change of the code. The inputs take 6
CPU minutes and 1.2 GB of disk. All sizes, both numbers of workers and three runs take about 45 minutes at 6 MB per CPU
second, and 6 hours at 0.9 (a tokenizer that has no fast path).
"""

import argparse
import hashlib
import io
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil
import zstandard

SIZES = (50, 100, 200, 400, 800, 2000)
WORKERS = (1, 2)
WORD = re.compile(r"[^\W\d_]+|\d")
ALIKE = 16  # a word is replaced by one of so many of about its frequency
RECIPE = Path("mixes/128k.toml")

Row = dict[str, str]


def documents(path: Path) -> Iterator[Row]:
    with open(path, "rb") as raw:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8"):
            yield json.loads(line)


def key(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def write(path: Path, rows: Iterable[Row]) -> None:
    with open(path, "wb") as raw, zstandard.ZstdCompressor(level=3).stream_writer(raw) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


# -- inputs


def substitutes(words: Counter[str], copy: int) -> dict[str, str]:
    """Word -> the word in its place: a permutation of ALIKE neighbours by frequency, among words of as many bytes."""
    by_length: dict[int, list[str]] = {}
    for word in words:
        by_length.setdefault(len(word.encode()), []).append(word)
    places: dict[str, str] = {}
    for alike in by_length.values():
        ranked = sorted(alike, key=lambda word: (-words[word], word))
        for i in range(0, len(ranked), ALIKE):
            few = ranked[i : i + ALIKE]
            places.update(zip(few, sorted(few, key=lambda word: key(f"{copy} {word}")), strict=True))
    return places


def altered(row: Row, copy: int, places: dict[str, str]) -> Row:
    """A document of copy `copy`. Copy 0 is the document."""
    if not copy:
        return row
    return {**row, "id": f"copy {copy}/{row['id']}", "text": WORD.sub(lambda word: places[word[0]], row["text"])}


def make_inputs(corpus: Path, work: Path, sizes: Iterable[int]) -> None:
    """Write WORK/input-SIZE/DOMAIN.jsonl.zst for every size. Holds the documents of one domain."""
    paths = sorted(corpus.glob("*.jsonl.zst"))
    words: Counter[str] = Counter()
    total = 0
    for path in paths:
        for row in documents(path):
            words.update(WORD.findall(row["text"]))
            total += len(row["text"].encode())
    copies = range(1 + int(max(sizes) * 1e6 // total))
    places = [substitutes(words, copy) for copy in copies]
    for path in paths:
        rows = sorted(documents(path), key=lambda row: key(row["id"]))
        ends = np.cumsum([len(row["text"].encode()) for row in rows])
        for size in sizes:
            folder = work / f"input-{size}"
            folder.mkdir(parents=True, exist_ok=True)
            todo = ends[-1] * (1.0 if size == 200 else size * 1e6 / total)
            n_rows = [int(np.searchsorted(ends, min(ends[-1], todo - copy * ends[-1])) + 1) for copy in copies]
            parts = [rows[:n] if todo > copy * ends[-1] else [] for copy, n in zip(copies, n_rows, strict=True)]
            write(
                folder / path.name,
                (altered(row, copy, places[copy]) for copy, part in enumerate(parts) for row in part),
            )
    for size in sizes:
        (work / f"input-{size}" / "made").touch()


def recipe_for(work: Path, size: int, workers: int) -> Path:
    """The default recipe without the model, over the input of a size."""
    default = tomllib.loads(RECIPE.read_text())
    lines = [f'mix = "scale-{size}"', "[dedup]", *settings(default["dedup"])]
    tokenizer = str((RECIPE.parent / default["encode"]["tokenizer"]).resolve())
    lines += ["[encode]", *settings({**default["encode"], "tokenizer": tokenizer}), "[screen]"]
    lines += ["[plan]", *settings({**default["plan"], "budget_tokens": size * 100_000}), "[pack]"]
    lines += [*settings(default["pack"]), "[run]", f"workers = {workers}"]
    for source in default["sources"]:
        corpus = str((work / f"input-{size}" / Path(source["path"]).name).absolute())
        lines += ["[[sources]]", *settings({**source, "path": corpus})]
    path = work / f"scale-{size}-{workers}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def settings(section: dict[str, object]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in section.items()]


# -- runs


def build_measured(recipe: Path, root: Path) -> None:
    """In the child process: build, and print a JSON object for the start and for each stage."""
    from pipelines.build import build
    from pipelines.recipe import load

    def tell(stage: str, wall: float, cpu: float) -> None:
        status = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        print(json.dumps({"stage": stage, "wall_s": wall, "cpu_s": cpu, "peak_mib": peak / 1024}), flush=True)

    def measured(run: Callable) -> Callable:
        def timed(*arguments: object) -> object:
            Path("/proc/self/clear_refs").write_text("5")  # resets the kernel's peak
            began, cpu = time.perf_counter(), cpu_seconds()
            result = run(*arguments)
            tell(run.__module__.rpartition(".")[2], time.perf_counter() - began, cpu_seconds() - cpu)
            return result

        return timed

    loaded = load(recipe)
    tell("start", time.time() - psutil.Process().create_time(), cpu_seconds())
    build(loaded, root, stage=measured)


def cpu_seconds() -> float:
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def tree_bytes(root: psutil.Process) -> int:
    """Proportional set size of the process tree, which counts shared pages once."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def one_run(recipe: Path, root: Path) -> dict[str, object]:
    shutil.rmtree(root, ignore_errors=True)
    command = [sys.executable, __file__, "--child", str(recipe), str(root)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak, stop = [0], threading.Event()

    def watch() -> None:
        process = psutil.Process(child.pid)
        while not stop.wait(0.2):
            try:
                peak[0] = max(peak[0], tree_bytes(process))
            except psutil.Error:
                return

    threading.Thread(target=watch, daemon=True).start()
    stages = [json.loads(line) for line in child.stdout or () if line.startswith("{")]
    stop.set()
    if child.wait():
        raise SystemExit(f"{recipe}: the build failed")
    shutil.rmtree(root)
    return {"stages": stages, "peak_mib": peak[0] / 2**20, "load": os.getloadavg()[0]}


# -- report


def exponent(points: list[tuple[float, float]]) -> str:
    """Slope of log(seconds) on log(MB), with its 95 % interval (Student's t)."""
    from scipy.stats import linregress, t

    points = [(size, seconds) for size, seconds in points if seconds > 0.05]  # less is the clock's resolution
    if len({size for size, _ in points}) < 3:
        return "-"
    fit = linregress(*np.log(points).T)
    reach = t.ppf(0.975, len(points) - 2) * fit.stderr
    return f"{fit.slope:.2f} ({fit.slope - reach:.2f} to {fit.slope + reach:.2f})"


def report(runs: list[dict]) -> str:
    sizes = sorted({run["size"] for run in runs})
    stages = [s["stage"] for s in runs[0]["stages"]]

    def medians(workers: int, figure: Callable[[dict], float]) -> list[list[float]]:
        """For each size the figure of each run."""
        own = [run for run in runs if run["workers"] == workers]
        return [[figure(run) for run in own if run["size"] == size] for size in sizes]

    def line(title: str, figures: list[list[float]], form: str, last: str = "") -> str:
        cells = [form.format(statistics.median(of_size)) if of_size else "-" for of_size in figures]
        return f"| {title} | " + " | ".join(cells) + f" | {last} |"

    heads = [f"{size} MB" for size in sizes]
    lines = [f"| | {' | '.join(heads)} | growth exponent (95 %) |", "| --- |" + " ---: |" * (len(sizes) + 1)]
    for chosen in [*([stage] for stage in stages), stages[1:]]:  # stages[0] is the start
        name = chosen[0] if len(chosen) == 1 else "all stages"
        cpu = medians(1, lambda run: sum(s["cpu_s"] for s in run["stages"] if s["stage"] in chosen))  # noqa: B023
        points = [(size, c) for size, of_size in zip(sizes, cpu, strict=True) for c in of_size]
        lines.append(line(f"{name}, CPU seconds", cpu, "{:.2f}", exponent(points) if name != "start" else ""))
    for stage in stages:
        peak = medians(1, lambda run: next(s["peak_mib"] for s in run["stages"] if s["stage"] == stage))  # noqa: B023
        lines.append(line(f"{stage}, peak MiB (RSS)", peak, "{:.0f}"))
    for workers in WORKERS:
        title = f"{workers} worker{'s' * (workers > 1)}"
        lines.append(
            line(f"{title}, peak MiB of the tree (PSS)", medians(workers, lambda run: run["peak_mib"]), "{:.0f}")
        )
        wall = medians(workers, lambda run: sum(s["wall_s"] for s in run["stages"]))
        lines.append(line(f"{title}, wall seconds", wall, "{:.1f}"))
    for stage in stages:
        both = [medians(n, lambda run: next(s["wall_s"] for s in run["stages"] if s["stage"] == stage)) for n in WORKERS]  # noqa: B023  # fmt: skip
        ratio = [[statistics.median(a) / statistics.median(b)] if a and b else [] for a, b in zip(*both, strict=True)]
        lines.append(line(f"{stage}, wall of 1 worker / of 2", ratio, "{:.2f}"))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus"))
    parser.add_argument("--work", type=Path, default=Path("data/scale"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        build_measured(*map(Path, args.child))
        return
    missing = [size for size in args.sizes if not (args.work / f"input-{size}" / "made").exists()]
    if missing:
        make_inputs(args.corpus, args.work, missing)
    log = args.work / "runs.jsonl"
    runs = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if not runs:
        one_run(recipe_for(args.work, min(args.sizes), 1), args.work / "root")  # compiles, and is not counted
    for number, size, workers in ((n, s, w) for n in range(args.runs) for s in args.sizes for w in WORKERS):
        if not any((run["size"], run["run"], run["workers"]) == (size, number, workers) for run in runs):
            figures = one_run(recipe_for(args.work, size, workers), args.work / "root")
            runs.append({"size": size, "run": number, "workers": workers, **figures})
            with open(log, "a") as out:
                out.write(json.dumps(runs[-1]) + "\n")
            cpu = sum(s["cpu_s"] for s in runs[-1]["stages"])
            print(
                f"{size} MB, run {number}, workers {workers}: {cpu:.0f} CPU s, {runs[-1]['peak_mib']:.0f} MiB",
                flush=True,
            )
    print(report(runs))
    Path("benchmarks/results").mkdir(exist_ok=True)
    Path("benchmarks/results/scale.md").write_text(report(runs) + "\n")


if __name__ == "__main__":
    main()
