"""manifest.json: what a gathered corpus is made of. Holds no time and no path, so equal corpora have equal manifests."""

import json
from collections.abc import Mapping
from pathlib import Path

import zstandard
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.gather.fetching import CorpusError, Locked, sha256_of

VERSION = 1  # raise when the same packages and arguments would give other documents


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arguments(Facts):
    domains: tuple[str, ...]
    allow: tuple[str, ...]
    max_mb: float
    min_chars: int
    seed: int


class SourceFacts(Facts):
    """What a package gave, before the limit on a domain's bytes."""

    documents: int
    text_bytes: int
    license: str
    kind: str


class DomainFacts(Facts):
    file: str
    documents: int
    text_bytes: int
    jsonl_bytes: int
    file_bytes: int
    sha256: str
    jsonl_sha256: str  # of what is compressed: the same for every version of zstandard
    available: dict[str, SourceFacts]


class Moved(Facts):
    """A package whose locked version was gone."""

    locked: str
    taken: str


class Manifest(Facts):
    version: int
    zstandard: str
    arguments: Arguments
    lock: str  # SHA-256 of the locks that were asked for; empty without a lock
    domains: dict[str, DomainFacts]
    packages: dict[str, Locked]
    moved: dict[str, Moved]
    failures: dict[str, str]  # DOMAIN/PACKAGE -> why it could not be had; tried again by the next gather
    left_out: dict[str, str]  # DOMAIN/PACKAGE -> why it was not asked for


def zstd_version() -> str:
    return ".".join(map(str, zstandard.ZSTD_VERSION))


def current(out: Path, arguments: Arguments, lock: str, left_out: Mapping[str, str]) -> Manifest | None:
    """The manifest of a corpus in `out` that is just what is asked for, whole and without failures. Reads its files."""
    try:
        found = Manifest.model_validate_json((out / "manifest.json").read_bytes())
        same = (found.version, found.zstandard, found.arguments, found.lock, found.left_out, found.failures) == (
            VERSION, zstd_version(), arguments, lock, left_out, {},
        )  # fmt: skip
        whole = same and all(sha256_of(out / facts.file) == facts.sha256 for facts in found.domains.values())
    except (OSError, ValidationError):
        return None
    return found if whole else None


def read_lock(path: Path) -> dict[str, Locked]:
    """
    Raises:
        CorpusError: it can't be read, or it is no lock.
    """
    try:
        return {key: Locked.model_validate(entry) for key, entry in json.loads(path.read_bytes()).items()}
    except OSError as error:
        raise CorpusError(f"{path}: can't be read ({error.strerror}); name one that is there, or update it") from error
    except (ValueError, AttributeError) as error:
        raise CorpusError(f"{path}: not a lock of package versions and SHA-256s; mend it, or update it") from error
