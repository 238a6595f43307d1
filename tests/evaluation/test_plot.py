import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation.toy import toy_report
from PIL import Image

from glyphseek.errors import InputError, StoreError
from glyphseek.evaluation import plot_breakdowns


def test_the_plot_is_a_png_with_something_drawn(tmp_path: Path) -> None:
    plot_breakdowns(tmp_path / "plots" / "a.png", [toy_report("tdsl"), toy_report("ocr")])
    with Image.open(tmp_path / "plots" / "a.png") as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_a_plot_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one report"):
        plot_breakdowns(tmp_path / "a.png", [])


def test_a_plot_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        plot_breakdowns(tmp_path / "file" / "a.png", [toy_report()])


def test_importing_the_package_does_not_import_matplotlib() -> None:
    code = "import sys, glyphseek.evaluation; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
