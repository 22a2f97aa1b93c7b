"""Whether a recipe's scoring model can be used with its settings: checked before the first byte of a corpus is read."""

from pathlib import Path

from pipelines.encode import EncodeParams, load
from pipelines.own_tokenizer import own_tokenizer, reads_tokens_of
from pipelines.score import ScoreParams
from schemas.errors import RecipeError
from scorers import lm
from scorers.configs import config_of
from scorers.weights import anchor_of, window_of


def reader_of(params: ScoreParams, encode: EncodeParams) -> EncodeParams:
    """How texts become the model's tokens: the recipe's way where the vocabulary is the same, else the model's own.

    Raises:
        RecipeError: torch or its device is missing, or the model, its tokenizer, its window, its calibration and the
            recipe's sizes do not fit together.
    """
    weights = params.model.weights
    lm.torch_on(params.model.device)
    folder = Path(lm.converted(weights))
    config = config_of(folder)
    check_sizes(params, window_of(weights, params.model.window_tokens, config), anchor_of(config))
    made_for = params.calibration
    if made_for and (made_for.weights, made_for.chunk_tokens) != (weights.hash, params.chunk_tokens):
        raise RecipeError(
            f"score.calibration: made for {made_for.model} and chunks of {made_for.chunk_tokens}, not for {weights.path} and "
            f"{params.chunk_tokens}; make one with `longmix calibrate`, or take the key away to score without correction"
        )
    own = own_tokenizer(folder, config)
    if reads_tokens_of(own, encode):
        return encode
    ends = getattr(config, "eos_token_id", None) or 0
    eos = load(own).id_to_token(ends[0] if isinstance(ends, list) else ends)
    if eos is None:
        raise RecipeError(
            f"{own.path}: does not belong to the model: it lacks its eos_token_id; put the model's own there"
        )
    return encode.model_copy(update={"tokenizer": own, "eos_token": eos, "bos_token": None})


def check_sizes(params: ScoreParams, window: int, anchor: int | None) -> None:
    """
    Raises:
        RecipeError: a pass that the recipe asks for is longer than the model's window.
    """
    n_anchor = int(anchor is not None)
    if 2 * params.chunk_tokens > window - n_anchor:
        raise RecipeError(
            f"{params.model.weights.path}: two chunks of score.chunk_tokens = {params.chunk_tokens:,} pass its window of "
            f"{window:,} tokens{'' if anchor is None else ', one of which is taken'}; lower it"
        )
    for scorer in params.also:
        try:
            scorer.check(window, n_anchor)
        except RecipeError as error:
            raise RecipeError(f"score.also: {error}") from error
