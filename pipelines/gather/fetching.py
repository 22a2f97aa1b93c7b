"""The cache of package files: what is there and whole is never fetched again.

    CACHE/deb/sqlite3-doc/sqlite3-doc_3.40.1-2_all.deb        a package file
    CACHE/deb/sqlite3-doc/sqlite3-doc_3.40.1-2_all.deb.seal   its version and SHA-256, and which version it stands for
    CACHE/deb/sqlite3-doc/.part/                              a download on its way
    CACHE/.apt/                                               package lists
    CACHE/lock                                                held by a running gather

A file is checked in .part and renamed, its seal follows; so a kill leaves a download that is taken up again, never half
a file that is taken for whole. A lock names the version and SHA-256 of each package.
"""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.gather.registries import FetchError, Gone, Registry, version_of
from pipelines.store.files import rename, write_json
from schemas.errors import LongmixError

PAUSE_SECONDS = (1.0, 4.0)  # between three tries
N_DOWNLOADS = 4  # at a time
MAX_LOST = 3  # packages of a registry that fail in all tries, before the others get a single one

Report = Callable[[str], None]
T = TypeVar("T")


class CorpusError(LongmixError):
    """The corpus can't be gathered as asked."""


@dataclass(frozen=True, order=True)
class Package:
    registry: str  # deb, npm or pypi
    name: str
    version: str = ""  # a fixed one, where the newest would not do

    @property
    def key(self) -> str:
        return f"{self.registry}:{self.name}"


class Locked(BaseModel):
    """What the lock says of a package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    file: str = Field(pattern=r"^[^/\\]+$")
    sha256: str


class Seal(BaseModel):
    """What stands beside a cached package file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    sha256: str
    instead_of: str = ""  # the locked version that was gone when this one was fetched


@dataclass(frozen=True)
class Fetched:
    """A whole package file."""

    path: Path
    seal: Seal


def sha256_of(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch_all(
    packages: list[Package], locks: Mapping[str, Locked], newest: bool, cache: Path, registries: Mapping[str, Registry],
    report: Report,
) -> tuple[dict[str, Fetched], dict[str, str]]:  # fmt: skip
    """The package files by key, and why the others did not come.

    Args:
        locks: the versions and hashes to insist on, by key; a package without one is free.
        newest: look past the cache, for the newest versions.
    """
    n_lost: Counter[str] = Counter()

    def look(package: Package) -> Fetched | None:
        return None if newest else cached(folder_of(package, cache), package, locks.get(package.key), report)

    def get(package: Package) -> Fetched | str:
        pauses = PAUSE_SECONDS if n_lost[package.registry] < MAX_LOST else ()  # no network: don't wait for each
        try:
            return fetch(package, locks.get(package.key), cache, registries[package.registry], pauses, report)
        except (FetchError, Gone) as error:
            n_lost[package.registry] += isinstance(error, FetchError)
            report(f"{package.key}: left out: {error}")
            return str(error)

    with ThreadPoolExecutor(N_DOWNLOADS) as pool:
        results: dict[Package, Fetched | str | None] = dict(zip(packages, pool.map(look, packages), strict=True))
        absent = [package for package, found in results.items() if found is None]
        if absent:
            report(f"fetching {len(absent)} of {len(packages)} packages")
        for name, registry in registries.items():
            wanted = [package.name for package in absent if package.registry == name]
            try:
                if wanted:
                    tried(partial(registry.prepare, wanted), PAUSE_SECONDS)
            except FetchError as error:
                report(f"{name}: {error}; going on with the package lists that there are")
        results |= zip(absent, pool.map(get, absent), strict=True)
    fetched = {package.key: found for package, found in results.items() if isinstance(found, Fetched)}
    return fetched, {package.key: why for package, why in results.items() if isinstance(why, str)}


def folder_of(package: Package, cache: Path) -> Path:
    return cache / package.registry / package.name.replace("/", "+")


def cached(folder: Path, package: Package, locked: Locked | None, report: Report) -> Fetched | None:
    """The whole file in the cache that will do, if any. Reads it once."""
    if locked and not (folder / f"{locked.file}.seal").exists() and (folder / locked.file).is_file():
        seal = Seal(version=locked.version, sha256=locked.sha256)  # a file from elsewhere, or a kill before its seal
        if sha256_of(folder / locked.file) == seal.sha256:
            write_json(folder / f"{locked.file}.seal", seal.model_dump())
    for path in sorted(folder.glob("*.seal"), key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        file = path.with_suffix("")
        try:
            seal = Seal.model_validate_json(path.read_bytes())
        except ValidationError:
            continue
        if not will_do(seal, package, locked):
            continue
        if file.is_file() and sha256_of(file) == seal.sha256:
            return Fetched(file, seal)
        report(f"{package.key}: the cached {file.name} is damaged; fetching it again")
        file.unlink(missing_ok=True)
        path.unlink()
    return None


def will_do(seal: Seal, package: Package, locked: Locked | None) -> bool:
    if locked is None:
        return package.version in {"", seal.version}
    return seal.instead_of == locked.version or (seal.version, seal.sha256) == (locked.version, locked.sha256)


def fetch(
    package: Package, locked: Locked | None, cache: Path, registry: Registry, pauses: Sequence[float], report: Report
) -> Fetched:
    """A package file, from the registry into the cache.

    The locked version if it is still there, and then it must have the locked hash; else the newest, said so.

    Raises:
        Gone: the registry has no version of it, or other bytes than the lock says.
        FetchError: it did not come.
    """
    folder = folder_of(package, cache)
    part = folder / ".part"
    part.mkdir(parents=True, exist_ok=True)
    try:
        wanted = locked.version if locked else package.version
        path = tried(partial(registry.fetch, package.name, wanted, part), pauses)
    except Gone:
        if locked is None:
            raise
        path = tried(partial(registry.fetch, package.name, package.version, part), pauses)
    version, digest = version_of(package.registry, package.name, path.name), sha256_of(path)
    if locked and version == locked.version and digest != locked.sha256:
        shutil.rmtree(part)
        raise Gone(f"version {version} has the SHA-256 {digest[:12]}..., the lock says {locked.sha256[:12]}...")
    moved = locked is not None and version != locked.version
    seal = Seal(version=version, sha256=digest, instead_of=locked.version if locked and moved else "")
    n_mb = path.stat().st_size / 1e6
    rename(path, folder / path.name)
    write_json(folder / f"{path.name}.seal", seal.model_dump())
    shutil.rmtree(part)
    if moved:
        report(f"{package.key}: {seal.instead_of} is no longer there; took the newest, {version}")
    report(f"{package.key} {version}: fetched, {n_mb:.1f} MB")
    return Fetched(folder / path.name, seal)


def tried(once: Callable[[], T], pauses: Sequence[float]) -> T:
    """A try more than there are pauses."""
    for pause in pauses:
        try:
            return once()
        except FetchError:
            time.sleep(pause)
    return once()
