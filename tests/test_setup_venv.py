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


def test_a_folder_that_moved_makes_its_environment_anew(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "setup_venv.py").write_text(SCRIPT.read_text())
    (tmp_path / "requirements.txt").write_text("")
    left = tmp_path / ".venv" / "left"
    for folder, stays in ((tmp_path, True), (tmp_path / "elsewhere", False)):
        (tmp_path / ".venv").mkdir(exist_ok=True)
        (tmp_path / ".venv" / "ready").write_text(f"{folder}\n")
        left.write_text("")
        done = subprocess.run(
            [sys.executable, "tools/setup_venv.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert left.exists() == stays
        assert ("has moved" in done.stdout) != stays
        assert (tmp_path / ".venv" / "ready").read_text() == f"{tmp_path}\n"


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
