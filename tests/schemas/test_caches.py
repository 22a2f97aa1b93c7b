"""schemas/caches.py: nothing is written beside the sources, and a process without a home folder still compiles."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import caches


def environment(**changes):
    kept = {
        name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    }
    return kept | changes


def cache_of(package, **changes):
    """Where a process that imported a package keeps its kernels, and whether the folder is there after its end."""
    program = f"import os, {package}, numba; print(numba.config.CACHE_DIR, os.path.isdir(numba.config.CACHE_DIR))"
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment(**changes), capture_output=True, text=True, check=True
    )
    folder, is_there = result.stdout.split()
    assert is_there == "True"
    return Path(folder)


@pytest.mark.parametrize("package", ["pipelines", "scorers"])
def test_the_user_chooses_the_folder(tmp_path, package):
    own = tmp_path / "own"
    own.mkdir()
    assert cache_of(package, NUMBA_CACHE_DIR=str(own), HOME=str(tmp_path)) == own
    assert cache_of(package, XDG_CACHE_HOME=str(tmp_path / "x"), HOME=str(tmp_path)) == tmp_path / "x/longmix/numba"
    assert cache_of(package, HOME=str(tmp_path)) == tmp_path / ".cache/longmix/numba"


def test_without_a_usable_home_the_folder_is_temporary_and_private(tmp_path):
    (tmp_path / "file").write_text("")
    folder = cache_of("pipelines", HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path))
    assert folder.parent == tmp_path
    assert not folder.exists(), "removed when the process ended"


def test_a_relative_cache_folder_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert caches.user_folder() is None
    assert not list(tmp_path.iterdir())


def test_the_temporary_folder_is_the_users_alone():
    assert caches.temporary_folder().stat().st_mode & 0o777 == 0o700
