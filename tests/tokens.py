"""Rows of TOKENS for tests."""

from typing import Any

import pyarrow as pa


def token_row(document_id: str, input_ids: list[int] | None, **values: Any) -> dict[str, Any]:
    """A row of an encoded document; of a dropped one where input_ids is None. values: other columns' own."""
    return {
        "document_id": document_id,
        "status": "dropped" if input_ids is None else "encoded",
        "reason": None,
        "fell_back": None,
        "decodes": None,
        "n_tokens": None if input_ids is None else len(input_ids),
        "input_ids": input_ids,
        **values,
    }


def refused_row(document_id: str, reason: str = "no_token") -> dict[str, Any]:
    return token_row(document_id, None, status="refused", reason=reason)


def with_bos(tokens: pa.Table, bos: int = 1) -> pa.Table:
    """The same rows of TOKENS, each with a BOS before its tokens."""
    rows = [
        row if row["input_ids"] is None else token_row(row["document_id"], [bos, *row["input_ids"]])
        for row in tokens.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=tokens.schema)
