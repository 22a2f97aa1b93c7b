"""Values that were measured, kept sample by sample: a hash of the sample's tokens leads to them.

    ROOT/measured/influence/a1b2.../3f/3f09....json     a1b2...: the scorer's fingerprint

A crash loses the sample that was being measured, and a refresh measures new samples alone. A torn file is measured again.
"""

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.store import Store, name_of
from pipelines.store.files import write_json
from scorers import cam, hmg
from scorers.influence import InfluenceParams, Pair, RawParts, fingerprint, load, raw_parts
from scorers.sample import Sample

VERSION = 1  # raise when the same tokens and model would give other values

Values = dict[str, dict[str, Any]]  # table -> its row without document_id


@dataclass(frozen=True)
class Kept:
    """The values under one fingerprint."""

    folder: Path

    @classmethod
    def of(cls, params: InfluenceParams, store: Store) -> "Kept":
        return cls(store.root / "measured" / "influence" / name_of(VERSION, fingerprint(params)))

    def path(self, sample: Sample) -> Path:
        digest = blake2b(sample.ids.astype("<i4").tobytes(), digest_size=16)
        digest.update(json.dumps([sample.context_start, sample.context_stop, sample.response_start]).encode())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.json"

    def read(self, sample: Sample) -> Values | None:
        """None where it was not measured, or its file is torn."""
        try:
            values = json.loads(self.path(sample).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        is_whole = isinstance(values, dict) and set(values) == {"SCORES_HMG", "SCORES_CAM"}
        return values if is_whole else None

    def values(self, sample: Sample, params: InfluenceParams, store: Store) -> tuple[Values, int]:
        """A sample's values, and the model tokens that were forwarded for them: 0 where they were kept."""
        values = self.read(sample)
        if values is not None:
            return values, 0
        pair: Pair = load(params)
        raw = raw_parts(pair, sample, params)
        values = values_of(raw)
        write_json(self.path(sample), values, store.parts())
        return values, raw.model_tokens


def values_of(raw: RawParts) -> Values:
    """The rows of SCORES_HMG and SCORES_CAM of a sample."""
    is_cut = raw.is_cut if raw.status == "scored" else None
    of_hmg = {"status": raw.status, "reason": raw.reason, **hmg.parts(raw), "is_cut": is_cut}
    of_cam: dict[str, Any] = {"status": raw.cam_status, "reason": raw.cam_reason}
    if raw.cam_status == "scored":
        nll = raw.segment_nll.mean(axis=1)
        of_cam |= cam.parts(nll, raw.attention, raw.segment_tokens)
        of_cam |= {
            "segment_nll": nll.tolist(),
            "attention": raw.attention.astype(np.float32).tolist(),
            "segment_tokens": raw.segment_tokens.tolist(),
        }
    return {"SCORES_HMG": of_hmg, "SCORES_CAM": of_cam}
