"""A bidirectional transformer as an encoder: windows of a text -> the mean of the last hidden states.

On a CPU a window is read alone and without padding, on a GPU in a block of one shape: its values never depend on others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from schemas.errors import RecipeError
from scorers import lm
from scorers.model_files import check_config, model_files, only, read_json
from scorers.static_table import CHARS_PER_TOKEN, KEY, own_tokenizer
from scorers.weights import Weights

ROUND_TOKENS = 32  # lengths are rounded up to a multiple of it, where windows are read in blocks


@dataclass(frozen=True, eq=False)
class Transformer:
    """A loaded bidirectional model with its tokenizer.

    Attributes:
        window_tokens: of a window, special tokens included.
        n_windows: of a text, at most.
        block: windows at a time; 1: each alone and without padding.
    """

    model: Any
    tokenizer: Tokenizer
    dimensions: int
    window_tokens: int
    n_windows: int
    block: int
    device: str

    @property
    def n_chars(self) -> int:
        return CHARS_PER_TOKEN * self.window_tokens * self.n_windows

    def vectors(self, texts: pa.Array) -> np.ndarray:
        """[n, dimensions] float32 of length 1; zeros where the tokenizer makes no token of a text."""
        windows = [self.windows(text[: self.n_chars]) for text in texts.to_pylist()]
        pooled = self.pooled([ids for each in windows for ids in each])
        vectors = np.zeros((len(windows), self.dimensions), np.float32)
        stop = 0
        for k, each in enumerate(windows):
            start, stop = stop, stop + len(each)
            if each:
                vectors[k] = unit(unit(pooled[start:stop]).mean(axis=0, keepdims=True))[0]
        return vectors

    def windows(self, text: str) -> list[list[int]]:
        """Token ids of the first windows of a text, special tokens included; none where it has no token."""
        encoding = self.tokenizer.encode(text)
        windows = [encoding, *encoding.overflowing][: self.n_windows]
        return [window.ids for window in windows if not all(window.special_tokens_mask)]

    def pooled(self, windows: Sequence[list[int]]) -> np.ndarray:
        """[n, dimensions] float64: the mean hidden state of each window."""
        pooled = np.zeros((len(windows), self.dimensions))
        for rows, n_tokens in blocks([len(ids) for ids in windows], self.block):
            ids = np.zeros((self.block, n_tokens), np.int64)
            mask = np.zeros((self.block, n_tokens), np.int64)
            for place, row in enumerate(rows):
                ids[place, : len(windows[row])] = windows[row]
                mask[place, : len(windows[row])] = 1
            hidden = self.hidden(ids, mask)[: len(rows)]  # the other rows fill the block up
            sums = np.einsum("btd,bt->bd", hidden, mask[: len(rows)].astype(np.float64))
            pooled[rows] = sums / mask[: len(rows)].sum(axis=1, keepdims=True)
        return pooled

    def hidden(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """[b, t, dimensions] float64 last hidden states. ids, mask: [b, t]; mask is 0 where a window is padded."""
        torch, _ = lm.libraries(KEY)
        with torch.inference_mode():
            tensors = {"input_ids": torch.as_tensor(ids, device=self.device)}
            if not mask.all():
                tensors["attention_mask"] = torch.as_tensor(mask, device=self.device)
            return self.model(**tensors).last_hidden_state.double().cpu().numpy()


def blocks(lengths: Sequence[int], block: int) -> Iterator[tuple[list[int], int]]:
    """Windows that are read together, and the length that each is padded to.

    A window's shape is the block's size and its own length, so that its values do not depend on the others.
    """
    if block == 1:
        yield from (([row], n_tokens) for row, n_tokens in enumerate(lengths))
        return
    rounded = [-(-n // ROUND_TOKENS) * ROUND_TOKENS for n in lengths]
    for n_tokens, group in groupby(sorted(range(len(lengths)), key=rounded.__getitem__), key=rounded.__getitem__):
        rows = list(group)
        yield from ((rows[k : k + block], n_tokens) for k in range(0, len(rows), block))


def unit(vectors: np.ndarray) -> np.ndarray:
    """[n, d] float64: the rows, of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@cache
def load(weights: Weights, window_tokens: int, n_windows: int, block: int, device: str) -> Transformer:
    """
    Raises:
        RecipeError: it can't be loaded, is not an encoder, or cannot read windows of this length.
    """
    torch, transformers = lm.torch_on(device, KEY), lm.libraries(KEY)[1]
    folder = Path(weights.path)
    check_kind(folder)
    files = model_files(folder)
    fault = f"{KEY}: {folder}: not an encoder that transformers can load"
    with only(files, fault, "name one that AutoModel loads", torch.OutOfMemoryError, RecipeError) as shown:
        model, report = transformers.AutoModel.from_pretrained(
            shown, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
        missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))  # not read
        if missing:
            raise RecipeError(f"{KEY}: {folder}: its weights lack {missing[0]}; fetch the model again")
        model = model.to(device).eval().requires_grad_(False)
        if lm.is_packed(device, "float32"):
            lm.pack(model)
    n_vocab = model.get_input_embeddings().num_embeddings
    tokenizer = tokenizer_of(folder, window_tokens, n_vocab)
    encoder = Transformer(model, tokenizer, model.config.hidden_size, window_tokens, n_windows, block, device)
    check_window(encoder, folder, n_vocab)
    return encoder


def check_kind(folder: Path) -> None:
    """
    Raises:
        RecipeError: config.json is that of a model that generates text, whose tokens see only those before them.
    """
    check_config(folder / "config.json")
    config = read_json(folder / "config.json")
    names = config.get("architectures") or [] if isinstance(config, dict) else []
    for name in names:
        if any(part in str(name) for part in ("CausalLM", "LMHead", "ConditionalGeneration", "Seq2Seq")):
            raise RecipeError(
                f"{KEY}: {folder}: {name} generates text and is not an encoder; name a sentence encoder such as "
                "all-MiniLM-L6-v2, which `longmix model --encoder` fetches"
            )


def tokenizer_of(folder: Path, window_tokens: int, n_vocab: int) -> Tokenizer:
    """The model's own tokenizer, which cuts a text into windows.

    Raises:
        RecipeError: it is missing, or belongs to another model.
    """
    tokenizer = own_tokenizer(folder, n_vocab)
    n_special = tokenizer.num_special_tokens_to_add(is_pair=False)
    if window_tokens <= n_special:
        raise RecipeError(
            f"{KEY}: window_tokens = {window_tokens} holds no token of a text beside {n_special}; raise it"
        )
    tokenizer.enable_truncation(window_tokens)
    return tokenizer


def check_window(encoder: Transformer, folder: Path, n_vocab: int) -> None:
    """Read one full window.

    Raises:
        RecipeError: the model cannot, or its first token does not see its last one.
    """
    n_tokens = encoder.window_tokens
    most = getattr(encoder.model.config, "max_position_embeddings", None)
    if most and n_tokens > most:
        raise RecipeError(f"{KEY}: window_tokens = {n_tokens:,}, but {folder} reads at most {most:,}; lower it")
    ids = np.arange(2 * n_tokens).reshape(1, -1) * 7919 % n_vocab
    one, other = ids[:, :n_tokens], np.append(ids[:, : n_tokens - 1], ids[:, n_tokens:][:, :1], axis=1)
    try:
        first = [encoder.hidden(each, np.ones_like(each))[0, 0] for each in (one, other)]
    except (RuntimeError, IndexError) as error:
        line = " ".join(str(error).split())
        raise RecipeError(f"{KEY}: {folder}: cannot read {n_tokens:,} tokens ({line}); lower window_tokens") from error
    if np.array_equal(*first):
        raise RecipeError(
            f"{KEY}: {folder}: its first token does not see the last: it generates text and is not an encoder; name a "
            "sentence encoder such as all-MiniLM-L6-v2, which `longmix model --encoder` fetches"
        )
