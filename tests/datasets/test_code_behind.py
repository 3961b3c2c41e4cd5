"""Which source files a cache depends on."""

import datasets.mask_folder
from datasets.code_behind import code_behind
from datasets.named.coco2017 import Coco2017


def names(*modules):
    return {path.name for path in code_behind(*modules)}


def test_a_module_and_what_it_imports_at_any_depth():
    found = names("datasets.mask_folder")
    # Its own imports are splits, images and so on; `sample` comes by them too.
    assert {"mask_folder.py", "splits.py", "images.py", "objects.py", "sample.py"} <= found
    assert not found & {"coco.py", "augment.py", "cache.py", "json_cursor.py"}


def test_a_subclass_brings_the_module_of_its_base():
    found = names(Coco2017.__module__, "datasets.cache_build")
    assert {"coco2017.py", "coco.py", "coco_index.py", "letterbox.py", "run_lengths.py"} <= found
    assert "augment.py" not in found


def test_no_file_and_files_elsewhere(tmp_path, monkeypatch):
    assert code_behind("no.such.module", "builtins") == ()
    (tmp_path / "my_reader.py").write_text("from datasets import Sample\nimport numpy\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_reader  # type: ignore[import-not-found]

    found = code_behind(my_reader.__name__)
    assert tmp_path / "my_reader.py" in found
    assert "sample.py" in {path.name for path in found}
    assert all("numpy" not in str(path) for path in found)
    assert datasets.mask_folder.__file__ not in map(str, found)
