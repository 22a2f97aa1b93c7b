"""Check that the tokens of segments are those of their documents, and that documents' tokens decode to their texts.

    python benchmarks/segments.py ROOT [--mix 128k] [--segments 1000]

Compares a seeded random sample of segments of the published Parquet, read by `datasets` and by DuckDB, with TOKENS and
DOCUMENTS.
"""

import argparse
import json
from pathlib import Path

import datasets
import duckdb
import numpy as np
from tokenizers import Tokenizer

from flows.opened import opened
from pipelines.versions import find_version

OF_DOCUMENT = """
SELECT t.input_ids, d.text FROM documents v
JOIN tables.tokens t ON t.shard = v.shard AND t.row = v.row
JOIN tables.documents d ON d.shard = v.shard AND d.row = v.row
WHERE v.document_id = ? AND v.verdict = 'kept'
"""


def check(root: Path, mix: str | None, n: int, tokenizer: Tokenizer) -> dict[str, int]:
    folder = find_version(root.absolute(), mix)
    files = sorted(str(path) for path in folder.glob("sequences-*.parquet"))
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(root / "hf-cache"))
    by_duckdb = duckdb.sql(f"SELECT count(*), sum(n_tokens)::BIGINT FROM read_parquet({files})").fetchall()[0]
    assert (len(rows), sum(rows["n_tokens"])) == by_duckdb
    places = [(i, j) for i, cuts in enumerate(rows["cu_seqlens"]) for j in range(len(cuts) - 1)]
    chosen = sorted(np.random.default_rng(0).choice(len(places), min(n, len(places)), replace=False).tolist())
    rows = rows.with_format("numpy")
    n_equal = n_decoded = n_complete = 0
    with opened(root, mix, "latest") as (con, _, _):
        for place in chosen:
            i, j = places[place]
            row, segment = rows[i], duckdb_segment(files, i, j)
            ids, text = con.execute(OF_DOCUMENT, [segment["document_id"]]).fetchall()[0]
            segment_ids = row["input_ids"][row["cu_seqlens"][j] : row["cu_seqlens"][j + 1] - segment["n_pad"]]
            n_equal += np.array_equal(segment_ids, ids[segment["document_start"] : segment["document_stop"]])
            n_decoded += tokenizer.decode(ids[:-1], skip_special_tokens=False) == text
            n_complete += segment["document_start"] == 0 and segment["document_stop"] == len(ids)
    return {
        "segments": len(chosen), "tokens equal": n_equal, "texts equal": n_decoded, "complete documents": n_complete,
    }  # fmt: skip


def duckdb_segment(files: list[str], sequence: int, place: int) -> dict:
    query = f"SELECT segments[{place + 1}] FROM read_parquet({files}) ORDER BY sequence_id LIMIT 1 OFFSET {sequence}"
    return duckdb.sql(query).fetchall()[0][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--mix")
    parser.add_argument("--segments", type=int, default=1000)
    parser.add_argument("--tokenizer", type=Path, default=Path("examples/tokenizer/tokenizer.json"))
    args = parser.parse_args()
    counts = check(args.root, args.mix, args.segments, Tokenizer.from_file(str(args.tokenizer)))
    print(json.dumps(counts))
    if not counts["segments"] == counts["tokens equal"] == counts["texts equal"]:
        raise SystemExit(f"{args.root}: some segments differ from their documents")


if __name__ == "__main__":
    main()
