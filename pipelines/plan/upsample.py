"""Which documents a mix draws: Fu et al.'s length upsampling inside each domain, exact to the token.

A domain that gives D tokens, from B tokens in long documents and A in short ones, draws long documents at rate
q = D / (B + r A) and short ones at r q. A rate above 1 is a number of epochs and a fraction. In place of a coin for each
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
from pipelines.plan.cells import LONG, Cells
from pipelines.shares import exact, largest_remainder


@dataclass(frozen=True)
class Targets:
    """What each cell, a domain and a kind, is to give and can give. A shortfall is not substituted by another cell.

    Attributes:
        domains: as in Cells.
        shares: [d] of the budget, summing to 1.
        rates: [d, 2] epochs of short and of long documents that meet the target; NaN for a domain with nothing to draw.
        target: [d, 2] int64 tokens by kind, summing to the budget.
        available: [d, 2] int64, max_epochs times the tokens of the cell.
    """

    domains: tuple[str, ...]
    shares: tuple[float, ...]
    rates: np.ndarray
    target: np.ndarray
    available: np.ndarray

    @property
    def drawn(self) -> np.ndarray:
        """[d, 2] int64 tokens that each cell gives."""
        return np.minimum(self.target, self.available)


def solve(
    cells: Cells, budget_tokens: int, shares: Mapping[str, float] | None, short_rate: float, max_epochs: int
) -> Targets:
    """Tokens by domain and kind that keep the shares and raise the long.

    Args:
        cells: the documents to draw from, counted or estimated; a row for every domain that `shares` names.
        budget_tokens: of the mix.
        shares: domain -> share, summing to about 1; a domain that is not named gets nothing. None: the cells' own.
        short_rate: r, how many times a short document is drawn for each time that a long one is.
        max_epochs: the most copies of a document.
    """
    if unknown := sorted({*(shares or {})} - {*cells.domains}):
        raise ValueError(f"shares name {unknown}, which have no cells; give each a row of zeros")
    tokens = cells.tokens.sum(axis=2)  # [d, 2]
    own = dict(zip(cells.domains, tokens.sum(axis=1).tolist(), strict=True))
    named = [exact((own if shares is None else shares).get(domain, 0)) for domain in cells.domains]
    total = sum(named, Fraction(0))
    parts = [share / total if total else share for share in named]
    budgets = largest_remainder([budget_tokens * part for part in parts], budget_tokens if total else 0)
    relative = [exact(short_rate), Fraction(1)]  # the rate of a kind, as a part of the long documents' rate
    rates, target = np.full(tokens.shape, np.nan), np.zeros(tokens.shape, np.int64)
    for d, budget in enumerate(budgets):
        weights = [n * r for n, r in zip(tokens[d].tolist(), relative, strict=True)]
        if total_weight := sum(weights, Fraction(0)):
            rate = budget / total_weight
            rates[d] = [float(rate * r) for r in relative]
            target[d] = largest_remainder([rate * weight for weight in weights], budget)
        else:
            target[d, LONG] = budget  # no document to draw: the budget of the domain is a shortfall
    return Targets(cells.domains, tuple(map(float, parts)), rates, target, max_epochs * tokens)


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
        targets: [d, 2] tokens to draw, at most max_epochs times those of the cell; see Targets.drawn.
        content: [n, 2] content hashes, see keys.contents(); unique.
        seed: another seed, other documents.
    """
    columns = [[np.empty(0, np.int64)] * 4]
    cell = np.where(n_tokens > 0, cell, -1)  # an empty document has nothing to draw
    by_cell = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[by_cell], np.arange(targets.size + 1))
    for c, target in enumerate(targets.reshape(-1).tolist()):
        members = by_cell[ends[c] : ends[c + 1]]
        in_cell = int(n_tokens[members].sum())
        for epoch in range(-(-target // max(1, in_cell))):
            order = members[ascending(keyed(content[members], salt("draw", seed, epoch)), content[members])]
            taken = up_to(n_tokens[order], min(target - epoch * in_cell, in_cell))
            columns.append([order[: len(taken)], np.full(len(taken), epoch), taken, np.full(len(taken), c % 2)])
    return Draws(*(np.concatenate(column).astype(np.int64) for column in zip(*columns, strict=True)))


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
