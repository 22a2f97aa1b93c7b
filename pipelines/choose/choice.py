"""Which samples are in the set: the best of the candidates within quotas, and short instructions beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from pipelines.choose.candidates import Samples
from pipelines.choose.params import RANDOM, ChooseParams
from pipelines.choose.quotas import Cell, Picked, pick, targets_of
from pipelines.choose.similar import Anything, Chosen, Distinct

Quota = dict[str, object]  # a row of QUOTAS
ALL: Cell = (None, None, None)


@dataclass(frozen=True)
class Choice:
    """Rows of all samples.

    Attributes:
        order: the candidates, the best first.
        top: the chosen ones, the best first.
        similar: a candidate that was passed over -> the chosen one that it is similar to.
        short: short instructions that are in the set, in keyed order.
        quotas: rows of QUOTAS.
    """

    order: np.ndarray
    top: list[int]
    similar: dict[int, int]
    short: list[int]
    quotas: list[Quota]


def choose(samples: Samples, signatures: pa.Table | None, params: ChooseParams) -> Choice:
    """
    Args:
        signatures: signature and n_shingles of each candidate, ascending; None: no sample is passed over as similar.
    """
    candidates = samples.candidates
    n_top = params.n_top(len(candidates))
    sets = partial(empty_set, signatures, params.max_similarity)
    best = samples.by_score()
    order = samples.at_random("choose", params.seed, candidates) if params.by in RANDOM else best
    picked, quotas = within(samples, order, params.quotas, n_top, sets)
    if params.by == "length_matched":
        like, _ = within(samples, best, params.quotas, n_top, sets)
        picked, quotas = matched(samples, order, like.chosen, params.quotas, sets)
    all_short = np.flatnonzero(samples.is_short & (samples.reason == ""))
    n_short = params.n_short(len(picked.chosen))
    short = samples.at_random("short", params.seed, all_short)[:n_short].tolist()
    if params.short_sources:
        quotas.append(quota("short", ALL, len(all_short), n_short, len(short)))
    if n_top > len(candidates):  # more than all cells can supply
        quotas.append(quota("top", ALL, 0, n_top - len(candidates), 0))
    return Choice(order, picked.chosen, picked.similar, short, quotas)


def empty_set(signatures: pa.Table | None, max_similarity: float | None) -> Chosen:
    if signatures is None or not len(signatures) or max_similarity is None:
        return Anything()
    components = signatures["signature"].combine_chunks().flatten().to_numpy()
    return Distinct(components.reshape(len(signatures), -1), signatures["n_shingles"].to_numpy(), max_similarity)


def within(
    samples: Samples, order: np.ndarray, quotas: Sequence[str], n: int, sets: Callable[[], Chosen]
) -> tuple[Picked, list[Quota]]:
    """The first `n` of the order within quotas, and the quotas.

    order: all candidates. sets: makes an empty set, whose candidates are numbered in ascending order of their rows.
    """
    cell, cells = samples.cells(samples.candidates, quotas)
    sizes = np.bincount(cell, minlength=len(cells)).tolist()
    return by_cell(samples, order, cell, targets_of(sizes, n), cells, sets())


def matched(
    samples: Samples, order: np.ndarray, like: Sequence[int], quotas: Sequence[str], sets: Callable[[], Chosen]
) -> tuple[Picked, list[Quota]]:
    """The first of the order, as many in each cell and length bucket as `like` [n], rows, has there."""
    candidates, names = samples.candidates, (*quotas, "length_bucket")
    cell, cells = samples.cells(candidates, names)
    targets = np.bincount(cell[np.searchsorted(candidates, like)], minlength=len(cells)).tolist()
    return by_cell(samples, order, cell, targets, cells, sets())


def by_cell(
    samples: Samples, order: np.ndarray, cell: np.ndarray, targets: Sequence[int], cells: Sequence[Cell], empty: Chosen
) -> tuple[Picked, list[Quota]]:  # fmt: skip
    """The first of the order in each cell. cell: [n candidates], ascending rows; an index in `targets` and `cells`."""
    candidates = samples.candidates
    picked = pick(np.searchsorted(candidates, order).tolist(), cell.tolist(), targets, empty)
    n_chosen, n_similar = (
        np.bincount(cell[list(each)], minlength=len(cells)).tolist() for each in (picked.chosen, picked.similar)
    )
    sizes = np.bincount(cell, minlength=len(cells)).tolist()
    quotas = [
        quota("top", *row) for row in zip(cells, sizes, targets, n_chosen, n_similar, strict=True)
    ]  # fmt: skip
    rows = candidates.tolist()
    similar = {rows[one]: rows[other] for one, other in picked.similar.items()}
    return Picked([rows[k] for k in picked.chosen], similar), quotas


def quota(why: str, cell: Cell, candidates: int, target: int, chosen: int, similar: int = 0) -> Quota:
    names = ("domain", "length_bucket", "response_bucket")
    return {
        "why": why, **dict(zip(names, cell, strict=True)), "candidates": candidates, "target": target, "chosen": chosen,
        "similar": similar,
    }  # fmt: skip
