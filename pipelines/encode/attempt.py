"""Calls of libraries that may panic, or not end."""

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from schemas.errors import StageError

T = TypeVar("T")

LEAST_SECONDS = 600  # of a call, whatever it encodes
SECONDS_PER_MB = 60  # the reference takes 1 to 2 on an idle core

os.environ.setdefault("RUST_BACKTRACE", "0")  # a panic that is handled prints its line, not the stack of the library


def attempted(call: Callable[[], T]) -> T | None:
    """The result of a call; None if it raised an error. A panic of a library in Rust is no Exception."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 a panic is a BaseException
        return None


class Helper:
    """A thread that makes calls for another, which can stop waiting. A thread a call would lose the libraries' caches."""

    def __init__(self) -> None:
        self.calls: SimpleQueue = SimpleQueue()
        self.results: SimpleQueue = SimpleQueue()
        threading.Thread(target=serve, args=(self.calls, self.results), daemon=True).start()

    def __del__(self) -> None:
        self.calls.put(None)


def serve(calls: SimpleQueue, results: SimpleQueue) -> None:
    while call := calls.get():
        try:
            results.put((call(), None))
        except BaseException as error:  # noqa: BLE001 raised again in the thread that waits
            results.put((None, error))


OWN = threading.local()  # .helper of each thread


def within_limit(call: Callable[[], T], n_bytes: int, place: Callable[[], str]) -> T:
    """The result of a call that encodes `n_bytes` of text. A library can't be interrupted: the thread is left behind.

    The limit is far beyond what any text takes by a tokenizer whose time grows with the length of the text. It stops the
    build and refuses no document: which documents are refused may not depend on the speed of a machine.

    Args:
        place: names the documents, for the message.

    Raises:
        StageError: the call takes longer than LEAST_SECONDS and SECONDS_PER_MB.
    """
    seconds = LEAST_SECONDS + SECONDS_PER_MB * n_bytes / 1e6
    helper = getattr(OWN, "helper", None) or Helper()
    OWN.helper = None  # a helper that does not answer is not used again
    helper.calls.put(call)
    try:
        result, error = helper.results.get(timeout=seconds)
    except Empty:
        raise StageError(
            f"encode: {place()}: {n_bytes:,} bytes of text are not encoded after {seconds:,.0f} s: the time of "
            "encode.tokenizer grows faster than the text, often by a pattern of its pre_tokenizer; remove the documents from "
            "their source, or name another tokenizer"
        ) from None
    OWN.helper = helper
    if error:
        raise error
    return result


def span(document_ids: Any) -> str:
    """Documents of a batch, by the first and the last."""
    first, last = document_ids[0].as_py(), document_ids[-1].as_py()
    return (
        f"document {first}"
        if len(document_ids) == 1
        else f"one of the {len(document_ids):,} documents {first} to {last}"
    )
