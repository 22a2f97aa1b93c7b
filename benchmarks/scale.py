"""CPU seconds and peak memory of every stage by the size of the corpus: 50, 100, 200, 400 and 800 MB.

    python benchmarks/scale.py --corpus data/corpus-full --work data/scale [--runs 3]

CORPUS is the output of `longmix corpus data/corpus-full --max-mb 0`, about 410 MB of real text. Documents are taken in
the order of a keyed hash, so smaller sizes are subsets of larger ones. The 800 MB are the 400 MB and the same text
split into other documents: the texts of a domain, joined in that order and split at lengths drawn from the same domain.
The registries have no more real text of these domains.

The script resumes: runs in WORK/runs.jsonl are not repeated. Each build runs in a separate process on an empty root.
"""

import argparse
import hashlib
import io
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import zstandard

SIZES = (50, 100, 200, 400, 800)
RECIPE = """mix = "scale-{size}"
[encode]
tokenizer = {tokenizer}
eos_token = "<|endoftext|>"
[plan]
budget_tokens = {budget}
max_epochs = 4
[pack]
packer = "best_fit"
sequence_tokens = 131072
"""


def documents(path: Path):
    with open(path, "rb") as raw:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8"):
            yield json.loads(line)


def key(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def write(path: Path, rows: list[dict]) -> None:
    with open(path, "wb") as raw, zstandard.ZstdCompressor(level=3).stream_writer(raw) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def recut(rows: list[dict], domain: str) -> list[dict]:
    """The same text as other documents: joined in order and split at the shuffled lengths of the same documents."""
    text = "".join(row["text"] for row in rows)
    lengths = [len(row["text"]) for row in sorted(rows, key=lambda row: key("cut " + row["id"]))]
    cuts = np.cumsum([0, *lengths])
    return [
        {**rows[i], "id": f"recut/{domain}/{i}", "text": text[cuts[i] : cuts[i + 1]]}
        for i in range(len(rows))
        if text[cuts[i] : cuts[i + 1]].strip()
    ]


def make_inputs(corpus: Path, work: Path) -> None:
    """Write WORK/input-SIZE/DOMAIN.jsonl.zst for every size."""
    paths = sorted(corpus.glob("*.jsonl.zst"))
    total = {p: sum(len(row["text"].encode()) for row in documents(p)) for p in paths}
    for path in paths:
        domain = path.name.split(".")[0]
        rows = sorted(documents(path), key=lambda row: key(row["id"]))
        ends = np.cumsum([len(row["text"].encode()) for row in rows])
        for size in SIZES:
            folder = work / f"input-{size}"
            folder.mkdir(parents=True, exist_ok=True)
            n_bytes = min(size, 400) * 1e6 * total[path] / sum(total.values())
            part = rows[: int(np.searchsorted(ends, n_bytes)) + 1]
            write(folder / path.name, part + (recut(part, domain) if size > 400 else []))
    (work / "inputs-made").touch()


def recipe_for(work: Path, size: int, tokenizer: Path) -> Path:
    path = work / f"scale-{size}.toml"
    sources = "".join(
        f'[[sources]]\nname = "{p.name.split(".")[0]}"\ndomain = "{p.name.split(".")[0]}"\npath = {json.dumps(str(p.absolute()))}\nlicense_field = "license"\n'
        for p in sorted((work / f"input-{size}").glob("*.zst"))
    )
    path.write_text(
        RECIPE.format(size=size, tokenizer=json.dumps(str(tokenizer.absolute())), budget=size * 100_000) + sources
    )
    return path


def build_measured(recipe: Path, root: Path) -> None:
    """In the child process: build, and print a JSON object per stage: CPU and wall seconds, peak resident memory."""
    from pipelines.build import build
    from pipelines.recipe import load

    def measured(run):
        name = run.__module__.rpartition(".")[2]

        def timed(*arguments):
            Path("/proc/self/clear_refs").write_text("5")  # resets the kernel's peak
            began, cpu = time.perf_counter(), cpu_seconds()
            result = run(*arguments)
            status = Path("/proc/self/status").read_text().splitlines()
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
            print(
                json.dumps(
                    {
                        "stage": name,
                        "wall_s": time.perf_counter() - began,
                        "cpu_s": cpu_seconds() - cpu,
                        "peak_mib": peak / 1024,
                    }
                ),
                flush=True,
            )
            return result

        return timed

    build(load(recipe), root, stage=measured)


def cpu_seconds() -> float:
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def tree_bytes(root: psutil.Process) -> int:
    """Proportional set size of the process tree, which counts shared pages once."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def one_run(recipe: Path, root: Path) -> dict:
    shutil.rmtree(root, ignore_errors=True)
    child = subprocess.Popen(
        [sys.executable, __file__, "--child", str(recipe), str(root)], stdout=subprocess.PIPE, text=True
    )
    peak, stop = [0], threading.Event()

    def watch() -> None:
        process = psutil.Process(child.pid)
        while not stop.wait(0.2):
            try:
                peak[0] = max(peak[0], tree_bytes(process))
            except psutil.Error:
                return

    threading.Thread(target=watch, daemon=True).start()
    stages = [json.loads(line) for line in child.stdout if line.startswith("{")]
    stop.set()
    if child.wait():
        raise SystemExit(f"{recipe}: the build failed")
    shutil.rmtree(root)
    return {"stages": stages, "peak_mib": peak[0] / 2**20, "load": os.getloadavg()[0]}


def exponent(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Slope of log(seconds) on log(MB), with its 95 % interval (Student's t)."""
    x, y = np.log([p[0] for p in points]), np.log([p[1] for p in points])
    n = len(x)
    slope, intercept = np.polyfit(x, y, 1)
    error = math.sqrt(np.sum((y - intercept - slope * x) ** 2) / (n - 2) / np.sum((x - x.mean()) ** 2))
    from scipy.stats import t

    reach = t.ppf(0.975, n - 2) * error
    return slope, slope - reach, slope + reach


def report(runs: list[dict]) -> str:
    sizes = sorted({run["size"] for run in runs})
    stages = [s["stage"] for s in runs[0]["stages"]]
    lines = [
        "| stage | " + " | ".join(f"{s} MB" for s in sizes) + " | growth exponent (95 %) |",
        "| --- |" + " ---: |" * (len(sizes) + 1),
    ]
    for stage in [*stages, "all"]:
        points, cells = [], []
        for size in sizes:
            of_size = [run["stages"] for run in runs if run["size"] == size]
            by_run = [[s for s in stages_of_run if stage in (s["stage"], "all")] for stages_of_run in of_size]
            cpu = [sum(s["cpu_s"] for s in stages_of_run) for stages_of_run in by_run]
            memory = [max(s["peak_mib"] for s in stages_of_run) for stages_of_run in by_run]
            points += [(size, c) for c in cpu]
            cells.append(f"{statistics.median(cpu):.1f} s, {statistics.median(memory):.0f} MiB")
        slope, low, high = exponent(points)
        lines.append(f"| {stage} | " + " | ".join(cells) + f" | {slope:.2f} ({low:.2f} to {high:.2f}) |")
    tree = [f"{statistics.median(r['peak_mib'] for r in runs if r['size'] == s):.0f} MiB" for s in sizes]
    wall = [
        f"{statistics.median(sum(x['wall_s'] for x in r['stages']) for r in runs if r['size'] == s):.0f} s"
        for s in sizes
    ]
    lines.append("| peak of the process tree (PSS) | " + " | ".join(tree) + " | |")
    lines.append("| wall | " + " | ".join(wall) + " | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus-full"))
    parser.add_argument("--work", type=Path, default=Path("data/scale"))
    parser.add_argument("--tokenizer", type=Path, default=Path("examples/tokenizer/tokenizer.json"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        build_measured(*map(Path, args.child))
        return
    if not (args.work / "inputs-made").exists():
        make_inputs(args.corpus, args.work)
    log = args.work / "runs.jsonl"
    runs = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for number in range(args.runs):
        for size in args.sizes:
            if not any(run["size"] == size and run["run"] == number for run in runs):
                figures = one_run(recipe_for(args.work, size, args.tokenizer), args.work / "root")
                run = {"size": size, "run": number, **figures}
                runs.append(run)
                with open(log, "a") as out:
                    out.write(json.dumps(run) + "\n")
                cpu = sum(s["cpu_s"] for s in run["stages"])
                print(size, number, f"{cpu:.0f} CPU s, {run['peak_mib']:.0f} MiB", flush=True)
    print(report(runs))
    Path("benchmarks/results").mkdir(exist_ok=True)
    Path("benchmarks/results/scale.md").write_text(report(runs) + "\n")


if __name__ == "__main__":
    main()
