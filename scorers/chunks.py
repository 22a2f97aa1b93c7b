"""Equal chunks of one document: their nll, alone and right after one another, with the keys and values of contexts kept."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from schemas.errors import RecipeError, StageError
from scorers.lm import LM, body, empty_cache, libraries, memory_errors, nll

T = TypeVar("T")
R = TypeVar("R")


class Chunks:
    """Equal chunks of one document: the nll of each alone and after another, each touched one run alone once.

    An anchor stands before the first chunk of every pass. Without one a model's first token has to serve as the place
    that attention falls back on, and some tokens can't: one chunk of 272 was off by 2.7 nats a token.
    The keys and values of a context are kept while they fit into `keep_bytes`; a context that was let go is run again.
    `forwarded` counts the tokens that went through the model.
    """

    def __init__(self, lm: LM, chunks: np.ndarray, anchor: int | None, keep_bytes: int = 256 << 20):
        """chunks: [s, c] token ids. anchor: None, as LDS has it, or a token such as lm.anchor."""
        if 2 * chunks.shape[1] + (anchor is not None) > lm.window_tokens:
            raise RecipeError(f"score: two chunks of {chunks.shape[1]} tokens pass the window of {lm.window_tokens:,}")
        if lm.sliding_tokens and lm.sliding_tokens <= chunks.shape[1] + (anchor is not None):
            raise RecipeError(
                f"score: layers of this model see {lm.sliding_tokens} tokens back, chunks of {chunks.shape[1]} are not shorter; "
                "lower score.chunk_tokens"
            )
        self.lm, self.chunks, self.keep_bytes = lm, chunks, keep_bytes
        self.before = np.full((len(chunks), int(anchor is not None)), anchor or 0, chunks.dtype)
        self.block = lm.block
        self.forwarded = 0
        self.nll_alone: dict[int, float] = {}
        self.kept: dict[int, list[tuple[Any, Any]]] = {}  # context -> keys and values of each layer, oldest use first

    def alone(self, places: Sequence[int]) -> np.ndarray:
        """[n] float64 nats per token: mean nll of tokens 2.. of each chunk by itself."""
        for _ in self.in_blocks(self.read, [p for p in dict.fromkeys(places) if p not in self.nll_alone]):
            self.let_go(keep=0)
        return np.array([self.nll_alone[place] for place in places])

    def after(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """[n] float64 nats per token: mean nll of tokens 2.. of the target, right after the context.

        pairs: (target, context). A block that does not fit into memory is halved, down to one pair.
        """
        return np.concatenate([np.empty(0), *self.in_blocks(self.after_block, pairs)])

    def in_blocks(self, run: Callable[[Sequence[T]], R], items: Sequence[T]) -> Iterator[R]:
        """What `run` gives for each block; the block gets smaller where memory is short.

        Raises:
            StageError: one pass does not fit.
        """
        at = 0
        while at < len(items):
            block = items[at : at + self.block]
            try:
                with memory_errors():
                    found = run(block)
            except MemoryError as error:
                self.kept.clear()
                if self.block == 1:
                    n = 2 * self.chunks.shape[1]
                    raise StageError(f"score: one pass of {n} tokens does not fit into memory") from error
                self.block //= 2
                continue
            at += len(block)
            yield found

    def after_block(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        torch, _ = libraries()
        contexts = list(dict.fromkeys(j for _, j in pairs))
        self.read([j for j in contexts if j not in self.kept])
        held = [self.kept[j] for _, j in pairs]
        for j in contexts:
            self.kept[j] = self.kept.pop(j)  # used last
        past = empty_cache(self.lm)
        for layer, states in enumerate(zip(*held, strict=True)):
            past.update(*(torch.cat(column) for column in zip(*states, strict=True)), layer)
        targets = self.chunks[[i for i, _ in pairs]]
        hidden = body(self.lm, targets[:, :-1], past)
        self.forwarded += targets[:, :-1].size
        self.let_go(keep=len(contexts))
        return nll(self.lm, hidden, targets[:, 1:]).mean(axis=1)

    def read(self, places: Sequence[int]) -> None:
        """Run chunks alone: their nll, and the keys and values for what comes after them."""
        for at in range(0, len(places), self.block):
            block = places[at : at + self.block]
            ids, past = np.concatenate([self.before[block], self.chunks[block]], axis=1), empty_cache(self.lm)
            hidden = body(self.lm, ids, past)
            self.forwarded += ids.size
            first = self.before.shape[1]  # the chunk's own first token is never scored
            values = nll(self.lm, hidden[:, first:-1], ids[:, first + 1 :]).mean(axis=1)
            for place, value in zip(block, values, strict=True):
                self.nll_alone[place] = float(value)
            for row, place in enumerate(block):
                self.kept[place] = [(x.keys[row : row + 1], x.values[row : row + 1]) for x in past.layers]

    def let_go(self, keep: int) -> None:
        """Forget the contexts unused for longest, down to keep_bytes or `keep` contexts."""
        if not self.kept:
            return
        each = sum(k.nbytes + v.nbytes for k, v in next(iter(self.kept.values())))
        while len(self.kept) > max(keep, self.keep_bytes // each):
            del self.kept[next(iter(self.kept))]
