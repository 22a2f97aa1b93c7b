"""Which passes a model makes over an instruction sample for HMG and CAM, without running it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scorers.sample import Sample

if TYPE_CHECKING:
    from scorers.influence import InfluenceParams

NONE = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Passes:
    """The token ids of each pass, the response at its end. The same array: one pass. Empty: no pass.

    Attributes:
        long: header, kept context, instruction, response.
        short: by the short-window model; `long` itself where that is the same model reading the same text.
        segments: one pass for each segment; empty where CAM is not measured.
        edges: [N + 1] the spans of long whose attention is recorded, sink tokens left out; empty without CAM.
        n_response: tokens of the response.
        context_tokens: tokens of the context in `long`; is_cut: fewer than there are.
    """

    long: np.ndarray
    short: np.ndarray
    no_context: np.ndarray
    alone: np.ndarray
    segments: list[np.ndarray]
    edges: list[int]
    n_response: int
    context_tokens: int
    is_cut: bool

    @property
    def model_tokens(self) -> int:
        """Tokens that are forwarded: a pass without its last token, unless the attention of that token is recorded."""
        single = {id(ids): len(ids) for ids in (self.long, self.short, self.no_context, self.alone) if len(ids)}
        lengths = [*single.values(), *(len(ids) for ids in self.segments)]
        return sum(lengths) - len(lengths) + bool(self.edges)


@dataclass(frozen=True)
class Fault:
    """Why a sample has no passes."""

    status: str
    reason: str


def passes_of(sample: Sample, params: "InfluenceParams", window: int) -> Passes | Fault:
    """
    window: tokens of the longest pass. A context that does not fit is cut at its end, for all passes.
    """
    header, instruction, response = sample.header, sample.instruction, sample.response[: params.max_response_tokens]
    n_fixed, n_context = len(header) + len(instruction) + len(response), len(sample.context)
    if not len(response):
        return Fault("too_short", "the response has no token")
    if n_fixed + min(n_context, 1) > window:
        return Fault(
            "error",
            f"header, instruction and response have {n_fixed:,} tokens and leave no room for a context in the window of "
            f"{window:,}",
        )
    context = sample.context[: window - n_fixed]
    if n_fixed + len(context) == len(response):
        return Fault("too_short", "no token precedes the response")

    def read(*pieces: np.ndarray) -> np.ndarray:
        ids = np.concatenate([header, *pieces, response])
        return ids if len(ids) > len(response) else NONE

    long = read(context, instruction)
    short = no_context = alone = NONE
    if "hmg" in params.parts:
        no_context = read(instruction) if len(context) else long
        alone = read() if len(instruction) else no_context
        last = params.short.context_tokens
        if last is None:
            short = long.copy() if len(context) else NONE  # by another model, or with other angles
        else:
            short = read(context[-last:], instruction) if len(context) > last else long
    segments, edges = [], []
    size = params.segment_tokens
    if "cam" in params.parts and len(context) > size:
        starts = range(0, len(context), size)
        segments = [read(context[start : start + size], instruction) for start in starts]
        edges = [len(header) + at for at in (params.sink_tokens, *starts[1:], len(context))]
    return Passes(
        long, short, no_context, alone, segments, edges, len(response), len(context), len(context) < n_context
    )
