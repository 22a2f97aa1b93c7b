"""How much memory does the process of a build take for each document, and in which stage?

    python benchmarks/driver_memory.py data/corpus /scratch/tiny [--documents 300000] [--files 30000] [--heap]

Cuts the corpus into documents of about 100 bytes and builds mixes of a third of them and of all of them, in files of
equally many documents, each in a process of its own with one worker. The workers are threads of that process, so its peak
contains the memory of one shard. Prints for each stage the peak of both builds, and their difference for each further
document: what grows with the corpus. Counts the process's own memory: pages of mapped files are not among it, since the
system takes them back when it needs them. With --heap, also the largest Python allocations at the end of each stage.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

ROOT = Path(__file__).parents[1]
DOCUMENT_BYTES = 100
RECIPE = """mix = "tiny"

[[sources]]
name = "tiny"
domain = "web"
path = "raw"

[encode]
tokenizer = "{tokenizer}"
eos_token = "<|endoftext|>"

[screen]

[plan]
budget_tokens = {budget}
long_tokens = 4096
short_rate = 0.5
max_epochs = 2

[pack]
sequence_tokens = 8192

[run]
workers = 1
"""
BUILD = """
import sys
from pathlib import Path

from pipelines.build import build
from pipelines.recipe import load
from pipelines.store import Store

HEAP = bool(int(sys.argv[2]))
if HEAP:
    import tracemalloc

    tracemalloc.start(12)
    told = Store.tell

    def tell(self, event):
        told(self, event)
        if event["event"] == "ended":
            current, peak = tracemalloc.get_traced_memory()
            print(f"{event['stage']}: {current / 1e6:,.0f} MB of Python objects, peak {peak / 1e6:,.0f} MB", flush=True)
            for line in tracemalloc.take_snapshot().statistics("lineno")[:8]:
                print(f"    {line}", flush=True)
            tracemalloc.reset_peak()

    Store.tell = tell
folder = Path(sys.argv[1])
build(load(folder / "tiny.toml"), folder / "root")
"""


def pieces(corpus: Path) -> Iterator[str]:
    """Consecutive pieces of the corpus's texts, without those that begin like an earlier one."""
    begun = set()
    for path in sorted(corpus.glob("*.jsonl.zst")):
        with pa.input_stream(path, compression="zstd") as stream:
            texts = [json.loads(line)["text"] for line in stream.read().splitlines()]
        for text in texts:
            for start in range(0, len(text) - DOCUMENT_BYTES, DOCUMENT_BYTES):
                piece = text[start : start + DOCUMENT_BYTES]
                if piece[:30] not in begun:
                    begun.add(piece[:30])
                    yield piece


def write_mix(corpus: Path, folder: Path, n_documents: int, n_files: int) -> None:
    """Raw files and the recipe of a mix."""
    shutil.rmtree(folder, ignore_errors=True)
    each = n_documents // n_files
    source = pieces(corpus)
    for k in range(n_files):
        path = folder / "raw" / f"{k // 1000:03d}" / f"{k:06d}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"id": f"{k}-{i}", "text": text}) for i, text in enumerate(islice(source, each))]
        path.write_text("".join(f"{line}\n" for line in lines))
    tokenizer = ROOT / "examples" / "tokenizer" / "tokenizer.json"
    (folder / "tiny.toml").write_text(RECIPE.format(tokenizer=tokenizer, budget=n_documents * 20))


def peaks(folder: Path, *, heap: bool) -> dict[str, int]:
    """Stage -> peak of the process's own bytes while it ran; "after STAGE" until the next begins. Publish is the last."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(folder), str(int(heap))], env=environment, cwd=ROOT)
    most: dict[str, int] = {}
    while process.poll() is None:
        stage = stage_of(folder / "root" / "progress.jsonl")
        most[stage] = max(most.get(stage, 0), own_bytes(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"the build ended with status {process.returncode}")
    return most


def stage_of(progress: Path) -> str:
    """The stage that runs now: that of the last event, or "after STAGE" where that has ended."""
    try:
        with open(progress, "rb") as stream:
            stream.seek(max(0, progress.stat().st_size - 500))
            event = json.loads(stream.read().splitlines()[-1])
    except (OSError, IndexError, ValueError):
        return "start"
    return f"after {event['stage']}" if event["event"] == "ended" else event["stage"]


def own_bytes(pid: int) -> int:
    """Resident memory without the pages of files."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("folder", type=Path, help="scratch; emptied first")
    parser.add_argument("--documents", type=int, default=300_000)
    parser.add_argument("--files", type=int, default=30_000)
    parser.add_argument("--heap", action="store_true", help="only the larger build, with its Python allocations")
    args = parser.parse_args()
    built = []
    for divisor in (1,) if args.heap else (3, 1):
        write_mix(args.corpus, args.folder, args.documents // divisor, args.files // divisor)
        built.append(peaks(args.folder, heap=args.heap))
    if args.heap:
        return
    small, large = built
    further = args.documents - args.documents // 3
    print(f"{args.documents:,} documents of {DOCUMENT_BYTES} bytes in {args.files:,} files, and a third of both")
    print(f"{'stage':20}{'a third, MB':>14}{'all, MB':>10}{'bytes a document':>20}")
    for stage, most in large.items():
        grown = (most - small[stage]) / further if stage in small else float("nan")
        print(f"{stage:20}{small.get(stage, 0) / 1e6:14,.0f}{most / 1e6:10,.0f}{grown:20,.0f}")
    grown = (max(large.values()) - max(small.values())) / further
    print(f"{'peak':20}{max(small.values()) / 1e6:14,.0f}{max(large.values()) / 1e6:10,.0f}{grown:20,.0f}")


if __name__ == "__main__":
    main()
