"""Setting up on a machine that lacks something ends with one sentence that says what."""

from __future__ import annotations

import subprocess
import sys

from bookkit.chapters import ROOT

SCRIPT = ROOT / "tools" / "setup_venv.py"


def test_a_python_that_is_too_old_is_said(tmp_path):
    program = (
        "import sys, runpy; sys.version_info = (3, 9, 0)\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The book needs Python 3.11 or newer, and this is 3.9:")


def test_no_network_during_set_up_is_said_and_leaves_the_set_up_unfinished(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "setup_venv.py").write_text(SCRIPT.read_text())
    (tmp_path / "requirements.txt").write_text("a-package-that-nobody-has-written==1.0\n")
    done = subprocess.run(
        [sys.executable, "tools/setup_venv.py"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "check the network connection and run the same command again" in done.stderr
    assert not (tmp_path / ".venv" / "ready").exists()
