"""GATEAU's ranks from raw parts: all that is normalised over samples is one query, ranking.sql.

    robust     hmg = percent rank of nll_short - nll_long, cam = percent rank of the direction
    official   hmg = softmax of minmax(exp nll_short) - minmax(exp nll_long), cam = softmax of the direction
    published  as official, but cam is the direction itself, as in the released code

The direction is alignment, or 1 - alignment for difficulty; score = alpha * hmg + (1 - alpha) * cam. A part without weight
is not needed. Each scope is normalised by itself, over its samples that have the part.

Source: S1s-Z/GATEAU: select/rank.py (official, published); robust is this project's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa

SETTINGS = {"threads": "1", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


@dataclass(frozen=True)
class Mixing:
    """How parts are normalised and mixed.

    Attributes:
        alpha: in [0, 1], the weight of HMG; 1 - alpha is that of CAM.
        normalise: robust, official or published.
        direction: difficulty or alignment.
    """

    alpha: float
    normalise: str = "robust"
    direction: str = "difficulty"


def rank_samples(
    ids: Sequence[str] | pa.Array,
    nll_short: Any,
    nll_long: Any,
    alignment: Any,
    mixing: Mixing,
    scopes: Sequence[str] | pa.Array | None = None,
) -> pa.Table:
    """Normalised parts, score and rank of each sample.

    Args:
        ids: [n] returned as they are. Of equal scores the first in this order has the higher rank.
        nll_short, nll_long: [n] mean nll of the response, nats; NULL: no HMG.
        alignment: [n] agreement of importance and attention; NULL: no CAM.
        scopes: [n] samples of one value are normalised together; None: all.

    Returns:
        [n] id, hmg, cam, score and rank, 1 for the highest score; NULL where a part is missing.
    """
    import duckdb  # slow to import, and recipes import this module for Mixing

    raw = {
        "place": np.arange(len(ids)),
        "scope": pa.array(scopes if scopes is not None else [""] * len(ids), pa.string()),
        **{
            name: values if isinstance(values, pa.ChunkedArray) else pa.array(values, pa.float64())
            for name, values in (("nll_short", nll_short), ("nll_long", nll_long), ("alignment", alignment))
        },
    }
    con = duckdb.connect(config={**SETTINGS})
    try:
        con.register("raw", pa.table(raw))
        for name, value in asdict(mixing).items():
            con.execute(f"SET VARIABLE {name} = ?", [value])
        ranked: dict[str, Any] = con.execute(
            files("pipelines.choose").joinpath("ranking.sql").read_text(encoding="utf-8")
        ).fetchnumpy()
    finally:
        con.close()
    types = {"hmg": pa.float64(), "cam": pa.float64(), "score": pa.float64(), "rank": pa.int32()}
    columns = {name: or_null(ranked[name], kind) for name, kind in types.items()}
    return pa.table({"id": ids if isinstance(ids, pa.ChunkedArray) else pa.array(ids), **columns})


def or_null(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """A column of DuckDB, which is masked where it is NULL."""
    return pa.array(np.ma.getdata(values), mask=np.ma.getmaskarray(values)).cast(kind)
