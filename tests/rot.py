"""Damage to files: single bits, as a failing disk or memory leaves them."""

from pathlib import Path


def flip(path: Path, at: float = 0.5) -> None:
    """Change one bit of a byte, in place: the length and the inode stay. at: where in the file, as a part of its length."""
    with open(path, "r+b") as stream:
        stream.seek(int(path.stat().st_size * at))
        byte = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte[0] ^ 1]))
