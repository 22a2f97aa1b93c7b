"""Where compiled kernels are kept: numba's cache, which would otherwise lie beside the source files.

    $NUMBA_CACHE_DIR, if set; else $XDG_CACHE_HOME/longmix/numba or ~/.cache/longmix/numba; where that cannot be written,
    a temporary folder of this process, so that every command compiles anew (about a minute for a build)

The cache has pickled code, so it is never in a folder that another user could write.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def choose() -> None:
    """Set the environment of this process and of its workers. numba reads it once, at import."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = str(user_folder() or temporary_folder())


def user_folder() -> Path | None:
    """The user's folder for these files, made where it is missing; None where there is none that can be written."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        if not caches.is_absolute():  # the XDG specification: such a value is ignored
            return None
        folder = caches / "longmix" / "numba"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home folder, a file in its place, a read-only file system
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="longmix-numba-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
