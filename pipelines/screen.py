"""DOCUMENTS -> SCORES_CHEAP: what can be told of a document without a model, and why a model need not look at it."""

from pydantic import BaseModel, ConfigDict

from pipelines.stage import Runner
from pipelines.store import Shard, Store

VERSION = 1


class ScreenParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    max_repeat_share: float = 0.3


def run(documents, duplicates, params, before, store: Store, runner: Runner) -> dict[str, list[Shard]]:
    import pyarrow as pa

    from schemas.tables import SCORES_CHEAP

    out = []
    for d, u in zip(documents, duplicates, strict=True):
        t = store.read(u, ("document_id", "verdict"))
        rows = [
            {
                "document_id": i,
                "status": "scored" if v == "kept" else "dropped",
                "reason": None if v == "kept" else "dropped",
            }
            for i, v in zip(t["document_id"].to_pylist(), t["verdict"].to_pylist(), strict=True)
        ]
        out.append(store.write("SCORES_CHEAP", pa.Table.from_pylist(rows, schema=SCORES_CHEAP)))
    return {"SCORES_CHEAP": out}
