"""manifest.json of a gathered corpus. It contains no times and no paths, so equal corpora have equal manifests."""

import json
from collections.abc import Mapping
from pathlib import Path

import zstandard
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.gather.catalogue import DOMAINS, FREE
from pipelines.gather.fetching import CorpusError, Locked, sha256_of

VERSION = 1  # raise when the same packages and arguments would give other documents


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arguments(Facts):
    """The choice of documents."""

    domains: tuple[str, ...] = DOMAINS
    allow: tuple[str, ...] = FREE  # kinds of license, of KINDS
    max_mb: float = 0.0  # most text per domain in MB; 0: no limit. The sample depends only on the seed and the ids
    min_chars: int = 200  # shorter documents are skipped, as in SlimPajama
    seed: int = 0


class SourceFacts(Facts):
    """The documents of a package, before the limit on a domain's bytes."""

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
    jsonl_sha256: str  # of the uncompressed lines: the same for every version of zstandard
    available: dict[str, SourceFacts]


class Moved(Facts):
    """A package whose locked version is no longer available."""

    locked: str
    taken: str


class Manifest(Facts):
    version: int
    zstandard: str
    arguments: Arguments
    lock: str  # SHA-256 of the lock entries used; empty without a lock
    domains: dict[str, DomainFacts]
    packages: dict[str, Locked]
    moved: dict[str, Moved]
    failures: dict[str, str]  # DOMAIN/PACKAGE -> why it could not be fetched or read; the next run tries again
    left_out: dict[str, str]  # DOMAIN/PACKAGE -> why it was not requested


def zstd_version() -> str:
    return ".".join(map(str, zstandard.ZSTD_VERSION))


def current(out: Path, arguments: Arguments, lock: str, left_out: Mapping[str, str]) -> Manifest | None:
    """The manifest in `out` if it has these arguments and no failures, and its files are undamaged. Reads all files."""
    try:
        m = Manifest.model_validate_json((out / "manifest.json").read_bytes())
        is_current = (m.version, m.zstandard, m.arguments, m.lock, m.left_out, m.failures) == (
            VERSION, zstd_version(), arguments, lock, left_out, {},
        )  # fmt: skip
        is_undamaged = is_current and all(sha256_of(out / facts.file) == facts.sha256 for facts in m.domains.values())
    except (OSError, ValidationError):
        return None
    return m if is_undamaged else None


def read_lock(path: Path) -> dict[str, Locked]:
    """
    Raises:
        CorpusError: the file can't be read, or is not a lock.
    """
    try:
        return {key: Locked.model_validate(entry) for key, entry in json.loads(path.read_bytes()).items()}
    except OSError as error:
        raise CorpusError(
            f"{path}: can't be read ({error.strerror}); name another lock or use --update-lock"
        ) from error
    except (ValueError, AttributeError) as error:
        raise CorpusError(
            f"{path}: not a lock of package versions and SHA-256s; correct it or use --update-lock"
        ) from error
