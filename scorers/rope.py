"""Rotary settings in place of a model's own: how a text reads with another window, without other weights."""

from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, field_validator

from schemas.errors import RecipeError
from scorers.attention import shared_copy
from scorers.lm import LM
from scorers.model_files import values_of

STATIC = ("default", "linear", "yarn", "llama3")  # the same angles for every text
STRETCHES = ("linear", "yarn", "llama3")


class Rope(BaseModel):
    """rope_parameters of transformers. rope_theta: None: the model's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rope_type: str
    rope_theta: PositiveFloat | None = None
    factor: PositiveFloat | None = None
    original_max_position_embeddings: PositiveInt | None = None
    attention_factor: PositiveFloat | None = None
    beta_fast: PositiveFloat | None = None
    beta_slow: PositiveFloat | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    low_freq_factor: PositiveFloat | None = None
    high_freq_factor: PositiveFloat | None = None

    @field_validator("rope_type")
    @classmethod
    def is_static(cls, name: str) -> str:
        if name not in STATIC:
            raise ValueError(
                f"{name!r} is not one of {', '.join(STATIC)}; the angles of other types depend on the length of the text, "
                "those of 'dynamic' also on the texts read before"
            )
        return name

    def window(self, own: int) -> int:
        """Tokens of the longest pass. own: without the override."""
        if self.rope_type not in STRETCHES or self.factor is None:
            return own
        return int((self.original_max_position_embeddings or own) * self.factor)


def check_static(config: Any, path: str) -> None:
    """
    Raises:
        RecipeError: the model's own angles depend on the texts read before.
    """
    rope = getattr(config, "rope_parameters", None)
    if any("dynamic" in str(kind) for key in ("rope_type", "type") for kind in values_of(rope, key)):
        raise RecipeError(
            f'{path}: its rope_type is "dynamic": a value would depend on the samples read before; set a static one in its '
            "config.json, such as linear or yarn"
        )


@cache  # once per model and settings
def with_rope(lm: LM, rope: Rope, path: str) -> LM:
    """A copy of the model with other rotary settings. It shares the weights. Frequencies and angles are float32.

    Raises:
        RecipeError: transformers refuses the settings, or the model does not compute its angles in one place.
    """
    own = getattr(lm.model.base_model, "rotary_emb", None)
    config = deepcopy(lm.model.config.get_text_config())
    settings = dict(getattr(config, "rope_parameters", None) or {})
    if own is None or "rope_theta" not in settings:
        raise RecipeError(f"{path}: influence.short.rope: this model has no single rotary embedding; name another")
    kept = {name: settings[name] for name in ("rope_theta", "partial_rotary_factor") if name in settings}
    config.rope_parameters = kept | rope.model_dump(exclude_none=True)
    try:
        config.standardize_rope_params()
        config.validate_rope()
        rotary = type(own)(config).to(lm.device)
    except Exception as error:  # of many kinds: KeyError, ValueError, TypeError
        line = " ".join(str(error).split())
        raise RecipeError(f"influence.short.rope: transformers refuses {config.rope_parameters} ({line})") from error
    model = shared_copy(lm.model)
    model.base_model.rotary_emb = rotary
    return replace(lm, model=model, window_tokens=rope.window(lm.window_tokens))
