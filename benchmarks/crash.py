"""Kill a build before and after the first rename of every kind, and at seeded times. A rerun must give the same bytes.

    python benchmarks/crash.py mixes/tiny.toml --times 20
    python benchmarks/crash.py mixes/128k.toml --times 2 --no-renames
    python benchmarks/crash.py scored --scoring 20
    python benchmarks/crash.py sft --times 10
    python benchmarks/crash.py random --kills 200 --seed 0      (build, refresh, gc and scoring: random_kills.py)

The rerun uses another number of workers. Prints a row per kill and exits with 1 if any byte differs (in catalog.duckdb:
any row). `sft` is a small set of instruction samples, `scored` is mixes/tiny.toml with the small trained model of tests/reference.
--scoring kills it while the
model runs; then the rerun must also keep the pairs measured before the kill.
"""

import argparse
import random
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import random_kills
from tests import scored, sft_mix
from tests.kills import (
    KINDS,
    SFT_KINDS,
    fingerprint,
    measured_lines,
    run,
    run_killed_after,
    run_killed_at,
    run_killed_scoring,
)


def killed(kill: tuple, recipe: Path, root: Path, workers: int) -> str:
    """Kill a build. Returns where it was killed."""
    when, at = kill
    if when == "at":
        while not run_killed_after(recipe, root, workers, at):
            shutil.rmtree(root)  # the build ended before the kill
            at *= 0.6
        return f"{at:.1f} s"
    if when == "scoring":
        assert run_killed_scoring(recipe, root, workers, at), "the build ended before the kill"
        return f"pair {at}"
    run_killed_at(recipe, root, workers, when, (KINDS | SFT_KINDS)[at])
    return at


def main() -> None:
    if sys.argv[1:2] == ["random"]:
        random_kills.main(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--times", type=int, default=0)
    parser.add_argument("--scoring", type=int, default=0)
    parser.add_argument("--no-renames", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("data/crash"))
    args = parser.parse_args()
    args.work = args.work.absolute()  # builds run in another folder
    shutil.rmtree(args.work, ignore_errors=True)
    if args.recipe == Path("scored"):
        args.work.mkdir(parents=True)
        scored.recipe(args.work, budget_tokens=60_000)
        args.recipe, args.no_renames = args.work / "scored.toml", True
    kinds = KINDS
    if args.recipe == Path("sft"):
        args.recipe, kinds = sft_mix.recipe(args.work), SFT_KINDS
    args.recipe = args.recipe.absolute()
    seconds = run(args.recipe, args.work / "clean", workers=1)
    clean = fingerprint(args.work / "clean")
    print(f"clean build: {seconds:.1f} s, {len(clean)} files", flush=True)
    n_different = n = 0
    rng = random.Random(0)
    n_pairs = sum(map(len, measured_lines(args.work / "clean").values()))
    kills: list[tuple] = [] if args.no_renames else [(when, kind) for kind in kinds for when in ("before", "after")]
    kills += [("at", rng.uniform(0.1, 1) * seconds) for _ in range(args.times)]
    kills += [("scoring", rng.randrange(1, n_pairs)) for _ in range(args.scoring)]
    for kill in kills:
        n += 1
        root = args.work / "killed"
        shutil.rmtree(root, ignore_errors=True)
        first, second = rng.sample([1, 2, 4], 2)
        where = killed(kill, args.recipe, root, first)
        done = sum(1 for _ in root.glob("actions/**/*.json"))
        before = measured_lines(root)
        run(args.recipe, root, second)
        after = measured_lines(root)
        same = fingerprint(root) == clean and all(after[file][: len(lines)] == lines for file, lines in before.items())
        n_different += not same
        verdict = "same bytes" if same else "DIFFERENT"
        print(f"{kill[0]} {where}: {done} actions done, {first} then {second} workers: {verdict}", flush=True)
    print(f"{n} kills, {n_different} with different results")
    sys.exit(bool(n_different))


if __name__ == "__main__":
    main()
