"""The order in which files were synced and named, to test what a power failure at any moment would leave."""

import os
from pathlib import Path

import pytest


class Calls:
    """Records os.fsync and os.replace for all files under a folder.

    Files are known by their inodes, which stay when they get their names.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch):
        self.root = root
        self.calls: list[tuple[str, int, int | str]] = []  # what, inode, bytes synced or the name given
        fsync, replace = os.fsync, os.replace

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            stat = os.fstat(descriptor)
            self.calls.append(("sync", stat.st_ino, stat.st_size))

        def named(source: str | Path, target: str | Path) -> None:
            inode = os.lstat(source).st_ino
            replace(source, target)
            if Path(target).is_relative_to(root):
                self.calls.append(("name", inode, Path(target).relative_to(root).as_posix()))

        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "replace", named)

    def words(self) -> list[str]:
        """`sync PATH` and `name PATH`, in order, with the paths that files have now; a file without a name is left out."""
        paths = {
            path.lstat().st_ino: path.relative_to(self.root).as_posix() for path in [self.root, *self.root.rglob("*")]
        }
        return [
            f"{what} {value if what == 'name' else paths[inode]}"
            for what, inode, value in self.calls
            if what == "name" or inode in paths
        ]

    def place_of(self, name: str) -> int:
        """The index in `calls` of the first rename to a name, a path below the root."""
        return next(k for k, (what, _, value) in enumerate(self.calls) if (what, value) == ("name", name))

    def n_bytes_synced(self, path: Path) -> int:
        """How long a file was when it was synced last; -1 where it never was."""
        inode = path.stat().st_ino
        return next((int(value) for what, i, value in reversed(self.calls) if (what, i) == ("sync", inode)), -1)
