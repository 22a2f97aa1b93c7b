from importlib.metadata import version
from pathlib import Path

from pipelines.encode.params import EncodeParams, Encoding, version_of_fastokens
from pipelines.store.files import HashedFile
from tests.pipelines.encode.test_pieces import DEFAULT


def test_the_same_file_elsewhere_gives_the_same_action(tmp_path):
    copy = tmp_path / "other.json"
    copy.write_bytes(Path(DEFAULT.tokenizer.path).read_bytes())
    there = EncodeParams(tokenizer=HashedFile.of(copy), eos_token="<|endoftext|>")
    assert there.model_dump(mode="json") == DEFAULT.model_dump(mode="json")


def test_both_libraries_are_part_of_an_action(monkeypatch):
    encoding = Encoding.of(DEFAULT)
    assert encoding.model_dump(mode="json")["tokenizers"] == version("tokenizers")
    assert encoding.fastokens == version_of_fastokens()
    monkeypatch.setattr("pipelines.encode.params.version", lambda name: f"{name} 9")
    assert Encoding.of(DEFAULT).model_dump(mode="json") != encoding.model_dump(mode="json")
    assert Encoding.of(DEFAULT).fastokens == "fastokens 9"
