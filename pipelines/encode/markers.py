"""The template's text as tokens, where its special tokens are special; and what a text may contain that looks like them."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from pipelines.encode.marks import Mark, marks_of
from pipelines.encode.params import EncodeParams
from pipelines.encode.tokenizer import for_documents, specification

MIN_CHARS = 4  # of a template's plain text that counts as a marker, such as [INST]; "user" and ":" occur in any text


class Markers(NamedTuple):
    """The tokens of a tokenizer that a template may write.

    Attributes:
        tokenizer: takes special tokens in a text as special; for the template's own text alone.
        special: ids of special tokens, EOS and BOS.
        added: id -> token of all added tokens but white space and the one for unknown text.
        pattern: finds a special token in a text.
    """

    tokenizer: Tokenizer
    special: frozenset[int]
    added: dict[int, str]
    pattern: re.Pattern[str]


@cache  # once a process
def markers(params: EncodeParams) -> Markers:
    tokenizer = for_documents(Tokenizer.from_file(params.tokenizer.path))
    tokenizer.encode_special_tokens = False
    marks = marks_of(params)
    tokenizer.add_special_tokens([mark.token for mark in marks])  # where they are pieces of the vocabulary: same ids
    decoder, unknown = tokenizer.get_added_tokens_decoder(), unknown_token(params)
    added = {
        token_id: token.content
        for token_id, token in decoder.items()
        if token.content.strip() and token.content != unknown
    }
    special = {token_id for token_id in added if decoder[token_id].special} | {mark.token_id for mark in marks}
    names = sorted({added[token_id] for token_id in special if token_id in added} | {mark.token for mark in marks})
    pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    return Markers(tokenizer, frozenset(special), added, pattern)


def unknown_token(params: EncodeParams) -> str | None:
    """The token of text that the vocabulary lacks."""
    model = specification(params.tokenizer)["model"]
    if isinstance(model["vocab"], list):  # Unigram: [piece, score] by id
        return None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
    return model.get("unk_token")


class Literal(NamedTuple):
    """A piece of a template's text.

    Attributes:
        ids: [n] int32.
        n_end: tokens up to its first special token, which is included; 0 without one.
        marks: its added tokens, which no text of the sample may contain.
        plain: parts between special tokens that look like markers, such as [INST].
    """

    ids: np.ndarray
    n_end: int
    marks: frozenset[Mark]
    plain: tuple[str, ...]


@lru_cache(maxsize=1024)
def literal(text: str, params: EncodeParams) -> Literal:
    known = markers(params)
    ids = np.array(known.tokenizer.encode(text, add_special_tokens=False).ids, np.int32)
    ends = np.flatnonzero(np.isin(ids, [*known.special]))
    marks = frozenset(
        Mark(known.added[token_id], token_id, "marker_in_text")
        for token_id in np.unique(ids).tolist()
        if token_id in known.added
    )
    parts = (part.strip() for part in known.pattern.split(text))
    plain = tuple(part for part in parts if len(part) >= MIN_CHARS and not part.isalnum())
    return Literal(ids, int(ends[0]) + 1 if len(ends) else 0, marks, plain)


def call_end(text: str, params: EncodeParams) -> int:
    """Where what ends an assistant's turn begins: its last special token, or the white space after all of the text."""
    last = None
    for last in markers(params).pattern.finditer(text):  # noqa: B007 the last one
        pass
    if last and not text[last.end() :].strip():
        return last.start()
    return len(text.rstrip())
