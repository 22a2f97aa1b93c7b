"""A tokenizer.json as the reference library reads it: its ids for EOS and BOS, and which bytes it cannot spell."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipelines.encode.attempt import attempted
from pipelines.encode.params import EncodeParams
from pipelines.once import once
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError

MOST_ID = 2**31  # input_ids are int32
MOST_TOKENS = 200  # of a character: NFKC makes 18 characters of one, of 3 bytes each
PROBES = (
    "The whale, 1851.\n",
    "a",
    "\u65e5\u672c\u8a9e",
    "\u041f\u0440\u0438\u0432\u0435\u0442",
    "\u0645\u0631\u062d\u0628\u0627",
)
NEVER_IN_UTF8 = {0xC0, 0xC1, *range(0xF5, 0x100)}


@once
def load(file: HashedFile) -> Tokenizer:
    """The tokenizer of a tokenizer.json, with text that looks like a special token taken as text.

    Raises:
        RecipeError: the file is not a tokenizer, or one that encodes no text.
    """
    try:
        tokenizer = Tokenizer.from_file(file.path)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        finding = " ".join(str(error).split())
        raise RecipeError(
            f"{file.path}: not a tokenizer.json ({finding}); name one that tokenizers can load"
        ) from error
    tokenizer = for_documents(tokenizer)
    check(file, tokenizer)
    return tokenizer


def check(file: HashedFile, tokenizer: Tokenizer) -> None:
    """
    Raises:
        RecipeError: the tokenizer has ids beyond 32 bits, or makes no token of any of PROBES.
    """
    most = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if most >= MOST_ID:
        raise RecipeError(f"{file.path}: has the id {most:,}, and ids have 31 bits here; name another tokenizer")
    encodings = [attempted(lambda: tokenizer.encode(text, add_special_tokens=False)) for text in PROBES]  # noqa: B023
    if not any(encoding and encoding.ids for encoding in encodings):
        raise RecipeError(
            f"{file.path}: makes no token of any text: its vocabulary is empty, or its normalizer or pre_tokenizer leaves "
            "nothing or fails; name another tokenizer"
        )
    longest = max(len(encoding.ids) / len(text) for text, encoding in zip(PROBES, encodings, strict=True) if encoding)
    if longest > MOST_TOKENS:
        raise RecipeError(f"{file.path}: makes {longest:,.0f} tokens of a character; name another tokenizer")


def for_documents(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer: complete documents, special tokens taken as text, the same ids each time."""
    tokenizer.encode_special_tokens = True  # "</s>" in a document is text
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if getattr(tokenizer.model, "dropout", None):
        tokenizer.model.dropout = None  # random merges, meant for training
    return tokenizer


def specification(file: HashedFile) -> dict[str, Any]:
    """The content of a tokenizer.json. It is not cached: as Python objects it takes 100 bytes a merge."""
    return json.loads(Path(file.path).read_bytes())


def eos_id(params: EncodeParams) -> int:
    """The id of the recipe's EOS.

    Raises:
        RecipeError: the tokenizer has no such token.
    """
    return id_of(params, "encode.eos_token", params.eos_token)


def bos_id(params: EncodeParams) -> int | None:
    """The id of the recipe's BOS; None where it has none.

    Raises:
        RecipeError: the tokenizer has no such token.
    """
    if params.bos_token is None:
        return None
    return id_of(params, "encode.bos_token", params.bos_token)


def id_of(params: EncodeParams, key: str, token: str) -> int:
    """The id of a token that the recipe's key names.

    Raises:
        RecipeError: the tokenizer has no such token.
    """
    token_id = load(params.tokenizer).token_to_id(token)
    if token_id is None:
        added = load(params.tokenizer).get_added_tokens_decoder().values()
        special = ", ".join([str(each.content) for each in added if each.special][:10]) or "none"
        raise RecipeError(
            f"{params.tokenizer.path}: {key} {shown(token)} is not in its vocabulary; name one of its tokens; special: {special}"
        )
    return token_id


def shown(token: str) -> str:
    text = repr(token)
    return text if len(text) <= 60 else text[:57] + "..."


def lost_bytes(file: HashedFile) -> list[int]:
    """The bytes that a byte-level BPE leaves out without a trace, ascending; none for other tokenizers.

    It has no token for them, no token for unknown text, and no fall-back to tokens of bytes.
    """
    spec = specification(file)
    model = spec["model"]
    spells_the_rest = model.get("unk_token") is not None or model.get("byte_fallback")
    if model.get("type", "BPE") != "BPE" or spells_the_rest or not is_byte_level(spec.get("pre_tokenizer")):
        return []
    return [byte for byte, character in enumerate(byte_characters()) if character not in model["vocab"]]


def is_byte_level(pre_tokenizer: dict[str, Any] | None) -> bool:
    parts = [pre_tokenizer, *(pre_tokenizer or {}).get("pretokenizers", [])]
    return any(part and part["type"] == "ByteLevel" for part in parts)


def byte_characters() -> list[str]:
    """[256] the character by which a byte-level BPE writes each byte: its own where it is printable in Latin-1.

    Source: bytes_to_unicode of openai/gpt-2, encoder.py.
    """
    own = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in own else next(others)) for byte in range(256)]
