"""Gathers the default corpus: fetch packages, take their documents, write one file for each domain.

OUT receives DOMAIN.jsonl.zst, lines of {"id","text","source","domain","license"} sorted by id, and manifest.json. The
same package files, arguments and version of zstandard give the same bytes.

Memory: for each core the largest file that is read in a package and its text, which is under 200 MB for two cores and
this table of sources, and 250 bytes for each document. Disk: the texts once, beside what is written.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from threading import Lock

from pipelines.gather.assembly import Spooled, spool, write_domain
from pipelines.gather.catalogue import DOMAINS, FREE, KINDS, SOURCES, Source
from pipelines.gather.fetching import CorpusError, Fetched, Locked, Report, fetch_all
from pipelines.gather.gathered import VERSION, Arguments, Manifest, Moved, current, read_lock, zstd_version
from pipelines.gather.packages import PackageError
from pipelines.gather.registries import Registry, missing_tool, registry_clients
from pipelines.store.files import write_json
from pipelines.store.lock import locked

DEFAULT_LOCK = Path(__file__).with_name("corpus.lock.json")


def gather(
    out: Path,
    cache: Path,
    domains: Collection[str] = DOMAINS,
    allow: Collection[str] = FREE,
    max_mb: float = 0,
    min_chars: int = 200,
    seed: int = 0,
    lock: Path | None = DEFAULT_LOCK,
    update_lock: bool = False,
    report: Report = print,
    sources: Sequence[Source] = SOURCES,
) -> Manifest:
    """Gather the corpus into `out`, or only look if it is there already.

    Args:
        cache: where package files are kept; what is whole there is not fetched again.
        allow: kinds of license, of KINDS.
        max_mb: most text of a domain in MB, 0 for all; which documents stay follows from `seed` and their ids alone.
        min_chars: shorter documents are left out, as in SlimPajama.
        lock: versions and SHA-256s to insist on; None takes what the cache holds, else the newest.
        update_lock: fetch the newest versions and write them to `lock`.

    Raises:
        CorpusError: an argument is none, or nothing at all could be gathered.
        BusyError: another gather is using the cache.
    """
    report = in_turn(report)
    arguments = checked(domains, allow, max_mb, min_chars, seed)
    if update_lock and lock is None:
        raise CorpusError("update_lock: there is no lock to write; name one")
    locks = {} if lock is None or update_lock else read_lock(lock)
    clients = registry_clients(cache)
    left_out = left_out_of(sources, arguments, clients, report)
    wanted = [s for s in sources if s.domain in arguments.domains and s.label not in left_out]
    keys = {source.key for source in wanted}
    locks = {key: entry for key, entry in sorted(locks.items()) if key in keys}
    if not update_lock and (found := current(out, arguments, lock_hash(locks), left_out)):
        report(f"{out}: {counted(found)}; it is what was asked for, nothing to do")
        return found
    started = time.monotonic()
    try:
        with locked(cache, "a gathering of a corpus", "--cache"), working_folder(cache) as scratch:
            out.mkdir(parents=True, exist_ok=True)
            fetched, lost = fetch_all(sorted({s.package for s in wanted}), locks, update_lock, cache, clients, report)
            fetched_at = time.monotonic()
            failures = {source.label: lost[source.key] for source in wanted if source.key in lost}
            spooled = spool_all([s for s in wanted if s.key in fetched], fetched, scratch, min_chars, failures, report)
            if not spooled:
                raise CorpusError(f"nothing could be gathered: {reasons(failures | left_out)}")
            manifest = write_all(out, arguments, lock_hash(locks), spooled, fetched, failures, left_out)
    except OSError as error:  # a full disk, a folder of somebody else's
        raise CorpusError(
            f"{error.filename or out}: {error.strerror or error}; make room or choose another folder"
        ) from error
    if update_lock and lock is not None:
        write_json(lock, {key: entry.model_dump() for key, entry in updated(lock, manifest).items()})
    report(f"{out}: {counted(manifest)}" + (f"; {number(len(failures))} missing" if failures else ""))
    report(f"{fetched_at - started:.0f} s downloading, {time.monotonic() - fetched_at:.0f} s working")
    return manifest


def in_turn(report: Report) -> Report:
    """For several threads: a line at a time."""
    turn = Lock()

    def said(line: str) -> None:
        with turn:
            report(line)

    return said


def checked(domains: Collection[str], allow: Collection[str], max_mb: float, min_chars: int, seed: int) -> Arguments:
    """
    Raises:
        CorpusError: names the value that is none, and the one that was meant.
    """
    for what, given, known in (("domains", domains, DOMAINS), ("allow", allow, KINDS)):
        for value in sorted(given):
            if value not in known:
                meant = get_close_matches(value, known, 1)
                remedy = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(known)}"
                raise CorpusError(f"{what}: no such value: {value!r}; {remedy}")
        if not given:
            raise CorpusError(f"{what}: none is named; there are {', '.join(known)}")
    if not 0 <= max_mb < float("inf"):
        raise CorpusError(f"max_mb: {max_mb}; wanted 0 for all, or more")
    return Arguments(
        domains=tuple(sorted(set(domains))), allow=tuple(sorted(set(allow))),
        max_mb=max_mb, min_chars=min_chars, seed=seed,
    )  # fmt: skip


def left_out_of(
    sources: Sequence[Source], arguments: Arguments, clients: Mapping[str, Registry], report: Report
) -> dict[str, str]:
    """The sources that are not asked for, by label, and why: a kind of license, or a client that this machine lacks."""
    left_out = {}
    asked = [source for source in sources if source.domain in arguments.domains]
    for source in asked:
        if source.kind not in arguments.allow:
            left_out[source.label] = f"its license is of the kind {source.kind}"
    for name, client in clients.items():
        tool = missing_tool(client)
        without = [s for s in asked if s.package.registry == name and s.label not in left_out] if tool else []
        if without:
            report(f"{name}: {tool} is not on PATH; left out: {number(len(without))} from there")
        left_out |= {source.label: f"{tool} is not on PATH" for source in without}
    return dict(sorted(left_out.items()))


@contextmanager
def working_folder(cache: Path) -> Iterator[Path]:
    """A folder for texts on their way, gone afterwards; what a kill left of one goes now."""
    scratch = cache / ".working"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def threads() -> ThreadPoolExecutor:
    """One for each core: half of the work is decompressing and compressing, which run beside Python."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def spool_all(
    sources: Sequence[Source], fetched: Mapping[str, Fetched], scratch: Path, min_chars: int,
    failures: dict[str, str], report: Report,
) -> list[Spooled]:  # fmt: skip
    """The documents of each source, and a line of progress for it. A package that can't be read goes to `failures`."""

    def spooled(numbered: tuple[int, Source]) -> Spooled | None:
        number, source = numbered
        try:
            found = spool(source, fetched[source.key].path, scratch / str(number), min_chars)
        except PackageError as error:
            failures[source.label] = str(error)
            report(f"{source.label}: left out: {error}")
            return None
        facts = found.facts()
        report(f"{source.label}: {facts.documents:,} documents, {facts.text_bytes / 1e6:.2f} MB")
        return found

    with threads() as pool:
        return [found for found in pool.map(spooled, enumerate(sources)) if found]


def write_all(
    out: Path, arguments: Arguments, lock: str, spooled: Sequence[Spooled], fetched: Mapping[str, Fetched],
    failures: Mapping[str, str], left_out: Mapping[str, str],
) -> Manifest:  # fmt: skip
    """The files of the domains, then the manifest that lists them."""
    (out / "manifest.json").unlink(missing_ok=True)
    by_domain = {domain: [s for s in spooled if s.source.domain == domain] for domain in arguments.domains}
    max_bytes = int(arguments.max_mb * 1e6)
    with threads() as pool:
        jobs = {
            domain: pool.submit(write_domain, out / f"{domain}.jsonl.zst", found, max_bytes, arguments.seed)
            for domain, found in by_domain.items()
        }
        facts = {domain: job.result() for domain, job in jobs.items()}
    seals = {key: (found.path.name, found.seal) for key, found in sorted(fetched.items())}
    manifest = Manifest(
        version=VERSION, zstandard=zstd_version(), arguments=arguments, lock=lock, domains=facts,
        packages={k: Locked(version=seal.version, file=file, sha256=seal.sha256) for k, (file, seal) in seals.items()},
        moved={k: Moved(locked=seal.instead_of, taken=seal.version) for k, (_, seal) in seals.items() if seal.instead_of},
        failures=dict(sorted(failures.items())), left_out=dict(left_out),
    )  # fmt: skip
    write_json(out / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def lock_hash(locks: Mapping[str, Locked]) -> str:
    plain = {key: entry.model_dump() for key, entry in locks.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest() if plain else ""


def updated(lock: Path, manifest: Manifest) -> dict[str, Locked]:
    """The lock with the versions that were fetched; the others stay."""
    return {**(read_lock(lock) if lock.exists() else {}), **manifest.packages}


def counted(manifest: Manifest) -> str:
    found = manifest.domains.values()
    n_documents, n_bytes = sum(f.documents for f in found), sum(f.text_bytes for f in found)
    return f"{n_documents:,} documents, {n_bytes / 1e6:.1f} MB of text in {len(found)} domains"


def number(n_sources: int) -> str:
    return f"{n_sources} source{'' if n_sources == 1 else 's'}"


def reasons(found: Mapping[str, str]) -> str:
    """Each reason once, with how many sources it took."""
    each = list(found.values())
    return "; ".join(f"{reason} ({number(each.count(reason))})" for reason in dict.fromkeys(each)) or "no source fits"
