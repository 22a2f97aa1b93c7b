"""RANKS, QUOTAS, CHOSEN and DRAWS from a choice."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.choose.candidates import Samples
from pipelines.choose.choice import Choice
from pipelines.choose.params import RANDOM, ChooseParams
from pipelines.plan import group_of
from pipelines.store import Shard, Store
from schemas.samples import CHOSEN, QUOTAS, RANKS
from schemas.tables import DRAWS


def written(samples: Samples, choice: Choice, params: ChooseParams, n_rows: Sequence[int], store: Store) -> list[Shard]:
    """RANKS in shards of `n_rows` rows, QUOTAS, CHOSEN, and a shard of DRAWS for each group."""
    ranks = ranks_of(samples, choice, params)
    stops = np.cumsum(n_rows, dtype=np.int64).tolist()
    shards = [store.write("RANKS", ranks.slice(stop - n, n)) for stop, n in zip(stops, n_rows, strict=True)]
    shards.append(store.write("QUOTAS", pa.Table.from_pylist(choice.quotas, schema=QUOTAS)))
    shards.append(store.write("CHOSEN", chosen_of(samples, choice, ranks)))
    return [*shards, *(store.write("DRAWS", draws) for draws in draws_of(samples, choice))]


def ranks_of(samples: Samples, choice: Choice, params: ChooseParams) -> pa.Table:
    """RANKS of all samples."""
    n = len(samples)
    why, place, similar = np.full(n, None, object), np.zeros(n, np.int32), np.full(n, -1)
    reason = np.where(samples.is_short & (samples.reason == ""), "short_surplus", samples.reason)
    reason[choice.order] = "outranked"
    place[choice.order] = np.arange(1, len(choice.order) + 1)
    for one, other in choice.similar.items():
        similar[one], reason[one] = other, "similar"
    why[choice.top], why[choice.short] = "top", "short"
    reason[[*choice.top, *choice.short]] = None
    no_score = pa.chunked_array([pa.nulls(n, pa.float64())])
    return pa.table(
        {
            "document_id": samples.document_id,
            "why": pa.array(why, pa.string()),
            "reason": pa.array(reason, pa.string()),
            "place": pa.array(place, mask=place == 0),
            "score": no_score if params.by in RANDOM else samples.score,
            "hmg": samples.hmg,
            "cam": samples.cam,
            "similar_id": samples.document_id.take(pa.array(similar, mask=similar < 0)),
        },
        schema=RANKS,
    )


def chosen_of(samples: Samples, choice: Choice, ranks: pa.Table) -> pa.Table:
    """CHOSEN: the best in the order of their ranks, then short instructions."""
    rows = np.array([*choice.top, *choice.short], np.int64)
    n_top, at = len(choice.top), pa.array(rows)
    rank = np.arange(1, len(rows) + 1, dtype=np.int32)
    return pa.table(
        {
            **{name: getattr(samples, name).take(at) for name in ("document_id", "content_hash", "domain")},
            "rank": pa.array(rank, mask=rank > n_top),
            **{name: ranks[name].take(at) for name in ("why", "score", "hmg", "cam")},
            **{
                name: getattr(samples, name)[rows].astype(np.int32)
                for name in ("n_tokens", "context_tokens", "response_tokens")
            },
        }
    ).select(CHOSEN.names)


def draws_of(samples: Samples, choice: Choice) -> list[pa.Table]:
    """DRAWS, a table for each group, in the order of content_hash: a chosen sample is drawn once and not cut."""
    rows = np.array([*choice.top, *choice.short], np.int64)
    why = np.repeat(np.array(["top", "short"], object), [len(choice.top), len(choice.short)])
    content = samples.content[rows]
    order = np.lexsort((content[:, 1], content[:, 0]))
    rows, why = rows[order], why[order]
    epoch, n_tokens = np.zeros(len(rows), np.int32), samples.n_tokens[rows].astype(np.int32)
    table = pa.table(
        {
            **{name: getattr(samples, name).take(pa.array(rows)) for name in ("document_id", "content_hash", "domain")},
            "n_tokens": n_tokens,
            "epoch": epoch,
            "document_start": epoch,
            "document_stop": n_tokens,
            "why": pa.array(why, pa.string()),
        }
    ).select(DRAWS.names)
    group = group_of(samples.content[rows], samples.n_tokens[rows], epoch)
    return [table.filter(pa.array(group == number)) for number in np.unique(group).tolist()]
