"""A causal language model, run once and reduced many ways: nll of chunks alone and after another, nll of tokens.

Full logits never exist: the model's body gives hidden states, and the head is applied to the scored positions of a
few tokens at a time. Compute is float32 or bfloat16, what is summed is float64. Only this file and embedding.py import
torch, inside their functions: a build that scores nothing doesn't need it.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import rmtree
from threading import Lock
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from schemas.errors import RecipeError
from scorers.model_files import model_files, only
from scorers.weights import NamedWeights, Weights, anchor_of, converted_folder, window_of

LOADING = Lock()
HEAD_TOKENS = 128  # the head sees so many positions at a time: 25 MB of logits for a vocabulary of 49,152


class ModelParams(BaseModel):
    """Which model, and how it is run: all of it part of what it measures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: NamedWeights
    window_tokens: PositiveInt | None = None  # the longest pass; None: all that the model was made for
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    block: NonNegativeInt = 0  # passes at a time; 0: one on a CPU, where a value then depends on its own text alone
    threads: PositiveInt = 1  # of a worker: two workers of one thread are faster than one of two

    @property
    def n_passes(self) -> int:
        return self.block or (1 if self.device == "cpu" else 64)


@dataclass(frozen=True, eq=False)
class LM:
    """A loaded model.

    Attributes:
        fingerprint: what else but the text a measured value depends on.
        window_tokens: the longest pass.
        sliding_tokens: how far back a layer sees that doesn't see all, None where every layer does.
        anchor: the token that the model was trained to see before a text, None where it has none.
    """

    model: Any
    head: Any  # from [..., d] to [..., n_vocab]
    fingerprint: tuple[str, ...]
    window_tokens: int
    n_vocab: int
    device: str
    block: int
    anchor: int | None
    sliding_tokens: int | None


def load(params: ModelParams) -> LM:
    """Load a model and make sure that this file's short cuts give what its own forward gives.

    A process loads it once and its threads share it; how many threads torch may use is a setting of each of them.

    Raises:
        RecipeError: it can't be loaded, doesn't fit the machine, or is of a kind that can't be scored with.
    """
    libraries()[0].set_num_threads(params.threads)
    with LOADING:
        return loaded(params)


@cache
def loaded(params: ModelParams) -> LM:
    torch, transformers = torch_on(params.device), libraries()[1]
    path, files = params.weights.path, model_files(Path(converted(params.weights)))
    fault = f"{path}: not a causal LM that transformers can load"
    try:
        with only(files, fault, "name one that AutoModelForCausalLM loads", torch.OutOfMemoryError) as folder:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, params.dtype), use_safetensors=True, local_files_only=True,
                trust_remote_code=False,
            )  # fmt: skip
            model = model.to(params.device).eval().requires_grad_(False)
            n_vocab = len(model.get_output_embeddings().weight)
            wanted = own_nll(model, n_vocab, params.device)
            if is_packed(params.device, params.dtype):
                pack(model)
    except torch.OutOfMemoryError as error:
        raise RecipeError(f"{path}: does not fit on {params.device}; name a smaller model") from error
    config = model.config.get_text_config()
    window = window_of(params.weights, params.window_tokens, config)
    lm = LM(
        model, model.get_output_embeddings(), fingerprint(params), window, n_vocab, params.device, params.n_passes,
        anchor_of(config), getattr(config, "sliding_window", None),
    )  # fmt: skip
    check(lm, params, wanted)
    return lm


def libraries(key: str = "score.model") -> tuple[Any, Any]:
    """torch and transformers, silent and without a network of their own. key: of the recipe, for errors.

    Raises:
        RecipeError: they are not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise RecipeError(f'{key}: {error.name} is not installed; pip install "longmix[model]"') from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers


def torch_on(device: str, key: str = "score.model") -> Any:
    """torch, where it finds the device.

    Raises:
        RecipeError: it doesn't, or is not installed.
    """
    torch, _ = libraries(key)
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f'{key}: device = "cuda", but torch finds no GPU here; set device = "cpu"')
    return torch


def fingerprint(params: ModelParams) -> tuple[str, ...]:
    """What else but the text a measured value depends on."""
    torch = torch_on(params.device)
    on_cpu = params.device == "cpu"
    processor = torch.backends.cpu.get_cpu_capability() if on_cpu else torch.cuda.get_device_name()
    passes = f"block {params.n_passes}", f"threads {params.threads}"  # both change the order of a product's sums
    products = "packed" if is_packed(params.device, params.dtype) else "plain"
    return params.weights.hash, params.dtype, params.device, torch.__version__, processor, *passes, products


def converted(weights: Weights) -> str:
    """The folder of a model that loads fast: a GGUF file is converted once, and kept beside it under its hash."""
    if not weights.path.endswith(".gguf"):
        return weights.path
    folder = converted_folder(weights)
    if (folder / "config.json").is_file():
        return str(folder)
    torch, transformers = libraries()
    file, fault = Path(weights.path), f"{weights.path}: not a GGUF file that transformers can convert"
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        with only([file], fault, "name another file or a folder", ImportError) as shown:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                shown, gguf_file=file.name, dtype=torch.float32, trust_remote_code=False
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(shown, gguf_file=file.name, trust_remote_code=False)
    except ImportError as error:
        raise RecipeError(f'{file}: {error}; pip install "longmix[model]" converts GGUF files') from error
    del model.config.quantization_config  # the weights are plain numbers now
    model.hf_quantizer, model.is_quantized = None, False
    try:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        os.replace(part, folder)
    except Exception as error:
        if not (folder / "config.json").is_file():  # another process may have been first
            raise RecipeError(
                f"{folder.parent}: the converted form of {file.name} can't be written there ({error}); copy the file to a "
                "folder that can be written and has room for four bytes a weight, and name it there"
            ) from error
    finally:
        rmtree(part, ignore_errors=True)
    return str(folder)


# -- matrix products on a CPU


def is_packed(device: str, dtype: str) -> bool:
    """Whether products go through oneDNN with weights laid out for it: float32 on an x86-64 CPU whose torch has it."""
    torch, _ = libraries()
    has_it = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")  # tried on no other
    return device == "cpu" and dtype == "float32" and is_x86 and has_it


def pack(model: Any) -> None:
    """Lay the weights of every linear layer out for oneDNN, in place of the plain ones.

    torch's own float32 product goes to MKL, which does half of what an AMD core can: 105 of 250 GFLOP/s. The ops are
    those of torch's compiler, which asks for the same layout. A head that is tied to the embedding is laid out beside it.
    """
    torch, _ = libraries()
    module: Any = torch.nn.Module

    class Packed(module):
        def __init__(self, linear: Any):
            super().__init__()
            self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
            weight = linear.weight.detach()
            laid_out = torch.ops.mkldnn._reorder_linear_weight(weight, HEAD_TOKENS)  # noqa: SLF001 no public name
            self.register_buffer("laid_out", laid_out, persistent=False)

        def forward(self, x: Any) -> Any:
            return torch.ops.mkldnn._linear_pointwise(x, self.laid_out, self.bias, "none", [], "")  # noqa: SLF001

    with torch.inference_mode():
        for inner in list(model.modules()):
            for name, child in list(inner.named_children()):
                if type(child) is torch.nn.Linear:
                    setattr(inner, name, Packed(child))


# -- one pass


def body(lm: LM, ids: np.ndarray, past: Any = None) -> Any:
    """[b, t, d] hidden states before the head. ids: [b, t]; past: the cache of what stands before, which grows by t."""
    torch, _ = libraries()
    with torch.inference_mode():
        batch = torch.as_tensor(np.ascontiguousarray(ids, dtype=np.int64), device=lm.device)
        return lm.model.base_model(batch, cache=past, use_cache=past is not None).last_hidden_state


def nll(lm: LM, hidden: Any, targets: np.ndarray, n_vocab: int | None = None) -> np.ndarray:
    """[b, t] float64 nats: -ln p(target) at each position, by log-sum-exp over a few positions at a time.

    hidden: [b, t, d]; targets: [b, t], the token that follows each position. n_vocab: only tokens below it can follow.
    """
    torch, _ = libraries()
    flat = hidden.reshape(-1, hidden.shape[-1])
    wanted = torch.as_tensor(np.ascontiguousarray(targets, dtype=np.int64).reshape(-1), device=lm.device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(flat), HEAD_TOKENS):
            here = slice(start, start + HEAD_TOKENS)
            logits = lm.head(flat[here])[:, :n_vocab].float()
            chosen = logits.gather(1, wanted[here, None])[:, 0]
            most = logits.amax(-1)
            total = logits.sub_(most[:, None]).exp_().sum(-1)  # in place: a second 25 MB cost as much as all exp()
            parts.append((total.log() + most - chosen).double())
        return torch.cat(parts).reshape(targets.shape).cpu().numpy()


def own_nll(model: Any, n_vocab: int, device: str) -> np.ndarray:
    """[23] float64 nats: nll of tokens 2.. of probe() by the model's own logits."""
    torch, _ = libraries()
    ids = probe(n_vocab)
    with torch.inference_mode():
        full = model(torch.as_tensor(ids, device=device)).logits.double().log_softmax(-1).cpu().numpy()
    return -full[0, np.arange(23), ids[0, 1:]]


def probe(n_vocab: int) -> np.ndarray:
    """[1, 24] token ids, spread over the vocabulary."""
    return np.arange(24)[None] * 7919 % n_vocab


def check(lm: LM, params: ModelParams, wanted: np.ndarray) -> None:
    """Hold this file's nll, alone and after a cached prefix, against own_nll(), which knows no short cut.

    Raises:
        RecipeError: they differ: the model's head is more than a matrix, or its cache is of another kind.
    """
    ids, past = probe(lm.n_vocab), empty_cache(lm)
    body(lm, ids[:, :12], past)
    after = nll(lm, body(lm, ids[:, 12:], past)[:, :-1], ids[:, 13:])[0]
    alone = nll(lm, body(lm, ids)[:, :-1], ids[:, 1:])[0]
    off = max(np.abs(alone - wanted).max(), np.abs(after - wanted[12:]).max())
    if not off < (1e-3 if params.dtype == "float32" else 0.3):
        raise RecipeError(f"{params.weights.path}: this kind of model can't be scored with: nll is off by {off:g} nats")


def empty_cache(lm: LM) -> Any:
    from transformers import DynamicCache

    return DynamicCache(config=lm.model.config)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Tell a lack of memory, which a CPU reports in its own way, from all else."""
    torch, _ = libraries()
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error
