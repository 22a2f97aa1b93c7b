import numpy as np
import pyarrow as pa

from pipelines.encode.ids import Ids
from pipelines.encode.library import by_reference, either, spelled
from tests.pipelines.encode.families import params_of, saved, trained


def test_texts_without_marks(tmp_path):
    params = params_of(saved(tmp_path, trained("gpt2")))
    texts = pa.array(["The sea.", "", "a</s>b"], pa.large_string())
    ids, reasons = spelled(texts, params, either)
    assert [ids.row(i).tolist() for i in range(3)] == [by_reference(texts, params).row(i).tolist() for i in range(3)]
    assert reasons.tolist() == ["", "", ""]


def test_why_a_text_has_no_ids(tmp_path):
    params = params_of(saved(tmp_path, trained("gpt2")))
    made = Ids(np.array([5], np.int32), np.array([0, 1, 1, 1]), np.array([False, False, True]))
    _, reasons = spelled(pa.array(["a", "b", "c"], pa.large_string()), params, lambda *_: made)
    assert reasons.tolist() == ["", "no_token", "tokenizer_error"]
