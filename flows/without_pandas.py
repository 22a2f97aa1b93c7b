"""pyarrow without pandas, for commands that only look up.

Before its first array pyarrow imports pandas, to recognise its objects, of which longmix has none: a quarter of a CPU second.
"""

import sys


class NoPandas:
    """A finder of modules for `sys.meta_path`. It refuses pandas and leaves the rest to the others."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def leave_out_pandas() -> None:
    """Let pyarrow find that pandas is missing. It asks once; a later import of pandas, and `to_pandas`, still work."""
    import pyarrow as pa  # slow to import, and commands such as --help need none

    finder = NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(finder)
