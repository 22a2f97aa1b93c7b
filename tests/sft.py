"""Small random sets of instruction samples as tables, for the tests of influence, choose and pack."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.store import Shard, Store
from schemas.tables import TABLES
from tests.pipelines.corpora import digest

Rows = dict[str, list[list[dict[str, Any]]]]

CAM = ("alignment_mass", "spearman", "divergence", "n_segments", "segment_nll", "attention", "segment_tokens")


def sample_row(document_id: str, status: str = "encoded", **values: Any) -> dict[str, Any]:
    """A row of SAMPLES of 12 tokens: header [0, 2), context [2, 6), instruction [6, 8), response [8, 11), its end [11, 12)."""
    row = dict.fromkeys(TABLES["SAMPLES"].names) | {"document_id": document_id, "status": status}
    if status == "refused":
        row["reason"] = "no_token"
    if status == "encoded":
        row |= {
            "n_responses": 1, "n_tokens": 12, "input_ids": list(range(1, 13)), "context_start": 2, "context_stop": 6,
            "response_start": 8, "response_stop": 11, "responses": [{"start": 8, "stop": 12}], "has_marker": False,
        }  # fmt: skip
    return row | values


def scored_row(table: str, document_id: str, reason: str | None, **values: Any) -> dict[str, Any]:
    """A row of SCORES_HMG or SCORES_CAM; scored where reason is None."""
    status = "scored" if reason is None else reason if reason in ("dropped", "too_short") else "not_scored"
    row = dict.fromkeys(TABLES[table].names) | {"document_id": document_id, "status": status, "reason": reason}
    return row | (values if reason is None else {})


def message_text(question: str, answer: str, context: str = "") -> str:
    messages = [{"role": "user", "content": context + question}, {"role": "assistant", "content": answer}]
    return json.dumps(
        {"messages": messages, "context_chars": len(context)}, ensure_ascii=False, separators=(",", ":")
    )  # fmt: skip


def random_rows(seed: int, n_shards: int = 3, most: int = 40) -> Rows:
    """Samples in two domains and three sources, of which `tips` are short instructions; some dropped, refused or unscored.

    Scores are on a coarse grid, so that there are ties; three fifths of the samples have the signature of an earlier one but for
    a few components.
    """
    rng = np.random.default_rng(seed)
    rows: Rows = {name: [] for name in ("DOCUMENTS", "SAMPLES", "SIGNATURES", "SCORES_HMG", "SCORES_CAM")}
    signatures = [rng.integers(0, 2**32, 128)]
    for shard in range(n_shards):
        for table in rows.values():
            table.append([])
        for record in range(int(rng.integers(0, most)) if shard else most):
            source = str(rng.choice(["web", "web2", "books", "tips"], p=[0.4, 0.1, 0.3, 0.2]))
            name = f"{seed}-{shard}-{record}"
            text, document_id = message_text("q " + name, "a " + name), digest("id" + name)
            status = str(rng.choice(["encoded", "dropped", "refused"], p=[0.8, 0.1, 0.1]))
            domain = {"books": "book", "tips": "tip"}.get(source, "web")
            rows["DOCUMENTS"][-1].append({
                "document_id": document_id, "content_hash": digest(name), "source": source, "record_id": None, "origin": None, "domain": domain,
                "license": "free" if record % 2 else None, "file": "f", "record": record, "n_bytes": len(text), "text": text,
            })  # fmt: skip
            rows["SAMPLES"][-1].append(random_sample(rng, document_id, status))
            signature = signatures[int(rng.integers(len(signatures)))].copy()
            changed = rng.permutation(128)[: int(rng.choice([0, 12, 25, 26, 40])) if rng.random() < 0.6 else 128]
            signature[changed] = rng.integers(0, 2**32, len(changed))
            signatures.append(signature)
            rows["SIGNATURES"][-1].append(
                {"n_shingles": int(rng.integers(0, 9)), "signature": signature.tolist(), "sketch": []}
            )
            reason = {"dropped": "dropped", "refused": "refused"}.get(status)
            if reason is None and source == "tips":
                reason = "short_source"
            add_scores(rng, rows, document_id, reason)
    return rows


def random_sample(rng: np.random.Generator, document_id: str, status: str) -> dict[str, Any]:
    if status != "encoded":
        return sample_row(document_id, status)
    header, context, instruction, response = (int(x) for x in rng.integers([1, 0, 1, 1], [3, 60, 9, 200]))
    response += 1_100 * int(rng.random() < 0.3)  # of another length bucket
    start = header + context + instruction
    n = start + response + 1
    return sample_row(
        document_id, n_tokens=n, input_ids=[int(x) for x in rng.integers(1, 99, n)], context_start=header,
        context_stop=header + context, response_start=start, response_stop=n - 1, responses=[{"start": start, "stop": n}],
    )  # fmt: skip


def add_scores(rng: np.random.Generator, rows: Rows, document_id: str, reason: str | None) -> None:
    hmg_reason = reason or (None if rng.random() < 0.9 else "budget")
    cam_reason = hmg_reason or (None if rng.random() < 0.9 else "one_segment")
    short, long, alone = (round(float(x), 1) for x in rng.uniform(0, 3, 3))
    rows["SCORES_HMG"][-1].append(
        scored_row(
            "SCORES_HMG", document_id, hmg_reason, nll_gain=short - long, nll_long=long, nll_short=short,
            nll_no_context=short, nll_alone=alone, ifd=float(np.exp(long - alone)), context_tokens=4.0, response_tokens=3.0,
            is_cut=False,
        )
    )  # fmt: skip
    rows["SCORES_CAM"][-1].append(
        scored_row(
            "SCORES_CAM", document_id, cam_reason, alignment=round(float(rng.uniform(-1, 1)), 1), n_segments=2.0,
            segment_nll=[1.0, 2.0], attention=[[0.5, 0.5]], segment_tokens=[2, 2],
        )
    )  # fmt: skip


def written(rows: Rows, store: Store) -> dict[str, list[Shard]]:
    return {
        name: [store.write(name, pa.Table.from_pylist(shard, schema=TABLES[name])) for shard in shards]
        for name, shards in rows.items()
    }


def joined(rows: Rows) -> list[dict[str, dict[str, Any]]]:
    """A dict for each sample: table -> its row."""
    shards = {name: [row for shard in table for row in shard] for name, table in rows.items()}
    return [dict(zip(shards, each, strict=True)) for each in zip(*shards.values(), strict=True)]
