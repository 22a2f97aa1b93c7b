"""What the machine lacks is no verdict on the data: such an error stops the build, and is never stored as a rejection."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import StageError

MEMORY = "memory is exhausted ({}); free memory or set run.workers to 1"
FILES = "too many files are open ({}); raise the limit (ulimit -n) or set run.workers to 1"
THREADS = "no more threads or processes can be started ({}); raise the limit (ulimit -u) or set run.workers to 1"
DEVICE = "the disk or the network failed ({}); check it"
LACKS = {
    **dict.fromkeys((errno.ENOMEM,), MEMORY),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), FILES),
    **dict.fromkeys((errno.EAGAIN,), THREADS),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO), DEVICE),
    **dict.fromkeys((errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNRESET, errno.EHOSTDOWN, errno.EINTR), DEVICE),
}
PHRASES = {  # of libraries that raise errors without a number, in lower case
    "not enough memory": MEMORY,
    "cannot allocate memory": MEMORY,
    "out of memory": MEMORY,
    "malloc of size": MEMORY,
    "realloc of size": MEMORY,
    "bad_alloc": MEMORY,
    "error -4 while": MEMORY,  # zlib's Z_MEM_ERROR
    "too many open files": FILES,
    "can't start new thread": THREADS,
    "resource temporarily unavailable": THREADS,
    "input/output error": DEVICE,
    "stale file handle": DEVICE,
}


def raise_system_error(error: BaseException, place: str) -> None:
    """Raise an error that says nothing about the file: a lack of the machine, or a refusal of the operating system.

    Raises:
        StageError: the machine lacks something.
        OSError: `error` itself, which has a number.
    """
    raise_lack(error, place)
    if isinstance(error, OSError) and error.errno:
        raise error


def raise_lack(error: BaseException, place: str) -> None:
    """
    Raises:
        StageError: memory, open files, threads or a device are lacking.
    """
    text = " ".join(str(error).split())[:200]
    number = error.errno if isinstance(error, OSError) else None
    lack = MEMORY if isinstance(error, MemoryError) else LACKS.get(number or 0)
    if lack is None and not number:
        lack = next((lack for phrase, lack in PHRASES.items() if phrase in text.lower()), None)
    if lack:
        what = errno.errorcode[number] if number else text or type(error).__name__
        raise StageError(f"{place}: {lack.format(what)}, and run the build again: it resumes") from error


@contextmanager
def system_errors(place: str) -> Iterator[None]:
    """A lack of the machine inside of the block as a StageError. Other errors pass."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        raise_lack(error, place)
        raise
