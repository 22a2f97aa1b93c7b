"""ROOT/ingested/MIX.json: the shards that the mix's last ingest made, so that they can be queried whatever becomes of a build."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pipelines.store import Shard, Store, files, shards_in
from schemas import records
from schemas.errors import RecipeError

INGESTED = "ingested"  # the folder, and a --version of `longmix query`


def remember(mix: str, shards: Sequence[Shard], store: Store) -> None:
    """List the shards of DOCUMENTS and REJECTED, where they are other ones than those listed."""
    try:
        if shards_in(path_of(store.root, mix).read_bytes()) == list(shards):
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    record = records.with_checksum({"stage": INGESTED, "shards": [asdict(shard) for shard in shards]})
    files.write_json(path_of(store.root, mix), record, store.parts())


def path_of(root: Path, mix: str) -> Path:
    return root / INGESTED / f"{mix}.json"


def mixes(root: Path) -> list[str]:
    """The mixes under a root whose last ingest is listed."""
    return [path.stem for path in sorted((root / INGESTED).glob("*.json"))]


def last_ingest(root: Path, mix: str | None) -> tuple[str, dict[str, list[Shard]]]:
    """The mix, and the tables that its last ingest made: of the only mix under the root, or of the one named.

    Raises:
        RecipeError: nothing was ingested there, or several mixes were; or the list is damaged.
    """
    names = mixes(root)
    if mix is None and len(names) != 1:
        finding = (
            f"ingested {', '.join(names)}; choose with --mix" if names else "nothing was ingested; build a mix first"
        )
        raise RecipeError(f"{root}: {finding}")
    path = path_of(root, mix or names[0])
    try:
        shards = shards_in(path.read_bytes())
    except FileNotFoundError:
        raise RecipeError(f"{root}: no ingest of {mix}; there are {', '.join(names) or 'none'}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: not a readable list of shards ({error}); build the mix again") from error
    tables: dict[str, list[Shard]] = {"DOCUMENTS": [], "REJECTED": []}
    for shard in shards:
        tables[shard.table].append(shard)
    return path.stem, tables
