"""Published versions of a mix: the folders ROOT/datasets/MIX/VERSION, and the tables that their manifests list."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pipelines.actions import Reused
from pipelines.store import Shard, files
from schemas.errors import RecipeError, SchemaError
from schemas.manifest import PAGES, TOKENIZER, Manifest, ManifestShard


@dataclass(frozen=True)
class Version:
    """A published version.

    Attributes:
        folder: datasets/MIX/VERSION.
        is_new: False where the version was published before.
        mended: TABLE/HASH of each damaged shard that the build made again, and the damaged published files.
        reused: by stage, the documents whose rows the build copied from an earlier version; see Engine.
        notes: of the engine that built it: sentences on the input.
    """

    folder: Path
    mix: str
    version: str
    is_new: bool
    mended: tuple[str, ...] = ()
    reused: Mapping[str, Reused] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.folder)


def shards_of(manifest: Manifest) -> dict[str, list[Shard]]:
    """The shards that a version lists, by table."""
    return {
        name: [Shard(name, s.content_hash, s.n_rows, s.columns, s.came_from) for s in shards]
        for name, shards in manifest.tables.items()
    }


def tables_of(folder: Path | None) -> dict[str, list[Shard]]:
    """The tables of a published version; none where there is no version."""
    return shards_of(Manifest.of(folder)) if folder else {}


def earlier_tables(root: Path, mix: str, base: Path | None) -> Mapping[str, list[Shard]]:
    """The tables of which a build may copy rows: the base's, else those of the mix's newest version.

    Empty where there is no version, or none that can be read: they do not change what is built. Not a dict, which Prefect
    would search for futures, shard by shard, before every task.
    """
    try:
        return MappingProxyType(tables_of(base or latest(root, mix)))
    except SchemaError:
        return MappingProxyType({})


def damaged_files(folder: Path, *, verify: bool) -> list[str]:
    """The files of a published version that are missing or damaged, by name; all of them where its manifest is.

    verify: compare the bytes of the Parquet files with their checksums; else their lengths alone.
    """
    try:
        manifest = Manifest.of(folder)
    except SchemaError:
        return ["manifest.json"]
    published = manifest.published()
    if set(published) != set(manifest.files):
        return ["manifest.json"]
    shards = [name for name, shard in published.items() if not is_shard(folder / name, shard, verify=verify)]
    return shards + [name for name in PAGES if not is_page(folder / name, manifest)]


def is_shard(path: Path, shard: ManifestShard, *, verify: bool) -> bool:
    """Whether a published file is the shard that the manifest lists."""
    try:
        return path.stat().st_size == shard.n_bytes and not (verify and files.seal(path)["xxh3_128"] != shard.xxh3_128)
    except OSError:
        return False


def is_page(path: Path, manifest: Manifest) -> bool:
    """Whether a published file has the bytes that it was published with."""
    try:
        return files.seal(path)["xxh3_128"] == manifest.pages.get(path.name)
    except OSError:
        return False


def tokenizer_of(folder: Path, manifest: Manifest) -> files.HashedFile:
    """The published copy of the tokenizer that made a version's input_ids.

    Raises:
        RecipeError: the file is missing or is not the recipe's tokenizer.
    """
    file = files.HashedFile.of(folder / TOKENIZER)
    if file.hash != manifest.tokenizer_hash:
        raise RecipeError(f"{file.path}: not the tokenizer of the version's recipe; build the mix again")
    return file


def remove_parts(root: Path) -> None:
    """Remove the unfinished folders of publications that were killed. Only for the process that holds the root's lock."""
    for folder in root.glob("datasets/*/.*.part"):
        shutil.rmtree(folder, ignore_errors=True)


def point_latest(folder: Path) -> None:
    """Make datasets/MIX/latest lead to the version, in one step."""
    files.point(folder.with_name("latest"), Path(folder.name))


def possible_bases(root: Path, mix: str) -> list[Path | None]:
    """Bases on which a build may have made the tables that a look-up wants: none, the newest version's, the newest."""
    newest = latest(root, mix)
    if newest is None:
        return [None]
    base = Manifest.of(newest).base
    older = newest.with_name(base) if base else None
    return [None, *(folder for folder in (older, newest) if folder and (folder / "manifest.json").is_file())]


def latest(root: Path, mix: str) -> Path | None:
    """The folder of the mix's newest version, or None."""
    folder = root.absolute() / "datasets" / mix / "latest"
    return folder.resolve() if (folder / "manifest.json").is_file() else None


def find_version(root: Path, mix: str | None = None, version: str = "latest") -> Path:
    """The folder of a published version: of the only mix under the root, or of the one named.

    version: its name, or a beginning of it that no other version has.

    Raises:
        RecipeError: there is no such version, or several to choose from.
    """
    if (root / "manifest.json").is_file():
        return root  # a version's own folder
    folders = published(root)
    mixes = sorted({folder.parent.name for folder in folders})
    if not mixes:
        raise RecipeError(f"{root}: holds no dataset; build one first, or name the --root of a build")
    if mix is not None and mix not in mixes:
        raise RecipeError(f"{root}: {mix}: no such mix; the root holds {', '.join(mixes)}")
    if version == "latest":
        if mix is None and len(mixes) > 1:
            raise RecipeError(f"{root}: holds {', '.join(mixes)}; choose with --mix")
        newest = latest(root, mix or mixes[0])
        if newest is None:
            raise RecipeError(f"{root}: {mix or mixes[0]} has no newest version; name one, or build the mix again")
        return newest
    of_mix = [folder for folder in folders if mix in (None, folder.parent.name)]
    return by_prefix(root, of_mix, version)


def by_prefix(root: Path, folders: Sequence[Path], version: str) -> Path:
    """The only folder whose name is, or begins with, a version.

    Raises:
        RecipeError: there is none, or there are several.
    """
    exact = [folder for folder in folders if folder.name == version]
    matching = exact or [folder for folder in folders if version and folder.name.startswith(version)]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(f"{folder.parent.name} {folder.name}" for folder in matching or folders)
    if matching:
        raise RecipeError(f"{root}: {version!r} begins several versions: {names}; write more of the name or set --mix")
    raise RecipeError(f"{root}: {version}: no such version; the root holds {names}")


def published(root: Path) -> list[Path]:
    """The folders of all versions under a root, by mix and name."""
    paths = root.absolute().glob("datasets/*/*/manifest.json")
    folders = [path.parent for path in paths if not path.parent.name.startswith(".")]
    return sorted(folder for folder in folders if not folder.is_symlink())


def remove(folder: Path) -> Path | None:
    """Remove a published version; `latest` then leads to the newest that remains. Only for the holder of the root's lock.

    Its shards stay until garbage is collected. A kill leaves a version complete, or a folder that the next build removes.

    Returns:
        The newest version that remains, or None.
    """
    mix = folder.parent
    was_latest = latest(mix.parents[1], mix.name) == folder
    others = [other for other in published(mix.parents[1]) if other.parent == mix and other != folder]
    newest = max(others, key=built_at, default=None) if was_latest else latest(mix.parents[1], mix.name)
    if newest and was_latest:
        point_latest(newest)
    elif was_latest:
        (mix / "latest").unlink()
    part = mix / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    files.rename_folder(folder, part)
    shutil.rmtree(part)
    if not others:
        mix.rmdir()
    return newest


def built_at(folder: Path) -> str:
    """When a version was built, as ISO 8601; the empty text where its manifest cannot be read."""
    try:
        return str(Manifest.of(folder).built.get("at", ""))
    except SchemaError:
        return ""
