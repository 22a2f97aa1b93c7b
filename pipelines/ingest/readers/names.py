"""Names of files as the files of a dataset give them: state.json, dataset_dict.json, the log of a Delta table."""


def is_inside(name: str) -> bool:
    """Whether a file name, as a file of a dataset gives it, leads to a place inside the folder that it is relative to.

    Links are followed later, and checked there.
    """
    parts = name.split("/")
    is_writable = "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)
    return is_writable and not any(part in ("", ".", "..") for part in parts)
