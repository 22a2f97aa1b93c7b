"""Equal chunks of one document: nll of each alone and after another, with a cache of the contexts' keys and values."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from schemas.errors import RecipeError, StageError
from scorers.lm import LM, body, empty_cache, libraries, memory_errors, nll

T = TypeVar("T")
R = TypeVar("R")


class Chunks:
    """Equal chunks of one document: the nll of each chunk alone and after another.

    Every pass starts with an anchor token. Without one the model's first token becomes the attention sink, and some
    tokens cannot serve as one: one chunk of 272 was off by 2.7 nats per token.
    The keys and values of contexts are cached up to `keep_bytes`; an evicted context is run again when needed.
    `forwarded` counts the tokens that went through the model.
    """

    def __init__(self, lm: LM, chunks: np.ndarray, anchor: int | None, keep_bytes: int = 256 << 20):
        """
        Args:
            chunks: [s, c] token ids.
            anchor: a token such as lm.anchor; None: no anchor, as in LDS.

        Raises:
            RecipeError: two chunks exceed the model's window, or one chunk its sliding window.
        """
        if 2 * chunks.shape[1] + (anchor is not None) > lm.window_tokens:
            raise RecipeError(
                f"score: two chunks of {chunks.shape[1]} tokens exceed the window of {lm.window_tokens:,} tokens; "
                "lower score.chunk_tokens"
            )
        if lm.sliding_tokens and lm.sliding_tokens <= chunks.shape[1] + (anchor is not None):
            raise RecipeError(
                f"score: layers of this model see {lm.sliding_tokens} tokens back, and chunks have {chunks.shape[1]} "
                "tokens; lower score.chunk_tokens"
            )
        self.lm, self.chunks, self.keep_bytes = lm, chunks, keep_bytes
        self.anchors = np.full((len(chunks), int(anchor is not None)), anchor or 0, chunks.dtype)
        self.block = lm.block
        self.forwarded = 0
        self.nll_alone: dict[int, float] = {}
        self.cache: dict[int, list[tuple[Any, Any]]] = {}  # context -> keys and values by layer, least recent use first

    def alone(self, places: Sequence[int]) -> np.ndarray:
        """[n] float64 nats per token: mean nll of tokens 2.. of each chunk alone. A chunk is run once."""
        for _ in self.in_blocks(self.read, [p for p in dict.fromkeys(places) if p not in self.nll_alone]):
            self.evict(keep=0)
        return np.array([self.nll_alone[place] for place in places])

    def after(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """[n] float64 nats per token: mean nll of tokens 2.. of the target right after the context.

        pairs: (target, context).
        """
        return np.concatenate([np.empty(0), *self.in_blocks(self.after_block, pairs)])

    def in_blocks(self, run: Callable[[Sequence[T]], R], items: Sequence[T]) -> Iterator[R]:
        """The result of `run` for each block. A block that does not fit into memory is halved, down to one item.

        Raises:
            StageError: one item does not fit.
        """
        at = 0
        while at < len(items):
            block = items[at : at + self.block]
            try:
                with memory_errors():
                    result = run(block)
            except MemoryError as error:
                self.cache.clear()
                if self.block == 1:
                    n = 2 * self.chunks.shape[1]
                    raise StageError(f"score: one pass of {n} tokens does not fit into memory") from error
                self.block //= 2
                continue
            at += len(block)
            yield result

    def after_block(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        torch, _ = libraries()
        contexts = list(dict.fromkeys(j for _, j in pairs))
        self.read([j for j in contexts if j not in self.cache])
        keys_and_values = [self.cache[j] for _, j in pairs]
        for j in contexts:
            self.cache[j] = self.cache.pop(j)  # now the most recently used
        past = empty_cache(self.lm)
        for layer, states in enumerate(zip(*keys_and_values, strict=True)):
            past.update(*(torch.cat(column) for column in zip(*states, strict=True)), layer)
        targets = self.chunks[[i for i, _ in pairs]]
        hidden = body(self.lm, targets[:, :-1], past)
        self.forwarded += targets[:, :-1].size
        self.evict(keep=len(contexts))
        return nll(self.lm, hidden, targets[:, 1:]).mean(axis=1)

    def read(self, places: Sequence[int]) -> None:
        """Run chunks alone and store their nll, keys and values."""
        for at in range(0, len(places), self.block):
            block = places[at : at + self.block]
            ids, past = np.concatenate([self.anchors[block], self.chunks[block]], axis=1), empty_cache(self.lm)
            hidden = body(self.lm, ids, past)
            self.forwarded += ids.size
            first = self.anchors.shape[1]  # the first token of a chunk is not scored
            values = nll(self.lm, hidden[:, first:-1], ids[:, first + 1 :]).mean(axis=1)
            for place, value in zip(block, values, strict=True):
                self.nll_alone[place] = float(value)
            for row, place in enumerate(block):
                self.cache[place] = [(x.keys[row : row + 1], x.values[row : row + 1]) for x in past.layers]

    def evict(self, keep: int) -> None:
        """Drop the least recently used contexts, down to `keep_bytes` or to `keep` contexts."""
        if not self.cache:
            return
        context_bytes = sum(k.nbytes + v.nbytes for k, v in next(iter(self.cache.values())))
        while len(self.cache) > max(keep, self.keep_bytes // context_bytes):
            del self.cache[next(iter(self.cache))]
