"""Encoding by fastokens, where it gives the ids that tokenizers gives: about 150 MB of text a CPU second.

fastokens refuses a tokenizer.json with parts that it does not know, and raises an error for a text with a byte that the
vocabulary lacks. A process uses it for a tokenizer only after both libraries gave equal ids for the texts of hostile.py;
the stage compares documents of each shard besides (sample.py).
"""

import os
from collections import defaultdict
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from pipelines.encode.attempt import attempted
from pipelines.encode.hostile import hostile
from pipelines.encode.ids import Ids
from pipelines.encode.tokenizer import load, specification
from pipelines.once import once
from pipelines.store.files import HashedFile

# Workers are parallel already: threads of its own cost a third more CPU seconds, and had a defect in one release.
os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")

try:
    import fastokens
except ImportError:  # no wheel for this machine
    fastokens = None

IDLE: defaultdict[HashedFile, SimpleQueue] = defaultdict(SimpleQueue)  # tokenizers that no worker uses


@once
def refusal(file: HashedFile) -> str:
    """Why fastokens does not read this file; empty where it does, and then the first worker has the tokenizer."""
    if fastokens is None:
        return "fastokens is not installed; it has no wheel for every system"
    if specification(file)["model"].get("dropout"):
        return "the tokenizer drops merges at random"
    try:
        IDLE[file].put(new(file))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 whatever it raises, a panic too, the reference encodes
        return " ".join(str(error).split())
    return ""


def new(file: HashedFile) -> Any:
    return fastokens.Tokenizer.from_file(file.path)


@once
def proven(file: HashedFile) -> bool:
    """Whether fastokens gives the reference's ids for every hostile text."""
    return not differences(file)


def differences(file: HashedFile) -> list[str]:
    """The hostile texts for which fastokens gives other ids than the reference, or the reference an error.

    An error of fastokens is no difference: the reference encodes such a text.
    """
    texts, tokenizer = hostile(load(file)), load(file)
    ids = encode(file, pa.array(texts, pa.large_string()))
    expected = attempted(lambda: tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    if expected is not None:
        return [text for i, text in enumerate(texts) if not ids.failed[i] and ids.row(i).tolist() != expected[i].ids]
    return [
        text for i, text in enumerate(texts) if not ids.failed[i] and ids.row(i).tolist() != spelled(tokenizer, text)
    ]


def spelled(tokenizer: Tokenizer, text: str) -> list[int] | None:
    encoding = attempted(lambda: tokenizer.encode(text, add_special_tokens=False))
    return None if encoding is None else encoding.ids


def encode(file: HashedFile, texts: pa.Array) -> Ids:
    """The ids of each text, by one call. A text that fastokens raises an error for fails alone."""
    tokenizer = idle(file)
    flat = attempted(lambda: tokenizer.encode_batch_flat(texts.to_pylist(), split_special_tokens=True))
    IDLE[file].put(tokenizer)
    if flat is not None:
        ids, offsets = flat
        return Ids(np.frombuffer(ids, np.int32), np.frombuffer(offsets, np.int64), np.zeros(len(texts), bool))
    if len(texts) == 1:
        return Ids.of([None])
    half = len(texts) // 2
    return Ids.joined([encode(file, texts[:half]), encode(file, texts[half:])])


def idle(file: HashedFile) -> Any:
    """A tokenizer that no other worker uses: none is shared, so calls have no state in common."""
    try:
        return IDLE[file].get_nowait()
    except Empty:
        return new(file)
