"""Tiny packages, and stand-ins for apt-get, apt-cache, npm and pip that serve them from a folder."""

import gzip
import io
import lzma
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import zstandard

Files = dict[str, bytes]


def tar_of(files: Files, *others: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in others:
            tar.addfile(info)
    return out.getvalue()


COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


def deb_of(data: bytes, suffix: str = ".xz") -> bytes:
    """A Debian package around a data tarball."""
    out = b"!<arch>\n"
    parts = {"debian-binary": b"2.0\n", "control.tar.gz": b"odd", f"data.tar{suffix}": COMPRESS[suffix](data)}
    for name, content in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}".encode() + b"`\n" + content
        out += b"\n" * (len(content) % 2)
    return out


def wheel_of(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def package_of(file: str, files: Files) -> bytes:
    """A package file's bytes, by what its name ends in. No times in it: equal files, equal bytes."""
    if file.endswith(".whl"):
        return wheel_of(files)
    return deb_of(tar_of(files)) if file.endswith(".deb") else gzip.compress(tar_of(files), mtime=0)


CLIENT = """#!/bin/sh
''':'
exec "{python}" -SE "$0" "$@"  # by way of the shell: this Python's path may have a space in it
'''
# A stand-in for a client: serves POOL/<registry>, and notes each call in POOL/calls.
import os, re, signal, sys
from pathlib import Path

tool, pool = Path(sys.argv[0]).name, Path({pool!r})
registry = {{"apt-get": "deb", "apt-cache": "deb", "npm": "npm", "pip": "pypi"}}[tool]
words = [word for word in sys.argv[1:] if not word.startswith(("-", "/"))]
name, version = re.fullmatch("(@?[^@=]+)[@=]*(.*)", words[-1]).groups()


def note(line):
    with open(pool / "calls", "a") as calls:
        calls.write(line + "\\n")


def files(name):  # version -> file, newest first
    base = name.replace("-", "_") if registry == "pypi" else name.lstrip("@").replace("/", "-")
    start = base + ("_" if registry == "deb" else "-")
    found = sorted((path for path in (pool / registry).iterdir() if path.name.startswith(start)), reverse=True)
    ends = [re.sub("(_all.deb|-py3-none-any.whl|.tgz)$", "", path.name[len(start):]) for path in found]
    return {{end.replace("%3a", ":"): path for end, path in zip(ends, found)}}


def flag(kind):  # counts down a file that a test has put there
    path = pool / (kind + "-" + name.replace("/", "+"))
    left = int(path.read_text()) if path.exists() else 0
    path.write_text(str(max(left - 1, 0)))
    return left > 0


note(" ".join([tool, words[0], words[-1]]))
if tool == "apt-cache":
    for name in words[1:]:
        for version in list(files(name))[: 1 if "--no-all-versions" in sys.argv else None]:
            print("Package: " + name + "\\nVersion: " + version + "\\nDescription: some: thing\\n")
    sys.exit()
if flag("trouble"):
    sys.exit("E: Failed to fetch https://mirror.example.org/x (10.1.2.3 443) from mirror.example.org:80")
if words == ["update"]:
    sys.exit()
found = files(name)
if not found or (version and version not in found):
    sys.exit("npm error code ETARGET" if tool == "npm" else "ERROR: No matching distribution found (versions: 1.0)")
source = found[version or next(iter(found))]
target, content = Path(source.name), source.read_bytes()
if flag("half"):
    target.write_bytes(content[: len(content) // 2])
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
if target.exists():
    note("went on after " + str(target.stat().st_size) + " bytes")
target.write_bytes(content)
"""


class Registries:
    """A folder of package files that the stand-ins serve, and a folder of stand-ins for PATH."""

    def __init__(self, folder: Path):
        self.pool = folder / "pool"
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for registry in ("deb", "npm", "pypi"):
            (self.pool / registry).mkdir(parents=True)
        for tool in ("apt-get", "apt-cache", "npm", "pip"):
            path = self.bin / tool
            path.write_text(CLIENT.format(python=sys.executable, pool=str(self.pool)))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def put(self, registry: str, file: str, files: Files) -> Path:
        path = self.pool / registry / file
        path.write_bytes(package_of(file, files))
        return path

    def calls(self) -> list[str]:
        """What was asked of the stand-ins since the last time."""
        path = self.pool / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    def without(self, *tools: str) -> None:
        for tool in tools:
            (self.bin / tool).unlink()
