"""Which files of a model's folder are loaded: JSON and safetensors, which hold no code. transformers sees no other.

A model that needs code from its folder or from the hub is refused, and so are weights in any other format: a pickle runs
what its author put in it.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.errors import RecipeError, StageError

PATTERNS = ("*.safetensors", "config.json", "tokenizer.json", "*.safetensors.index.json")  # all that is ever read
MOST_HEADER_BYTES = 100 << 20  # as in the library
LARGEST = {  # key of a config.json -> far more than any model has; transformers allocates what it reads
    "num_hidden_layers": 10_000, "hidden_size": 1_000_000, "intermediate_size": 10_000_000, "num_attention_heads": 100_000,
    "vocab_size": 100_000_000, "max_position_embeddings": 10**10,
}  # fmt: skip
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"  # what transformers looks for, in this order


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that are counted and loaded, by path.

    A safetensors file that no index names is one of them: some of transformers' classes read one by a name of their own.

    Raises:
        RecipeError: they are no model, it needs code of its own, or its weights are not all safetensors of this folder.
    """
    files = sorted({path for pattern in PATTERNS for path in folder.glob(pattern)})
    if not {".safetensors", "config.json"} <= {p.suffix for p in files} | {p.name for p in files}:
        raise RecipeError(f"{folder}: holds no model: config.json and *.safetensors are wanted (no pickled weights)")
    check_config(folder / "config.json")
    named = list(values_of(read_json(folder / "config.json"), "transformers_weights"))
    for name in named:
        check_weights(folder, name, "config.json: transformers_weights", (".safetensors", ".safetensors.index.json"))
    for name in sorted({INDEX, *(name for name in named if name.endswith(".index.json"))}):
        if (folder / name).exists():
            check_index(folder, name)
    if not named and not any((folder / name).exists() for name in (SINGLE, INDEX)):
        raise RecipeError(
            f"{folder}: its weights have names that transformers does not look for; rename the file to {SINGLE}, or "
            f"put the {INDEX} of the files beside them"
        )
    return files


def check_headers(folder: Path) -> None:
    """
    Raises:
        RecipeError: see check_header.
    """
    for path in sorted(folder.glob("*.safetensors")):
        check_header(path)


def check_header(path: Path) -> None:
    """
    Raises:
        RecipeError: the header of a safetensors file is broken, or does not describe the bytes that follow it.
    """
    try:
        with open(path, "rb") as stream:
            n_bytes = os.fstat(stream.fileno()).st_size
            n_header = int.from_bytes(stream.read(8), "little")
            if not 2 <= n_header <= min(MOST_HEADER_BYTES, n_bytes - 8):
                raise ValueError(f"its header has {n_header:,} bytes of {n_bytes:,}")  # noqa: TRY301
            header = json.loads(stream.read(n_header))
        tensors = {name: each for name, each in header.items() if name != "__metadata__"}
        ends = [end_of(name, each) for name, each in tensors.items()]
        if not ends or max(ends) != n_bytes - 8 - n_header:
            raise ValueError("its tensors have another number of bytes than the file")  # noqa: TRY301
    except OSError as error:
        raise RecipeError(f"{path}: can't be read ({error.strerror}); mend the path or its permissions") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        finding = " ".join(str(error).split()) or type(error).__name__
        raise RecipeError(f"{path}: not a whole safetensors file ({finding}); fetch the model again") from error


def end_of(name: str, tensor: Any) -> int:
    """The byte behind a tensor, counted from the end of the header.

    Raises:
        ValueError, KeyError, TypeError: its offsets are not those of its shape and type.
    """
    first, last = tensor["data_offsets"]
    bits = re.search(r"\d+", tensor["dtype"])
    n_bits = int(bits[0]) if bits else 8  # BOOL
    if min(0, first, *tensor["shape"]) < 0 or 8 * (last - first) != n_bits * math.prod(tensor["shape"]):
        raise ValueError(f"{name}: bytes {first:,} to {last:,} are not its {tensor['shape']} of {tensor['dtype']}")
    return last


def check_config(path: Path) -> None:
    """
    Raises:
        RecipeError: the model is defined by code outside transformers.
    """
    config = read_json(path)
    if not isinstance(config, dict):
        raise RecipeError(f"{path}: not a JSON object; fetch the model again")
    for key, most in LARGEST.items():
        for value in values_of(config, key):
            if value is not None and (not isinstance(value, int) or not 0 < value <= most):
                raise RecipeError(f"{path}: {key} must be a number up to {most:,}; fetch the model again")
    if any(True for _ in values_of(config, "auto_map")):
        raise RecipeError(
            f"{path.parent}: config.json has an auto_map: this model runs code from its own folder, which longmix never "
            "does; name a model that transformers itself implements (if it implements this one, copy the folder and "
            "delete the key auto_map)"
        )
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation"):
        for value in values_of(config, key):
            if "/" in json.dumps(value):
                raise RecipeError(
                    f"{path.parent}: config.json: {key} = {json.dumps(value)} is code on the hub, which longmix never "
                    "runs; copy the folder and delete the key"
                )


def check_index(folder: Path, name: str) -> None:
    """
    Raises:
        RecipeError: the index is broken, or names a file that is no safetensors file of its folder.
    """
    index = read_json(folder / name)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise RecipeError(f"{folder / name}: not an index: it has no weight_map; fetch it again")
    for file in weight_map.values():
        check_weights(folder, file, f"{name}: weight_map", (".safetensors",))


def check_weights(folder: Path, name: Any, where: str, suffixes: tuple[str, ...]) -> None:
    """
    Raises:
        RecipeError: `name` is no name of a file in the folder, or of one in another format.
    """
    if not isinstance(name, str) or not name.endswith(suffixes) or {"/", "\\", "\0"} & set(name):
        raise RecipeError(
            f"{folder}: {where} names {json.dumps(name)}; only *.safetensors in the folder itself are loaded (no pickled "
            "weights): convert the model with save_pretrained and name that folder"
        )
    if not (folder / name).is_file():  # a link into the hub's cache is one
        raise RecipeError(f"{folder}: {where} names {name}, which is missing; fetch the model again")


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where it is not JSON, which transformers reports itself.

    Raises:
        RecipeError: it can't be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: can't be read ({error.strerror}); mend the path or its permissions") from error
    except (ValueError, RecursionError):
        return None


def values_of(json_value: Any, key: str) -> Iterator[Any]:
    """The values of a key, in objects at any depth: the parts of a model have configurations of their own."""
    left = [json_value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if key in value:
                yield value[key]
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


@contextmanager
def only(files: Sequence[Path], fault: str, remedy: str, *passed: type[Exception]) -> Iterator[Path]:
    """A temporary folder of links to these files, all from one folder, for transformers to load.

    In the model's own folder transformers also reads what does not count in the model's hash, such as an adapter.

    Args:
        fault, remedy: what the message says before and after an error of transformers.
        passed: errors that the caller handles.

    Raises:
        RecipeError: transformers can't load them.
        StageError: the folder can't be made.
    """
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="longmix-model-")))
            for file in files:
                (folder / file.name).symlink_to(file.absolute())
        except OSError as error:
            raise StageError(f"no temporary folder can be made ({error}); set TMPDIR to one with free space") from error
        try:
            yield folder
        except passed:
            raise
        except Exception as error:
            line = " ".join(str(error).replace(str(folder), str(files[0].parent)).split())
            raise RecipeError(f"{fault} ({line}); {remedy}") from error
