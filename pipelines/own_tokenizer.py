"""The tokenizer that a scoring model was trained with, and whether a recipe's tokens are its tokens."""

from pathlib import Path
from typing import Any

from pipelines.encode import EncodeParams, load
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError


def own_tokenizer(folder: Path, config: Any) -> HashedFile:
    """tokenizer.json of a model.

    Raises:
        RecipeError: it is missing, or has ids that the model has not.
    """
    if not (folder / "tokenizer.json").is_file():
        raise RecipeError(f"{folder}: has no tokenizer.json; put the model's own there")
    own, n_vocab = HashedFile.of(folder / "tokenizer.json"), getattr(config, "vocab_size", None) or 0
    most = max(vocabulary(own).values())
    if most >= n_vocab:
        raise RecipeError(
            f"{own.path}: does not belong to the model: it has ids up to {most:,}, the model {n_vocab:,} tokens; put the "
            "model's own there"
        )
    return own


def reads_tokens_of(own: HashedFile, encode: EncodeParams) -> bool:
    """Whether a model with this tokenizer reads the recipe's input_ids: both have the same vocabulary."""
    return own.hash == encode.tokenizer.hash or vocabulary(own) == vocabulary(encode.tokenizer)


def vocabulary(file: HashedFile) -> dict[str, int]:
    return load(file).get_vocab(with_added_tokens=True)
