"""Encoders: the beginning of a text -> a vector of length 1, so that the product of two vectors is their cosine.

A recipe names a folder or an id on the hub, and its config.json says which of two kinds it is:

    transformer     hidden states of a bidirectional model, their mean over the tokens
    static table    a row for each token, their weighted mean: see static_table.py

A vector depends on its own text alone, never on the texts beside it: on a CPU a transformer reads one window at a time,
without padding; on a GPU windows of one rounded length in blocks of one shape.
"""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt
from tokenizers import Tokenizer

from schemas.errors import RecipeError
from scorers import lm, static_table
from scorers.model_files import check_config, model_files, only, read_json
from scorers.static_table import CHARS_PER_TOKEN
from scorers.weights import NamedWeights

KEY = "order.encoder"  # of the recipe
GPU_BLOCK = 64  # windows at a time
ROUND_TOKENS = 32  # lengths are rounded up to a multiple of it, where windows are read in blocks


class EncoderParams(BaseModel):
    """Which encoder, and what it reads of a document: all of it part of a vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: NamedWeights
    text: Literal["head", "chunks"] = "head"  # the first window, or the mean of the first max_chunks windows
    window_tokens: PositiveInt = 256  # sentence encoders are trained on short texts
    max_chunks: PositiveInt = 8
    device: Literal["cpu", "cuda"] = "cpu"
    block: NonNegativeInt = 0  # windows at a time; 0: one on a CPU
    threads: PositiveInt = 1  # of a worker

    @property
    def folder(self) -> Path:
        return Path(self.weights.path)

    @property
    def n_windows(self) -> int:
        return self.max_chunks if self.text == "chunks" else 1

    @property
    def block_rows(self) -> int:
        return self.block or (1 if self.device == "cpu" else GPU_BLOCK)


class Encoder(Protocol):
    @property
    def dimensions(self) -> int: ...

    @property
    def n_chars(self) -> int: ...  # of a text, from its beginning; the rest is not read

    def vectors(self, texts: pa.Array) -> np.ndarray:
        """[n, dimensions] float32 of length 1; zeros where the tokenizer makes no token of a text."""
        ...


def is_static(params: EncoderParams) -> bool:
    """Whether the encoder is a static table.

    Raises:
        RecipeError: the folder holds no model, or one file that is no folder.
    """
    if params.folder.is_file():
        raise RecipeError(f"{KEY}: {params.folder}: a file; name the folder of an encoder with safetensors")
    model_files(params.folder)
    config = read_json(params.folder / "config.json")
    return isinstance(config, dict) and config.get("model_type") == static_table.MODEL_TYPE


def check_encoder(params: EncoderParams) -> None:
    """Load the encoder, before a corpus is read.

    Raises:
        RecipeError: it is missing, is not an encoder, or cannot read windows of this length; or torch is missing.
    """
    if is_static(params) and (params.text, params.device) != ("head", "cpu"):
        raise RecipeError(
            f'{KEY}: {params.folder}: a static table reads the head of a text on a CPU; remove text = "{params.text}" and '
            f'device = "{params.device}", and set window_tokens for a longer head'
        )
    load(params)


def load(params: EncoderParams) -> Encoder:
    """The encoder; loaded once in a process and shared by its threads.

    Raises:
        RecipeError: see check_encoder.
    """
    if is_static(params):
        return static_table.load(params.weights, params.window_tokens)
    lm.libraries(KEY)[0].set_num_threads(params.threads)  # a setting of each thread
    with lm.LOADING:
        return transformer(params)


def fingerprint(params: EncoderParams) -> tuple[str, ...]:
    """What else but the text a vector depends on. A static table gives equal vectors on every machine.

    Raises:
        RecipeError: torch, which a transformer needs, is missing.
    """
    if is_static(params):
        return params.weights.hash, "static", str(params.window_tokens)
    torch = lm.torch_on(params.device, KEY)
    on_cpu = params.device == "cpu"
    processor = torch.backends.cpu.get_cpu_capability() if on_cpu else torch.cuda.get_device_name()
    products = "packed" if lm.is_packed(params.device, "float32") else "plain"
    text = params.text, str(params.window_tokens), str(params.n_windows)
    passes = f"block {params.block_rows}", f"threads {params.threads}"
    return (
        params.weights.hash,
        *text,
        params.device,
        torch.__version__,
        platform.machine(),
        processor,
        *passes,
        products,
    )


# -- a transformer


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
            mask[len(rows) :, 0] = 1  # rows that fill the block up; attention to nothing would be NaN
            hidden = self.hidden(ids, mask)
            sums = np.einsum("btd,bt->bd", hidden, mask.astype(np.float64))
            pooled[rows] = (sums / mask.sum(axis=1, keepdims=True))[: len(rows)]
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
def transformer(params: EncoderParams) -> Transformer:
    """
    Raises:
        RecipeError: see check_encoder.
    """
    torch, transformers = lm.torch_on(params.device, KEY), lm.libraries(KEY)[1]
    folder, window = params.folder, params.window_tokens
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
        model = model.to(params.device).eval().requires_grad_(False)
        if lm.is_packed(params.device, "float32"):
            lm.pack(model)
    n_vocab = model.get_input_embeddings().num_embeddings
    tokenizer = tokenizer_of(folder, window, n_vocab)
    encoder = Transformer(
        model, tokenizer, model.config.hidden_size, window, params.n_windows, params.block_rows, params.device
    )
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
    tokenizer = static_table.own_tokenizer(folder, n_vocab, KEY)
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
