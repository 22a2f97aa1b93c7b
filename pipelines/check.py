"""`longmix check`: every file of a root held against its checksum. Reads all of it, changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.ingested import INGESTED
from pipelines.store import files, shards_in
from schemas.errors import RecipeError, SchemaError
from schemas.manifest import PAGES, Manifest


@dataclass(frozen=True)
class Fault:
    """A damaged or missing file.

    Attributes:
        path: relative to the root.
        finding: what is wrong with it.
        remedy: the command that repairs it.
    """

    path: str
    finding: str
    remedy: str


@dataclass(frozen=True)
class Checked:
    """A file that was looked at: its length in bytes, and its fault or None."""

    n_bytes: int
    fault: Fault | None


def check(root: Path) -> Iterator[Checked]:
    """Look at every shard, action, manifest and published file under a root.

    Raises:
        RecipeError: nothing was ever built there.
    """
    root = root.absolute()
    if not (root / "actions").is_dir():
        raise RecipeError(f"{root}: no mix was built there; name the --root of a build")
    manifests: dict[Path, Manifest] = {}
    for path in sorted(root.glob("datasets/*/*/manifest.json")):
        if path.parent.name == "latest":
            continue
        try:
            manifests[path.parent] = Manifest.of(path.parent)
            yield Checked(path.stat().st_size, None)
        except SchemaError:
            remedy = f"remove {path.parent.relative_to(root)}, then {rebuild(root, {path.parts[-3]})}"
            yield Checked(0, Fault(str(path.relative_to(root)), "not a readable manifest", remedy))
    mixes = mixes_by_hash(manifests)
    yield from check_shards(root, mixes)
    yield from check_actions(root)
    for folder, manifest in manifests.items():
        yield from check_version(root, folder, manifest)


def mixes_by_hash(manifests: dict[Path, Manifest]) -> dict[str, set[str]]:
    """Content hash of a shard -> the mixes whose versions list it."""
    mixes: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for shards in (*manifest.tables.values(), *manifest.kept.values()):
            for shard in shards:
                mixes.setdefault(shard.content_hash, set()).add(manifest.mix)
    return mixes


def check_shards(root: Path, mixes: dict[str, set[str]]) -> Iterator[Checked]:
    """Shards held against their seals, and listed shards that are missing."""
    present = sorted(root.glob("shards/*/*/*.parquet"))
    for path in present:
        name, remedy = str(path.relative_to(root)), repair(root, mixes.get(path.stem))
        try:
            seal = json.loads(path.with_suffix(".seal").read_bytes())
        except (OSError, ValueError):
            yield Checked(path.stat().st_size, Fault(name, "its seal is missing or unreadable", remedy))
            continue
        is_whole = files.seal(path) == seal
        yield Checked(path.stat().st_size, None if is_whole else Fault(name, "differs from its seal", remedy))
    for content_hash in sorted(set(mixes) - {path.stem for path in present}):
        yield Checked(
            0,
            Fault(f"shards/*/{content_hash[:2]}/{content_hash}.parquet", "missing", repair(root, mixes[content_hash])),
        )


def check_actions(root: Path) -> Iterator[Checked]:
    for path in sorted([*root.glob("actions/**/*.json"), *root.glob(f"{INGESTED}/*.json")]):
        try:
            shards_in(path.read_bytes())
            yield Checked(path.stat().st_size, None)
        except (ValueError, KeyError, TypeError):
            fault = Fault(
                str(path.relative_to(root)),
                "not a readable record",
                "a build that needs it makes it again, and longmix gc removes it",
            )
            yield Checked(path.stat().st_size, fault)


def check_version(root: Path, folder: Path, manifest: Manifest) -> Iterator[Checked]:
    """The files that people and trainers open. Parquet files are the store's shards under another name."""
    remedy = rebuild(root, {manifest.mix})
    checksums = manifest.pages | {name: shard.xxh3_128 for name, shard in manifest.published().items()}
    for name in (*manifest.files, *PAGES):
        path, finding = folder / name, None
        if not path.is_file():
            finding = "missing"
        elif files.seal(path)["xxh3_128"] != checksums.get(name):
            finding = "differs from its checksum in the manifest"
        fault = Fault(str(path.relative_to(root)), finding, remedy) if finding else None
        yield Checked(path.stat().st_size if path.is_file() else 0, fault)


def repair(root: Path, mixes: set[str] | None) -> str:
    """How a shard is made again; one that no version lists is not worth it."""
    return rebuild(root, mixes) if mixes else f"no version lists it: longmix gc --root {root}"


def rebuild(root: Path, mixes: set[str]) -> str:
    return f"longmix build RECIPE --root {root} --verify, with the recipe of {' or '.join(sorted(mixes))}"
