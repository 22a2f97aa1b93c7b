"""schemas/records.py: a record whose bytes changed is refused."""

import json

import pytest

from schemas.records import checked, with_checksum

RECORD = {"stage": "encode", "shards": [{"n_rows": 3, "name": "ü"}], "empty": None}


def test_a_record_is_read_back_without_its_checksum():
    assert checked(json.dumps(with_checksum(RECORD)).encode()) == RECORD


def test_layout_and_order_of_keys_do_not_count():
    sealed = with_checksum(RECORD)
    turned = dict(reversed(sealed.items()))
    assert checked(json.dumps(turned, indent=3, ensure_ascii=False).encode()) == RECORD


def test_every_changed_byte_of_a_value_is_seen():
    data = json.dumps(with_checksum(RECORD)).encode()
    for i in range(len(data)):
        changed = data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]
        try:
            record = checked(changed)
        except ValueError:
            continue
        assert record == RECORD, changed  # a space that became another white space changes nothing


@pytest.mark.parametrize(
    ("data", "finding"),
    [(b"", "Expecting value"), (b"[]", "not an object"), (b"{}", "has no checksum"), (b'{"checksum": "0"}', "differs")],
)
def test_what_is_no_record_is_refused(data, finding):
    with pytest.raises(ValueError, match=finding):
        checked(data)
