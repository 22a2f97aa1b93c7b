"""Rows of TOKENS for tests."""

from typing import Any


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
