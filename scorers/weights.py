"""A model's files, found by the name that a recipe gives and counted by what they hold."""

import math
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import RecipeError
from schemas.hub_errors import Wanted, downloaded
from schemas.names import from_name, path_named
from scorers.model_files import PATTERNS, check_headers, model_files


class Weights(BaseModel):
    """A model's folder or GGUF file, and the hash of what it holds. Only the hash is part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(exclude=True)
    hash: str

    @classmethod
    def named(cls, folder: Path, name: str) -> Self:
        """The model that a recipe in `folder` names: a folder, a .gguf file, or an id on the hub.

        Raises:
            RecipeError: there is none, or it has no weights in the safetensors format.
            StageError: the hub can't be reached.
        """
        local = path_named(folder, name)
        if local.exists():
            weights = cls.of(local)
            check_headers(local)
            return weights
        if name.startswith((".", "/", "~")) or name.endswith(".gguf") or name.count("/") != 1:
            raise RecipeError(f"{local}: no such folder or file; `longmix model` fetches the default models")

        def download(*, local_files_only: bool) -> Path:
            from huggingface_hub import snapshot_download  # slow to import, and rarely needed

            return Path(snapshot_download(name, allow_patterns=list(PATTERNS), local_files_only=local_files_only))

        return cls.of(downloaded(Wanted("model", name, f"name a local folder: {local} does not exist"), download))

    @classmethod
    def of(cls, path: Path) -> Self:
        """
        Raises:
            RecipeError: it holds no model, one that is not safe to load, or can't be read.
        """
        if not path.exists():
            raise RecipeError(f"{path}: no such folder or file; `longmix model` fetches the default models")
        if path.is_file() and path.suffix != ".gguf":
            raise RecipeError(f"{path}: not a model; name a folder with safetensors, or a .gguf file")
        files = [path] if path.is_file() else model_files(path)
        digest = blake2b(digest_size=16)
        try:
            for file in files:
                inner = blake2b(digest_size=16)
                with open(file, "rb") as stream:
                    while block := stream.read(1 << 22):
                        inner.update(block)
                digest.update(f"{file.name if path.is_dir() else ''}\0{inner.hexdigest()}\0".encode())
        except OSError as error:
            raise RecipeError(f"{file}: can't be read ({error.strerror}); mend the path or its permissions") from error
        return cls(path=str(path), hash=digest.hexdigest())


NamedWeights = Annotated[Weights, from_name(Weights.named)]


def converted_folder(weights: Weights) -> Path:
    """Where the converted form of a GGUF file lies: beside it, under its hash."""
    return Path(weights.path).with_name(weights.hash)


def tokenizer_of(weights: Weights) -> Path:
    """The model's own tokenizer.json."""
    folder = converted_folder(weights) if weights.path.endswith(".gguf") else Path(weights.path)
    return folder / "tokenizer.json"


# -- what a model was made for, by the configuration of its text part


def window_of(weights: Weights, asked: int | None, config: Any) -> int:
    """Tokens of the longest pass. asked: by the recipe; None: all that the model was made for.

    Raises:
        RecipeError: more are asked for than that.
    """
    most = getattr(config, "max_position_embeddings", None)
    if most and (asked or 0) > most:
        raise RecipeError(
            f"{weights.path}: score.model.window_tokens = {asked:,}, but the model was made for "
            f"{most:,}: its perplexity past that says nothing; take the key away or lower it"
        )
    return asked or most or 2048


def anchor_of(config: Any) -> int | None:
    """The model's BOS, or else its EOS; None where it has neither in its vocabulary."""
    named = [getattr(config, name, None) for name in ("bos_token_id", "eos_token_id")]
    found = [token[0] if isinstance(token, list) else token for token in named]
    n_vocab = getattr(config, "vocab_size", math.inf)
    return next((token for token in found if isinstance(token, int) and 0 <= token < n_vocab), None)
