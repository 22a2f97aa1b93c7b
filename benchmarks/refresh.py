"""CPU seconds of a refresh, by stage, as a share of a build of the same corpus from scratch.

    python benchmarks/refresh.py CORPUS WORK [--megabytes 20] [--workers 2] [--group-tokens 1048576]

CORPUS is the output of `longmix corpus`. Two cases, with mixes/128k.toml without [score]:

    spread   The first version has 95 % of the documents, chosen by a hash of their ids. The refresh reads the same files
             with the other 5 % at their places: all shards change.
    file     The documents of at most 200 kB are text files, of one source. The refresh reads one changed file.

Each build runs in a process of its own. CPU seconds are those of the process and its children, user and system.
`start` is what the process spends outside the stages: imports, the recipe, the lock. Below each table: what of the order was made
again, in groups of draws of --group-tokens.
"""

import argparse
import hashlib
import io
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import zstandard

REPOSITORY = Path(__file__).parents[1]
NEW_SHARE = 0.05
FILE_BYTES = 200_000
FILES = 454
OF_THE_MODEL = ('by = "chunk_gain"', "top_share")  # keys of [plan.select]


def share_of(name: str) -> float:
    """A uniform number in [0, 1) for each id."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


def lines_of(path: Path):
    with open(path, "rb") as raw:
        yield from io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw), 1 << 20)


def write(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as raw, zstandard.ZstdCompressor(level=3).stream_writer(raw) as out:
        for line in lines:
            out.write(line)


def make_spread(corpus: Path, folder: Path, part: float) -> None:
    """FOLDER/before and FOLDER/after: the same files, without and with the new documents."""
    for path in sorted(corpus.glob("*.jsonl.zst")):
        rows = [(json.loads(line)["id"], line) for line in lines_of(path)]
        rows = [(name, line) for name, line in rows if share_of("part " + name) < part]
        write(folder / "after" / path.name, [line for _, line in rows])
        write(folder / "before" / path.name, [line for name, line in rows if share_of(name) >= NEW_SHARE])


def make_files(corpus: Path, folder: Path, part: float) -> None:
    """The same for text files in FOLDER/{before,after}/texts, of which one differs."""
    texts = (json.loads(line)["text"] for path in sorted(corpus.glob("*.jsonl.zst")) for line in lines_of(path))
    chosen = sorted((t for t in texts if len(t.encode()) <= FILE_BYTES), key=lambda t: (-len(t), t))
    for version in ("before", "after"):
        (folder / version / "texts").mkdir(parents=True, exist_ok=True)
        for k, text in enumerate(chosen[: max(10, round(FILES * part))]):
            more = "\nA line that was not there before.\n" if (k, version) == (7, "after") else ""
            (folder / version / "texts" / f"{k:03}.txt").write_text(text + more)


def recipe_in(folder: Path, workers: int) -> Path:
    """mixes/128k.toml without a model, on the files of FOLDER/corpus."""
    recipe = (REPOSITORY / "mixes" / "128k.toml").read_text()
    recipe = recipe[: recipe.index("[score]")] + recipe[recipe.index("[plan]") : recipe.index("[[sources]]")]
    recipe = "".join(line for line in recipe.splitlines(True) if not line.startswith(OF_THE_MODEL))
    recipe = recipe.replace("../examples", str(REPOSITORY / "examples"))
    for path in sorted((folder / "before").iterdir()):
        name = path.name.split(".")[0]
        recipe += f'[[sources]]\nname = "{name}"\ndomain = "{name}"\npath = "corpus/{path.name}"\n'
        recipe += 'format = "text"\n' if path.is_dir() else 'origin = "source"\nlicense_field = "license"\n'
    path = folder / "refresh.toml"
    path.write_text(f"{recipe}\n[run]\nworkers = {workers}\n")
    return path


def cpu_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def build_measured(recipe: Path, root: Path, group_tokens: int) -> None:
    """In a process of its own: build on the newest version, and print the CPU seconds of each stage."""
    from pipelines import plan
    from pipelines.build import build
    from pipelines.recipe import load
    from pipelines.versions import latest, tables_of

    plan.GROUP_TOKENS = group_tokens
    spent: dict[str, float] = {}

    def measured(run):
        def timed(*arguments):
            before = cpu_seconds()
            result = run(*arguments)
            name = run.__module__.rpartition(".")[2]
            spent[name] = spent.get(name, 0) + cpu_seconds() - before
            return result

        return timed

    loaded = load(recipe)
    version = build(loaded, root, stage=measured, base=latest(root, loaded.mix))
    figures = {"version": version.version, "reused": version.reused, "cpu_s": spent, "all_s": cpu_seconds()}
    tables = tables_of(version.folder)
    rows = {table: [shard.content_hash for shard in tables[table]] for table in ("ORDER", "SEQUENCES")}
    print(json.dumps(figures | rows | {"embedded": embedded(root)}))


def embedded(root: Path) -> int:
    """Documents that the last build embedded."""
    events = map(json.loads, (root / "progress.jsonl").read_text().splitlines())
    return sum(e["documents"] for e in events if (e["stage"], e["event"]) == ("encoder", "made"))


def built(recipe: Path, root: Path, group_tokens: int) -> dict:
    command = [sys.executable, __file__, "--child", str(recipe), str(root), "--group-tokens", str(group_tokens)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def compared(case: str, folder: Path, workers: int, group_tokens: int) -> str:
    """Build the first version and refresh it; build the same corpus from scratch. Returns a table."""
    recipe, corpus = recipe_in(folder, workers), folder / "corpus"
    shutil.copytree(folder / "before", corpus)
    first = built(recipe, folder / "root", group_tokens)
    shutil.rmtree(corpus)
    shutil.copytree(folder / "after", corpus)
    refresh, full = (built(recipe, folder / root, group_tokens) for root in ("root", "other"))
    lines = [f"| {case} | from scratch | refresh | share | documents reused |", "| --- | ---: | ---: | ---: | ---: |"]
    for run in (refresh, full):
        run["cpu_s"]["start"] = run["all_s"] - sum(run["cpu_s"].values())
        run["cpu_s"]["all"] = run["all_s"]
    for stage, seconds in full["cpu_s"].items():
        now = refresh["cpu_s"][stage]
        n_reused, n = refresh["reused"].get({"dedup": "signatures"}.get(stage, stage), (0, 0))
        counts = f"{n_reused:,} of {n:,}" if n else ""
        lines.append(f"| {stage} | {seconds:.2f} s | {now:.2f} s | {now / seconds:.0%} | {counts} |")
    n_groups = len(refresh["SEQUENCES"])
    ordered, packed = (n_groups - len(set(refresh[t]) & set(first[t])) for t in ("ORDER", "SEQUENCES"))
    lines.append(
        f"\nEmbedded: {refresh['embedded']:,} of {full['embedded']:,} documents. Of {n_groups} groups, {ordered} have "
        f"another path and {packed} other rows."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?", default=Path("data/corpus"))
    parser.add_argument("work", type=Path, nargs="?", default=Path("data/refresh"))
    parser.add_argument("--megabytes", type=float, default=1e9, help="of compressed corpus; all of it by default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--group-tokens", type=int, default=1 << 27)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        build_measured(*map(Path, args.child), args.group_tokens)
        return
    n_bytes = sum(path.stat().st_size for path in args.corpus.glob("*.jsonl.zst"))
    part = min(1.0, args.megabytes * 1e6 / n_bytes)
    shutil.rmtree(args.work, ignore_errors=True)
    for case, make in (("spread", make_spread), ("file", make_files)):
        make(args.corpus, args.work / case, part)
        print(compared(case, (args.work / case).absolute(), args.workers, args.group_tokens), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
