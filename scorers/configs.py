"""The configuration and the tokenizer of a model, read without its weights."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from schemas.errors import RecipeError
from scorers import lm
from scorers.model_files import check_config, only
from scorers.weights import Weights


def config_of(folder: Path) -> Any:
    """The configuration of a model's text part, with transformers' defaults for missing keys, as in Gemma 3's file.

    Raises:
        RecipeError: the file is missing, or transformers cannot read it.
    """
    path, (_, transformers) = folder / "config.json", lm.libraries()
    if not path.is_file():
        raise RecipeError(f"{path}: no such file; put the model's own there")
    check_config(path)
    with only([path], f"{path}: not a model that transformers knows", "put the model's own there") as shown:
        config = transformers.AutoConfig.from_pretrained(shown, local_files_only=True, trust_remote_code=False)
        return config.get_text_config()


@cache
def check_tokenizers(*models: Weights) -> None:
    """
    Raises:
        RecipeError: the models have different tokenizers, added tokens aside, or one has no tokenizer.json.
    """
    from tokenizers import Tokenizer

    shown = []
    for model in models:
        path = Path(lm.converted(model)) / "tokenizer.json"
        if not path.is_file():
            raise RecipeError(f"{path}: no such file; put the model's own there: both models need the same tokenizer")
        parts = json.loads(Tokenizer.from_file(str(path)).to_str())
        shown.append({name: parts[name] for name in ("normalizer", "pre_tokenizer", "model")})
    if shown[0] != shown[1]:
        raise RecipeError(
            f"influence.short.weights: {models[1].path} has another tokenizer than {models[0].path}; name two models of one "
            "family, or set influence.short.context_tokens instead"
        )
