"""Which documents a mix draws: Fu et al.'s length upsampling inside each domain, exact to the token.

A domain with B tokens in long documents and A in short ones, that is to give D tokens, draws long documents at rate
q = D / (B + r A) and short ones at r q. A rate above 1 is whole epochs and a fraction. In place of a coin for each
document there is a keyed order: a cell (domain, long or short, epoch) takes documents in ascending key until it has
its tokens, and cuts the last one. So budgets are met exactly, and when other documents come or go a document keeps
its draw unless the budget forces it out.

Source of the rate: Fu et al. 2024 (arXiv 2402.10171), per-source length upsampling. What we changed and why:
docs/mix.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipelines.keys import ascending, keyed, salt
from pipelines.plan.cells import KINDS, LONG, SHORT, Cells
from pipelines.shares import exact, largest_remainder


@dataclass(frozen=True)
class Shortfall:
    """Tokens that a cell was to give and can't. They are missing from the mix: no other cell fills in."""

    domain: str
    length: str  # long or short
    wanted: int
    available: int  # max_epochs times what the cell holds
    missing: int


@dataclass(frozen=True)
class Targets:
    """What each cell gives. Where nothing falls short, tokens sum to the budget.

    Attributes:
        domains: as in Cells.
        shares: [d] of the budget, summing to 1.
        rates: [d] q, the epochs of long documents; short ones are drawn r q times. NaN for a domain with nothing.
        wanted: [d, 2] int64 tokens by kind.
        tokens: [d, 2] int64, what of it can be had.
    """

    domains: tuple[str, ...]
    shares: tuple[float, ...]
    rates: np.ndarray
    wanted: np.ndarray
    tokens: np.ndarray
    shortfalls: tuple[Shortfall, ...]


def solve(
    cells: Cells, budget_tokens: int, shares: Mapping[str, float] | None, short_rate: float, max_epochs: int
) -> Targets:
    """Tokens by domain and kind that keep the shares and raise the long.

    Args:
        cells: what there is, counted or estimated; a row for every domain that `shares` names.
        budget_tokens: of the mix.
        shares: domain -> share, summing to about 1; a domain that is not named gets nothing. None: the cells' own.
        short_rate: r, how many times a short document is drawn for each time that a long one is.
        max_epochs: the most copies of a document.
    """
    if unknown := sorted({*(shares or {})} - {*cells.domains}):
        raise ValueError(f"shares name {unknown}, of which there are no cells, not even empty ones")
    held = cells.tokens.sum(axis=2)  # [d, 2]
    own = dict(zip(cells.domains, held.sum(axis=1).tolist(), strict=True))
    named = [exact((own if shares is None else shares).get(domain, 0)) for domain in cells.domains]
    total = sum(named, Fraction(0))
    parts = [share / total if total else share for share in named]
    budgets = largest_remainder([budget_tokens * part for part in parts], budget_tokens if total else 0)
    rates, wanted = np.full(len(parts), np.nan), np.zeros((len(parts), 2), np.int64)
    for d, budget in enumerate(budgets):
        weights = [int(held[d, SHORT]) * exact(short_rate), Fraction(int(held[d, LONG]))]
        if all_weights := sum(weights, Fraction(0)):
            rate = budget / all_weights
            rates[d] = float(rate)
            wanted[d] = largest_remainder([rate * weight for weight in weights], budget)
        else:
            wanted[d, LONG] = budget  # there is nothing to divide it by; all of it is missing
    available = max_epochs * held
    short = [
        Shortfall(cells.domains[d], KINDS[k], int(wanted[d, k]), int(available[d, k]), int((wanted - available)[d, k]))
        for d, k in np.argwhere(wanted > available)
    ]
    return Targets(cells.domains, tuple(map(float, parts)), rates, wanted, np.minimum(wanted, available), tuple(short))


@dataclass(frozen=True)
class Draws:
    """Copies of documents, cell by cell, epoch by epoch, in the order they were drawn.

    Attributes:
        document: [k] place among the documents given.
        epoch: [k] which copy of the document this is, from 0.
        n_tokens: [k] tokens taken, from the document's first; fewer than it has only in the last of its cell.
        kind: [k] 0 short, 1 long.
    """

    document: np.ndarray
    epoch: np.ndarray
    n_tokens: np.ndarray
    kind: np.ndarray


def draw(n_tokens: np.ndarray, cell: np.ndarray, targets: np.ndarray, content: np.ndarray, seed: int) -> Draws:
    """Take each cell's tokens in keyed order.

    Args:
        n_tokens: [n] of each document.
        cell: [n] place in `targets`, flattened; -1 for a document that is not to be drawn.
        targets: [d, 2] tokens, of which each cell has enough for some number of epochs; see solve().
        content: [n, 2] content hashes, see keys.contents(); unique.
        seed: another seed, other documents.
    """
    found = [[np.empty(0, np.int64)] * 4]
    cell = np.where(n_tokens > 0, cell, -1)  # an empty document has nothing to draw
    by_cell = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[by_cell], np.arange(targets.size + 1))
    for c, target in enumerate(targets.reshape(-1).tolist()):
        members = by_cell[ends[c] : ends[c + 1]]
        held = int(n_tokens[members].sum())
        for epoch in range(-(-target // max(1, held))):
            order = members[ascending(keyed(content[members], salt("draw", seed, epoch)), content[members])]
            taken = up_to(n_tokens[order], min(target - epoch * held, held))
            found.append([order[: len(taken)], np.full(len(taken), epoch), taken, np.full(len(taken), c % 2)])
    return Draws(*(np.concatenate(column).astype(np.int64) for column in zip(*found, strict=True)))


def up_to(n_tokens: np.ndarray, target: int) -> np.ndarray:
    """[k] tokens of the first k documents that sum to `target`, the last of them cut."""
    stops = np.cumsum(n_tokens)
    k = int(np.searchsorted(stops, target)) + 1
    taken = n_tokens[:k].copy()
    taken[-1] -= stops[k - 1] - target
    return taken


def over_share(domain: np.ndarray, n_tokens: np.ndarray, max_share: float) -> np.ndarray:
    """[n] bool: documents that are more than `max_share` of their domain's tokens."""
    totals = np.zeros(int(domain.max(initial=-1)) + 1, np.int64)
    np.add.at(totals, domain, n_tokens)
    return n_tokens > max_share * totals[domain]
