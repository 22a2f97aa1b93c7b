"""Whatever the hub's client raises is one line with its remedy; what is in its cache does without the hub."""

from types import SimpleNamespace

import httpx
import huggingface_hub
import pytest
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import errors

from schemas.errors import RecipeError, StageError
from schemas.hub_errors import Wanted, downloaded, errors_of, hub_error, names_of, one_line, status_of

WANTED = Wanted("dataset", "org/set", "set path")


def http(kind, status, text="bad"):
    request = httpx.Request("GET", "https://hub.example.org/x")
    return kind(text, response=httpx.Response(status, request=request))


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (http(errors.GatedRepoError, 403), RecipeError, "the dataset is gated; accept its terms at https://huggingface.co/datasets/org/set and log in with `hf auth login` or set HF_TOKEN"),
        (http(errors.RepositoryNotFoundError, 401), RecipeError, "no such dataset on the hub, or it is private; correct its id, or log in with `hf auth login` or set HF_TOKEN for a private one"),
        (DatasetNotFoundError("no"), RecipeError, "no such dataset on the hub, or it is private; correct its id, or log in with `hf auth login` or set HF_TOKEN for a private one"),
        (http(errors.HfHubHTTPError, 403), RecipeError, "no such dataset on the hub, or it is private; correct its id, or log in with `hf auth login` or set HF_TOKEN for a private one"),
        (http(errors.RevisionNotFoundError, 404), RecipeError, "the dataset has no such revision; correct revision"),
        (http(errors.RemoteEntryNotFoundError, 404, "404: no\nx.json"), RecipeError, "the dataset lacks a file (404: no x.json); set path"),
        (errors.HFValidationError("Repo id must\nbe so"), RecipeError, "not an id of the hub (Repo id must be so); write OWNER/NAME, or set path"),
        (errors.OfflineModeIsEnabled("offline"), StageError, "HF_HUB_OFFLINE is set, and the client's cache lacks the dataset; unset it, or set path"),
        (httpx.ConnectError("[Errno -2] Name\nor service"), StageError, "the hub can't be reached ([Errno -2] Name or service); run the command again with a network, or set path"),
        (httpx.ReadTimeout("slow"), StageError, "the hub can't be reached (slow); run the command again with a network, or set path"),
        (ConnectionError("Couldn't reach"), StageError, "the hub can't be reached (Couldn't reach); run the command again with a network, or set path"),
        (caused(ValueError("load"), httpx.ConnectTimeout("t")), StageError, "the hub can't be reached (load); run the command again with a network, or set path"),
        (errors.LocalEntryNotFoundError("check your connection"), StageError, "the hub can't be reached (check your connection); run the command again with a network, or set path"),
        (http(errors.HfHubHTTPError, 429), StageError, "the hub refuses more requests for now; wait some minutes, or log in with `hf auth login` or set HF_TOKEN"),
        (http(errors.HfHubHTTPError, 503, "503 Server Error"), StageError, "the hub fails (503 Server Error); run the command again later"),
        (OSError(28, "No space left on device"), StageError, "no space is left for the client's cache; free space, or set HF_HOME to another disk"),
        (ValueError('Unknown split "x".'), RecipeError, 'can\'t be used (Unknown split "x".); correct hub, config, split or revision, or set path'),
        (RuntimeError("Dataset scripts are no longer supported"), RecipeError, "can't be used (Dataset scripts are no longer supported); correct hub, config, split or revision, or set path"),
        (OSError("Consistency check failed"), StageError, "the download failed (OSError: Consistency check failed); run the command again, or set path"),
        (KeyError("x"), StageError, "the download failed (KeyError: 'x'); run the command again, or set path"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)  # fmt: skip
def test_each_error_has_its_remedy(error, kind, message):
    converted = hub_error(WANTED, error)
    assert type(converted) is kind
    assert str(converted) == f"org/set: {message}"


def test_an_incomplete_download_says_so():
    error = type("IncompleteSnapshotError", (errors.LocalEntryNotFoundError,), {})("x")  # of newer clients
    assert str(hub_error(WANTED, error)).startswith("org/set: the download into the client's cache is incomplete; run")


def test_errors_of_longmix_pass():
    with pytest.raises(RecipeError, match=r"^a: b$"), errors_of(WANTED):
        raise RecipeError("a: b")
    with pytest.raises(StageError, match=r"^org/set: the download failed"), errors_of(WANTED):
        raise KeyError("x")


def test_messages_are_short_and_of_one_line():
    assert one_line(ValueError("401 Error. (Request ID: Root=1-2)\n\nlog in")) == "401 Error. log in"
    assert one_line(ValueError("x" * 301)) == "x" * 299 + "…"
    assert one_line(ValueError("x" * 300)) == "x" * 300
    assert one_line(ValueError()) == "ValueError"


def test_a_chain_of_errors_ends():
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert names_of(first) >= {"ValueError", "KeyError"}
    assert status_of(first) is None


def refuse(error):
    def model_info(*_, **__):
        raise error

    return model_info


def test_what_is_in_the_cache_needs_no_hub(monkeypatch):
    calls = []

    def download(local_files_only):
        calls.append(local_files_only)
        return "file"

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse(httpx.ConnectError("away")))
    assert downloaded(WANTED, download) == "file"
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace())
    assert downloaded(WANTED, download) == "file"
    assert calls == [True, False]


@pytest.mark.parametrize(
    ("error", "missing", "kind", "message"),
    [
        (httpx.ConnectError("away"), errors.LocalEntryNotFoundError("no"), StageError, r"can't be reached \(away\)"),
        (errors.OfflineModeIsEnabled("x"), errors.LocalEntryNotFoundError("no"), StageError, "HF_HUB_OFFLINE is set"),
        (http(errors.GatedRepoError, 403), None, RecipeError, "is gated"),
    ],
)
def test_the_first_request_says_why(error, missing, kind, message, monkeypatch):
    def download(local_files_only):
        assert local_files_only
        if missing:
            raise missing
        pytest.fail("not to be looked for in the cache")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse(error))
    with pytest.raises(kind, match=message):
        downloaded(WANTED, download)
