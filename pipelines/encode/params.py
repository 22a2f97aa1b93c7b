"""The recipe's [encode], and what the ids of a text depend on besides it."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, PositiveInt

from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from schemas.hub_errors import Wanted, downloaded
from schemas.names import from_name, path_named

MOST_BYTES = 512 << 20  # of a tokenizer.json; those of 260,000 tokens have 35 MB


def tokenizer_named(folder: Path, name: str) -> HashedFile:
    """The tokenizer.json that a recipe in `folder` names: a file, its folder, or the hub's, in the hub client's cache.

    Raises:
        RecipeError: there is none, or it can't be read.
        StageError: the hub can't be reached.
    """
    local = path_named(folder, name)
    for path in (local, local / "tokenizer.json"):
        if path.is_file():
            if (n_bytes := path.stat().st_size) > MOST_BYTES:
                raise RecipeError(f"{path}: has {n_bytes:,} bytes, too many for a tokenizer.json; name one")
            return HashedFile.of(path)
    if name.startswith((".", "/", "~")) or name.endswith(".json") or name.count("/") != 1:
        raise RecipeError(f"no such file: {local}; name a tokenizer.json or a hub id")

    def download(*, local_files_only: bool) -> Path:
        from huggingface_hub import hf_hub_download  # slow to import, and rarely needed

        return Path(hf_hub_download(name, "tokenizer.json", local_files_only=local_files_only))

    return HashedFile.of(downloaded(Wanted("tokenizer", name, "name a local tokenizer.json"), download))


TokenizerFile = Annotated[HashedFile, from_name(tokenizer_named)]


class EncodeParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tokenizer: TokenizerFile  # a path and the hash of what it holds
    eos_token: str  # ends every document
    bos_token: str | None = None  # begins every document
    batch_bytes: PositiveInt = 1_000_000  # of text that the reference encodes at a time
    piece_chars: PositiveInt = 250_000  # a longer text is encoded in pieces by the reference

    @property
    def n_marks(self) -> int:
        """The tokens of a document besides those of its text."""
        return 1 if self.bos_token is None else 2


class Encoding(BaseModel):
    """What TOKENS depend on besides the texts. An action's name contains all of it.

    fastokens: its version, None on a machine without it.
    """

    model_config = ConfigDict(frozen=True)

    params: EncodeParams
    tokenizers: str
    fastokens: str | None

    @classmethod
    def of(cls, params: EncodeParams) -> Self:
        return cls(params=params, tokenizers=version("tokenizers"), fastokens=version_of_fastokens())


def version_of_fastokens() -> str | None:
    try:
        return version("fastokens")
    except PackageNotFoundError:
        return None
