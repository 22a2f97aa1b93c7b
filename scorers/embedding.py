"""Encoders: the beginning of a text -> a vector of length 1, so that the product of two vectors is their cosine.

A recipe names a folder or an id on the hub, and its config.json says which of two kinds it is:

    transformer     hidden states of a bidirectional model, their mean over the tokens: see transformer.py
    static table    a row for each token, their weighted mean: see static_table.py

A vector depends on its own text alone, never on the texts beside it: on a CPU a transformer reads one window at a time,
without padding; on a GPU windows of one rounded length in blocks of one shape.
"""

import platform
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from schemas.errors import RecipeError
from scorers import lm, static_table, transformer
from scorers.model_files import model_files, read_json
from scorers.static_table import KEY
from scorers.weights import NamedWeights

GPU_BLOCK = 64  # windows at a time


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
        RecipeError: the folder holds no model, or is a file; or a static table is asked for what it cannot do.
    """
    if params.folder.is_file():
        raise RecipeError(f"{KEY}: {params.folder}: a file; name the folder of an encoder with safetensors")
    model_files(params.folder)
    config = read_json(params.folder / "config.json")
    if not isinstance(config, dict) or config.get("model_type") != static_table.MODEL_TYPE:
        return False
    for key, able in (("text", "head"), ("device", "cpu")):
        if (value := getattr(params, key)) != able:
            raise RecipeError(
                f'{KEY}: {key} = "{value}", but {params.folder} is a static table, which reads the head of a text on a CPU; '
                f"remove {key}, and set window_tokens for a longer head"
            )
    return True


def check_encoder(params: EncoderParams) -> None:
    """Load the encoder, before a corpus is read.

    Raises:
        RecipeError: it is missing, is not an encoder, or cannot read windows of this length; or torch is missing.
    """
    load(params)


def load(params: EncoderParams) -> Encoder:
    """The encoder; loaded once in a process and shared by its threads.

    Raises:
        RecipeError: see check_encoder.
    """
    if is_static(params):
        with lm.LOADING:
            return static_table.load(params.weights, params.window_tokens)
    lm.libraries(KEY)[0].set_num_threads(params.threads)  # a setting of each thread
    with lm.LOADING:
        return transformer.load(
            params.weights, params.window_tokens, params.n_windows, params.block_rows, params.device
        )


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
