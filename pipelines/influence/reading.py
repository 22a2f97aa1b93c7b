"""Which samples the model reads, and why it doesn't read the others: decided in one process from small columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys import ascending, contents, keyed, salt
from scorers.influence import InfluenceParams, cost
from scorers.sample import Sample

OF_DOCUMENTS = ("content_hash", "source")
SPANS = ("context_start", "context_stop", "response_start", "response_stop")
OF_SAMPLES = ("document_id", "status", *SPANS)


@dataclass(frozen=True, eq=False)
class Reading:
    """Some samples, in order.

    Attributes:
        reason: [n] object, why the model does not read a sample, or "".
        costs: [n] int64 model tokens of those that it reads, else 0.
    """

    reason: np.ndarray
    costs: np.ndarray

    def take(self, rows: slice) -> "Reading":
        return Reading(self.reason[rows], self.costs[rows])


def reading_of(columns: pa.Table, short_sources: Sequence[str], params: InfluenceParams) -> Reading:
    """Which samples are read: the cheapest first while params.budget_tokens last, of equal ones in keyed order.

    columns: OF_DOCUMENTS and OF_SAMPLES of all samples.
    """
    status = columns["status"].to_numpy(zero_copy_only=False)
    is_short = pc.is_in(columns["source"], pa.array(short_sources, pa.string())).to_numpy()
    encoded = np.where(is_short, "short_source", "")
    reason = np.where(status == "encoded", encoded, status).astype(object)
    rows = np.flatnonzero(reason == "")
    costs = np.zeros(len(reason), np.int64)
    spans = zip(*(columns[name].take(pa.array(rows)).to_pylist() for name in SPANS), strict=True)
    costs[rows] = [cost(blank(*each), params) for each in spans]
    if params.budget_tokens is not None:
        content = contents(columns["content_hash"].take(pa.array(rows)))
        by_key = rows[ascending(keyed(content, salt("influence")), content)]
        order = by_key[np.argsort(costs[by_key], kind="stable")]
        over = order[np.cumsum(costs[order]) > params.budget_tokens]
        reason[over], costs[over] = "budget", 0
    return Reading(reason, costs)


def blank(context_start: int, context_stop: int, response_start: int, response_stop: int) -> Sample:
    """A sample of these lengths: a cost depends on no token."""
    return Sample(np.zeros(response_stop, np.int32), context_start, context_stop, response_start)


def sample_of(samples: pa.Table, row: int) -> Sample:
    """samples: input_ids and SPANS. The tokens are a copy, so that the shard need not stay in memory."""
    start, stop, response_start, response_stop = (samples[name][row].as_py() for name in SPANS)
    ids = np.array(samples["input_ids"][row].values.to_numpy()[:response_stop])
    return Sample(ids, start, stop, response_start)
