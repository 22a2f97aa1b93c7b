"""Kills a build before and after the first rename of every kind, and at seeded times; a rerun must leave the same bytes.

    python benchmarks/crash.py mixes/tiny.toml --times 20
    python benchmarks/crash.py mixes/128k.toml --times 2 --no-renames

The rerun has another number of workers. Prints a row a kill and exits 1 if any byte differs (catalog.duckdb: any row).
"""

import argparse
import random
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kills import KINDS, fingerprint, run, run_killed_after, run_killed_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--no-renames", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("data/crash"))
    args = parser.parse_args()
    shutil.rmtree(args.work, ignore_errors=True)
    seconds = run(args.recipe, args.work / "clean", workers=1)
    clean = fingerprint(args.work / "clean")
    print(f"clean build: {seconds:.1f} s, {len(clean)} files", flush=True)
    wrong = n = 0
    rng = random.Random(0)
    kills = [] if args.no_renames else [(when, kind) for kind in KINDS for when in ("before", "after")]
    for kill in [*kills, *(("at", rng.uniform(0.1, 1) * seconds) for _ in range(args.times))]:
        n += 1
        root = args.work / "killed"
        shutil.rmtree(root, ignore_errors=True)
        first, second = rng.sample([1, 2, 4], 2)
        where = kill[1]
        if kill[0] == "at":
            at = kill[1]
            while not run_killed_after(args.recipe, root, first, at):
                shutil.rmtree(root)  # it had ended: the machine was quicker this time
                at *= 0.6
            where = f"{at:.1f} s"
        else:
            run_killed_at(args.recipe, root, first, kill[0], KINDS[kill[1]])
        done = sum(1 for _ in root.glob("actions/**/*.json"))
        run(args.recipe, root, second)
        same = fingerprint(root) == clean
        wrong += not same
        print(
            f"{kill[0]} {where}: {done} actions done, {first} then {second} workers: {'same bytes' if same else 'DIFFERENT'}",
            flush=True,
        )
    print(f"{n} kills, {wrong} with another result")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
