"""Failures of the Hugging Face hub and its client, for datasets, tokenizers and models: a line with the remedy for each.

The client raises errors of httpx, of requests, of the datasets library and of its own; they are told apart by the names of
their classes, so that nothing slow is imported.
"""

import errno
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from schemas.errors import LongmixError, RecipeError, StageError

T = TypeVar("T")

TIMEOUT_SECONDS = 10  # for the first request; the client tries those of a download again for half a minute
MOST_CHARS = 300  # of the client's own message
LOGIN = "log in with `hf auth login` or set HF_TOKEN"


class Wanted(NamedTuple):
    """What is asked of the hub: a "dataset", "tokenizer" or "model", its id, and what does without the hub."""

    kind: str
    name: str
    instead: str

    @property
    def page(self) -> str:
        return f"https://huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"


def configure_client() -> None:
    """Set the environment of the hub's client, which reads it once, at import; its warnings are in our message."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    for name in ("huggingface_hub", "datasets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def downloaded(wanted: Wanted, download: Callable[..., T]) -> T:
    """A file or folder in the client's cache, brought up to date if the hub can be reached.

    A first request without retries says whether it can: the client tries for half a minute before it looks into its cache.

    Args:
        download: called with local_files_only.

    Raises:
        RecipeError: it does not exist, or may not be read.
        StageError: the hub can't be reached and the cache lacks it, or the download broke off.
    """
    configure_client()
    from huggingface_hub import HfApi

    with errors_of(wanted):
        try:
            HfApi().model_info(wanted.name, timeout=TIMEOUT_SECONDS)
        except Exception as error:
            if not is_unreachable(error):
                raise
            try:
                return download(local_files_only=True)
            except Exception as missing:
                if "IncompleteSnapshotError" in names_of(missing):
                    raise
                raise error from None
        return download(local_files_only=False)


@contextmanager
def errors_of(wanted: Wanted) -> Iterator[None]:
    """
    Raises:
        LongmixError: for whatever error the client raises in the block.
    """
    try:
        yield
    except LongmixError:
        raise
    except Exception as error:
        raise hub_error(wanted, error) from error


def hub_error(wanted: Wanted, error: BaseException) -> LongmixError:
    """An error of the client as one line. A StageError is worth a retry, a RecipeError is not."""
    names, status = names_of(error), status_of(error)
    kind, name, instead = wanted
    line = one_line(error)
    for is_it, make, finding, remedy in (
        ("GatedRepoError" in names, RecipeError, f"the {kind} is gated", f"accept its terms at {wanted.page} and {LOGIN}"),
        ("RevisionNotFoundError" in names, RecipeError, f"the {kind} has no such revision", "correct revision"),
        (
            bool(names & {"RepositoryNotFoundError", "DatasetNotFoundError", "LocalTokenNotFoundError"}) or status in (401, 403),
            RecipeError, f"no such {kind} on the hub, or it is private", f"correct its id, or {LOGIN} for a private one",
        ),
        ("HFValidationError" in names, RecipeError, f"not an id of the hub ({line})", f"write OWNER/NAME, or {instead}"),
        ("IncompleteSnapshotError" in names, StageError, "the download into the client's cache is incomplete",
         f"run the command again with a network, or {instead}"),
        ("OfflineModeIsEnabled" in names, StageError, f"HF_HUB_OFFLINE is set, and the client's cache lacks the {kind}",
         f"unset it, or {instead}"),
        (is_unreachable(error), StageError, f"the hub can't be reached ({line})", f"run the command again with a network, or {instead}"),
        (bool(names & {"RemoteEntryNotFoundError", "EntryNotFoundError"}), RecipeError, f"the {kind} lacks a file ({line})", instead),
        (status == 429, StageError, "the hub refuses more requests for now", f"wait some minutes, or {LOGIN}"),
        (status is not None and status >= 500, StageError, f"the hub fails ({line})", "run the command again later"),
        (getattr(error, "errno", None) == errno.ENOSPC, StageError, "no space is left for the client's cache",
         "free space, or set HF_HOME to another disk"),
        (isinstance(error, ValueError | RuntimeError), RecipeError, f"can't be used ({line})",
         f"correct hub, config, split or revision, or {instead}"),
    ):  # fmt: skip
        if is_it:
            return make(f"{name}: {finding}; {remedy}")
    return StageError(
        f"{name}: the download failed ({type(error).__name__}: {line}); run the command again, or {instead}"
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and all(inner is not each for each in seen):
        seen.append(inner)
        yield inner
        inner = inner.__cause__ or inner.__context__


def names_of(error: BaseException) -> set[str]:
    """The names of the classes of an error and of those that it came from."""
    return {kind.__name__ for each in chain(error) for kind in type(each).__mro__}


UNREACHABLE = {
    "ConnectionError", "ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "TimeoutException", "TransportError",
    "TimeoutError", "ProxyError", "SSLError", "MaxRetryError", "gaierror", "OfflineModeIsEnabled", "LocalEntryNotFoundError",
}  # fmt: skip


def is_unreachable(error: BaseException) -> bool:
    return bool(names_of(error) & UNREACHABLE) and status_of(error) is None


def status_of(error: BaseException) -> int | None:
    """The status of the hub's response, if there is one."""
    for each in chain(error):
        status = getattr(getattr(each, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def one_line(error: BaseException) -> str:
    """The client's message without the numbers of its requests."""
    text = re.sub(r"\(Request ID:[^)]*\)", "", str(error))
    line = " ".join(text.split()) or type(error).__name__
    return line if len(line) <= MOST_CHARS else line[: MOST_CHARS - 1] + "…"
