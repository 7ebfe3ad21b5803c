"""The files that come with the course are found by name, from anywhere."""

import pytest

from diffrec_lite import models
from diffrec_lite.data.shipped import shipped


@pytest.mark.parametrize("name", ["bookshop/bookshop.inter", "published/table_1.csv", "runs/conditions.csv"])
def test_shipped_files_are_found_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped(name).is_file()


def test_what_is_not_shipped_is_named():
    with pytest.raises(FileNotFoundError, match="published/table_9.csv"):
        shipped("published/table_9.csv")
    with pytest.raises(models.ModelError, match="no checkpoint 'gru4rec'"):
        models.load_checkpoint("gru4rec")
