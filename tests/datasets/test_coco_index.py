"""COCO files read record by record: the same content as by a plain JSON parser."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.coco_index import index_coco
from datasets.json_cursor import JsonCursor
from datasets.sample import DatasetError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def record(**required):
    """A JSON object with the given fields among others."""
    return st.dictionaries(st.text(max_size=5), VALUES, max_size=3).flatmap(
        lambda extra: st.fixed_dictionaries(required).map(lambda fields: {**extra, **fields})
    )


@st.composite
def coco_files(draw):
    """A COCO file as text, with its content: any order, layout, further entries and characters."""
    ids = draw(st.lists(st.integers(-5, 10**12), unique=True, max_size=5))
    images = [draw(record(id=st.just(each), file_name=st.text(min_size=1))) for each in ids]
    owner = st.sampled_from(ids) if ids else st.nothing()
    annotations = draw(st.lists(record(image_id=owner), max_size=6)) if ids else []
    categories = draw(st.lists(record(id=st.integers(0, 99), name=st.text()), max_size=3))
    sections = {"images": images, "annotations": annotations, "categories": categories}
    others = draw(st.dictionaries(st.text(max_size=6).map("x{}".format), VALUES, max_size=3))
    content = dict(draw(st.permutations([*sections.items(), *others.items()])))
    text = json.dumps(
        content, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, 1, "\t"]))
    )
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which only an escape can write
        text = json.dumps(content)
    return text, sections


@settings(max_examples=50)
@given(coco_files(), st.sampled_from([b"", b"\xef\xbb\xbf"]), st.sampled_from(["", " \r\n\t"]))
def test_every_record_is_found_again(tmp_path_factory, file, mark, space):
    text, sections = file
    source = tmp_path_factory.getbasetemp() / "generated.json"
    source.write_bytes(mark + f"{space}{text}{space}".encode())
    index = index_coco(source)
    assert index.file_names == [image["file_name"] for image in sections["images"]]
    assert index.categories == [(each["id"], each["name"]) for each in sections["categories"]]
    for position, image in enumerate(sections["images"]):
        own = [each for each in sections["annotations"] if each["image_id"] == image["id"]]
        assert index.read(position) == (image, own)
    assert index.has_masks == any(each.get("segmentation") for each in sections["annotations"])


def test_categories_with_an_object_without_a_mask(tmp_path):
    annotations = [
        {"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 3, 4, 5, 6]]},
        {"image_id": 1, "category_id": 2, "segmentation": []},
        {"image_id": 1, "category_id": 3, "iscrowd": 1},
        {"image_id": 1, "category_id": [4]},
        {"image_id": 1},
    ]
    source = tmp_path / "all.json"
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": []}
    source.write_text(json.dumps({**content, "annotations": annotations}))
    index = index_coco(source)
    assert index.maskless == {2}
    assert index.has_masks


@given(st.text('{}[]",:0123456789.eE+-tfnul\\ \n', max_size=30))
def test_what_does_not_parse_is_refused_as_by_the_json_module(text):
    whole = '{"a": [' + text + '], "b": 1}'
    try:
        expected = json.loads(whole)
    except ValueError:
        expected = None
    assert read_with_cursor(whole) == expected


def read_with_cursor(text):
    """What a cursor makes of an object of arrays and other values; None for an error."""
    cursor = JsonCursor(text)
    found = {}
    try:
        for key in cursor.members():
            if cursor.peek() == "[":
                found[key] = [value for value, _, _ in cursor.elements()]
            else:
                found[key] = cursor.value()[0]
    except ValueError:
        return None
    return found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "JSON does not parse"),
        (b"\xff\xfe{}", "JSON does not parse .*utf-8"),
        (b'{"images": [], "annotations": [], "categories": []} x', "JSON does not parse .Extra"),
        (b'{"images": [' + b"[" * 100_000, "JSON does not parse"),
        (b'{"images": [{"id": 1, "file_name": "a"}', "JSON does not parse .*Expecting ',' or ']'"),
        (b'{"images": 3, "annotations": [], "categories": []}', "has no list 'images'"),
        (b'{"images": [7]}', "entry 1 of 'images' needs 'id' as a whole number, got None"),
    ],
    ids=range(7),
)
def test_damaged_files(tmp_path, content, reason):
    source = tmp_path / "all.json"
    source.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"all\.json: {reason}"):
        index_coco(source)


def test_a_file_that_changes_or_vanishes_while_it_is_in_use(tmp_path):
    source = tmp_path / "all.json"
    content = {"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": []}
    source.write_text(json.dumps(content))
    index = index_coco(source)
    assert index.read(0) == (content["images"][0], [])
    os.utime(source, ns=(0, 0))
    with pytest.raises(DatasetError, match=r"all\.json: has changed while it was in use"):
        index.read(0)
    source.unlink()
    with pytest.raises(DatasetError, match=r"all\.json: cannot be read \(No such file"):
        index.read(0)
