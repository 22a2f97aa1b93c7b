"""Whether a recipe's scoring model can be used as asked: looked at before the first byte of a corpus is read."""

import json
from pathlib import Path

from pipelines.encode import EncodeParams, load
from pipelines.files import HashedFile
from pipelines.score import ScoreParams
from schemas.errors import RecipeError
from scorers import lm


def reader_of(params: ScoreParams, encode: EncodeParams) -> EncodeParams:
    """How texts become the model's tokens: the recipe's way where the vocabulary is the same, else the model's own.

    Raises:
        RecipeError: torch is missing, or the model, its tokenizer, its window or its calibration don't fit together.
    """
    weights = params.model.weights
    folder = Path(lm.converted(weights))
    config = json.loads((folder / "config.json").read_bytes())
    window = params.model.window_tokens or config.get("max_position_embeddings") or 2048
    if 2 * params.chunk_tokens > window:
        raise RecipeError(
            f"{weights.path}: two chunks of score.chunk_tokens = {params.chunk_tokens:,} pass its window of {window:,} tokens"
        )
    made_for = params.calibration
    if made_for and (made_for.weights, made_for.chunk_tokens) != (weights.hash, params.chunk_tokens):
        raise RecipeError(
            f"score.calibration: made for {made_for.model} and chunks of {made_for.chunk_tokens}, not for {weights.path} and "
            f"{params.chunk_tokens}; make one with `longmix calibrate`, or take the key away to score without correction"
        )
    if not (folder / "tokenizer.json").is_file():
        raise RecipeError(f"{folder}: has no tokenizer.json; put the model's own there")
    own = HashedFile.of(folder / "tokenizer.json")
    vocabulary = load(own).get_vocab(with_added_tokens=True)
    if max(vocabulary.values()) >= (config.get("vocab_size") or 0):
        raise RecipeError(
            f"{own.path}: does not belong to the model: it has ids up to {max(vocabulary.values()):,}, the model "
            f"{config.get('vocab_size'):,} tokens; put the model's own there"
        )
    same = own.hash == encode.tokenizer.hash or vocabulary == load(encode.tokenizer).get_vocab(with_added_tokens=True)
    if same:
        return encode
    ends = config.get("eos_token_id") or 0
    eos = load(own).id_to_token(ends[0] if isinstance(ends, list) else ends)
    if eos is None:
        raise RecipeError(
            f"{own.path}: does not belong to the model: it lacks its eos_token_id; put the model's own there"
        )
    return encode.model_copy(update={"tokenizer": own, "eos_token": eos})
