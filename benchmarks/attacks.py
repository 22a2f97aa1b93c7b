"""Attack longmix: what must hold under hostile input, rot and a failing machine, and whether it does.

    python benchmarks/attacks.py                                  every attack, about 20 minutes on two free cores
    python benchmarks/attacks.py odd-recipes query-copies         some of them
    python benchmarks/attacks.py --full                           also the attacks that take many minutes each
    python benchmarks/attacks.py --list

Another release is attacked by its own command line, from its own folder:

    python benchmarks/attacks.py --out before.json --longmix "env PYTHONPATH=OLDER/CHECKOUT python -m flows.cli"
    python benchmarks/attacks.py --out after.json
    python benchmarks/attacks.py --compare before.json after.json

Attacks run the command line alone, in temporary folders, on small real texts. Attacks that --out holds are not repeated.
Exits with 1 where something did not hold.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.attack import entry, inputs, machine, rot, settings
from benchmarks.attack.ground import Attack, Ground, outcome, words_of

GROUPS: dict[str, dict[str, Attack]] = {
    "Nobody gets in": entry.ATTACKS,
    "Nothing rots unseen": rot.ATTACKS,
    "One bad input stops one thing": inputs.ATTACKS | settings.ATTACKS,
    "The machine": machine.ATTACKS,
}
FULL: dict[str, Attack] = inputs.FULL
ATTACKS: dict[str, Attack] = {name: attack for group in GROUPS.values() for name, attack in group.items()}
HERE = f"env PYTHONPATH='{Path(__file__).parents[1].absolute()}' '{sys.executable}' -m flows.cli"


def judged(name: str, longmix: list[str], shared: Path) -> dict:
    """What became of an attack; an attack that can't be carried out did not hold."""
    expected, attack = (ATTACKS | FULL)[name]
    began = time.monotonic()
    folder = shared / "attacks" / name
    folder.mkdir(parents=True)
    try:
        result = attack(Ground(folder, longmix, shared))
    except Exception as error:  # noqa: BLE001 one attack that fails must not end the table
        result = outcome(False, f"not run: {type(error).__name__}: {error}")
    shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - began, 1)
    return {"expected": expected, "is_held": result.is_held, "seen": result.seen, "seconds": seconds}


def attacked(names: list[str], longmix: list[str], out: Path | None) -> dict[str, dict]:
    results: dict[str, dict] = json.loads(out.read_text()) if out and out.is_file() else {}
    with TemporaryDirectory(prefix="longmix-attacks-") as folder:
        Path(folder).chmod(0o755)  # an attack runs as another user
        for name in names:
            if name in results:
                continue
            results[name] = judged(name, longmix, Path(folder))
            verdict = "held" if results[name]["is_held"] else "DID NOT HOLD"
            print(f"{name}: {verdict}: {results[name]['seen']} ({results[name]['seconds']} s)", flush=True)
            if out:
                out.write_text(json.dumps(results, indent=1))
    return results


def cell(results: dict[str, dict], name: str) -> str:
    if name not in results:
        return "not run"
    seen = results[name]["seen"].replace("|", "\\|").replace("<", "&lt;")
    return f"{'held' if results[name]['is_held'] else '**did not hold**'}: {seen}"


def comparison(before: dict[str, dict], after: dict[str, dict]) -> str:
    """One table in Markdown: attack, what must happen, before, after; a heading for each group."""
    lines = ["| attack | must happen | before | after |", "| --- | --- | --- | --- |"]
    for group, attacks in {**GROUPS, "Minutes each": FULL}.items():
        rows = [name for name in attacks if name in before or name in after]
        if rows:
            lines.append(f"| **{group}** | | | |")
        lines += [f"| {name} | {attacks[name][0]} | {cell(before, name)} | {cell(after, name)} |" for name in rows]
    for results in (before, after):
        n = sum(result["is_held"] for result in results.values())
        lines.append(f"\n{'Before' if results is before else 'After'}: {n} of {len(results)} held.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--longmix", default=HERE, help="The command line that is attacked.")
    parser.add_argument("--out", type=Path, help="Results as JSON; what it holds is not attacked again.")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    args = parser.parse_args()
    if args.compare:
        print(comparison(*(json.loads(path.read_text()) for path in args.compare)), end="")
        return
    if args.list:
        print("\n".join(f"{name}: {expected}" for name, (expected, _) in (ATTACKS | FULL).items()))
        return
    if unknown := sorted(set(args.names) - set(ATTACKS | FULL)):
        parser.error(f"{unknown[0]}: no such attack; see --list")
    names = args.names or [*ATTACKS, *(FULL if args.full else ())]
    results = attacked(names, words_of(args.longmix), args.out)
    n_held = sum(results[name]["is_held"] for name in names)
    print(f"{n_held} of {len(names)} held")
    sys.exit(n_held < len(names))


if __name__ == "__main__":
    main()
