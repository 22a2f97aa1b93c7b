"""Attacks on what a root holds, and on what is written beside it: flipped bits, lost manifests, leftovers."""

import json
import shutil
from functools import partial
from pathlib import Path

from benchmarks.attack.ground import MIX, Attack, Ground, Outcome, files_of, newest, outcome
from tests.rot import flip

MANIFEST = "manifest.json"


def dry_run_of_nothing(ground: Ground) -> Outcome:
    root = ground.folder / "nothing"
    ended = ground.run("gc", "--dry-run", "--root", root)
    return outcome(
        not root.exists() and not ended.has_traceback, "a root was made" if root.exists() else ended.summary()
    )


def read_only_checkout(ground: Ground) -> Outcome:
    """A build that can write its own folder alone, as in a container, and has no HOME."""
    ground.built("unused")
    ground.environment |= {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    before = files_of(ground.folder)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && cd "$0" && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", script, str(ground.folder))
    root = ground.folder / "own"
    ended = ground.run("build", ground.recipe, "--root", root, prefix=prefix, seconds=600)
    if "unshare" in ended.last_line or "mount" in ended.last_line:
        return outcome(False, f"not run: {ended.last_line}")
    others = files_of(ground.folder) - before - {"output", "temporary", "own"}
    made = {name for name in others if not name.startswith("own/")}
    is_stray = ended.is_done and made
    return outcome(ended.is_done and not made, f"made {min(made)}" if is_stray else ended.summary())


def first(root: Path, pattern: str) -> Path:
    return min(root.glob(pattern))


def flipped(ground: Ground, pattern: str) -> Outcome:
    """A bit of a file of the root: check names the file, and a build with --verify makes it as it was and reports it."""
    root = ground.built()
    path = first(root, pattern.format(version=newest(root).name))
    before = path.read_bytes()
    flip(path, 0.7)
    stem = path.stem if "shards" in pattern or "actions" in pattern else path.name
    seen = ground.run("check", root)
    is_named = seen.status != 0 and stem in seen.output
    built = ground.run("build", ground.recipe, "--root", root, "--verify")
    is_mended = path.is_file() and (path.read_bytes() == before or path.suffix in (".duckdb", ".json", ".md"))
    is_sound = built.is_done and ground.run("check", root).status == 0
    words = ["named" if is_named else "not named by check", "mended" if is_mended and is_sound else "not mended"]
    if not built.is_done:
        words.append(built.summary())
    return outcome(is_named and is_mended and is_sound, ", ".join(words))


def flipped_under_refresh(ground: Ground) -> Outcome:
    """A bit of a table that a refresh reads of its base: it publishes the version of a sound base, or names the table."""
    sound = ground.built("sound")
    root = shutil.copytree(sound, ground.folder / "root", symlinks=True)
    ground.add_article()
    ground.run("refresh", ground.recipe, "--root", sound)
    shard = first(root, "shards/BACKGROUND/*/*.parquet")
    flip(shard, 0.4)
    ended = ground.run("refresh", ground.recipe, "--root", root)
    is_other = ended.status == 0 and newest(root).name != newest(sound).name
    is_named = ended.status == 0 or shard.stem in ended.output
    return outcome(not is_other and is_named, "another version, exit 0" if is_other else ended.summary())


def gc_without_a_manifest(ground: Ground, *, is_damaged: bool) -> Outcome:
    root = ground.built()
    manifest = newest(root) / MANIFEST
    if is_damaged:
        manifest.write_bytes(manifest.read_bytes()[:99])
    else:
        manifest.unlink()
    before = len(list(root.glob("shards/*/*/*.parquet")))
    ended = ground.run("gc", "--root", root)
    n_lost = before - len(list(root.glob("shards/*/*/*.parquet")))
    seen = f"{n_lost} of {before} shards removed, status {ended.status}" if n_lost else ended.summary()
    return outcome(n_lost == 0 and not ended.has_traceback, seen)


def leftovers(ground: Ground) -> Outcome:
    """The unfinished folder of another mix's publication goes with the next build."""
    root = ground.built()
    part = root / "datasets" / "other" / ".0123456789ab.part"
    part.mkdir(parents=True)
    (part / "README.md").write_text("half of a card")
    ended = ground.run("build", ground.recipe, "--root", root)
    seen = "the leftovers stayed" if part.exists() else ended.summary()
    return outcome(ended.is_done and not part.exists(), seen)


def mended_version_keeps_its_base(ground: Ground) -> Outcome:
    root = ground.built()
    ground.add_article()
    ground.run("refresh", ground.recipe, "--root", root)
    version = newest(root)
    before = json.loads((version / MANIFEST).read_text())["base"]
    flip(version / "README.md")
    ground.run("refresh", ground.recipe, "--root", root, "--verify")
    after = json.loads((newest(root) / MANIFEST).read_text())["base"]
    is_kept = (newest(root).name, after) == (version.name, before) and before is not None
    return outcome(is_kept, "the base is kept" if is_kept else f"base {before}, then {after}")


def leftovers_of_a_query(ground: Ground) -> Outcome:
    """A query leaves nothing in the root or in the temporary folder."""
    root = ground.built()
    before = files_of(root)
    ended = ground.run("query", root, "FROM documents ORDER BY ALL")
    left = (files_of(root) - before) | files_of(ground.made("temporary"))
    return outcome(ended.is_done and not left, f"left {min(left)}" if left else ended.summary())


VERSION = f"datasets/{MIX}/{{version}}"
FLIPPED = {
    "flip-shard": "shards/TOKENS/*/*.parquet",
    "flip-seal": "shards/TOKENS/*/*.seal",
    "flip-action": "actions/encode/*/*.json",
    "flip-manifest": f"{VERSION}/{MANIFEST}",
    "flip-readme": f"{VERSION}/README.md",
    "flip-catalog": f"{VERSION}/catalog.duckdb",
    "flip-sequences": f"{VERSION}/sequences-*.parquet",
}
ATTACKS: dict[str, Attack] = {
    "gc-dry-run": ("no root is made", dry_run_of_nothing),
    "read-only": ("builds, writes only the root", read_only_checkout),
    "flip-base": ("the same version, or named", flipped_under_refresh),
    **{name: ("check names it, a build mends", partial(flipped, pattern=pattern)) for name, pattern in FLIPPED.items()},
    "gc-no-manifest": ("removes no shard", partial(gc_without_a_manifest, is_damaged=False)),
    "gc-bad-manifest": ("removes no shard", partial(gc_without_a_manifest, is_damaged=True)),
    "leftovers": ("gone after a build", leftovers),
    "mended-base": ("a mended version keeps its base", mended_version_keeps_its_base),
    "query-leftovers": ("nothing is left behind", leftovers_of_a_query),
}
