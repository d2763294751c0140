"""The benchmark of Hessian spectra says what to install where a peer is missing."""

from __future__ import annotations

import subprocess
import sys

from bookkit.chapters import ROOT

WITHOUT_PEERS = (
    "import runpy, sys; sys.path.insert(0, 'benchmarks'); sys.modules['curvlinops'] = None;"
    "runpy.run_path('benchmarks/hessian_spectrum_vs_peers.py', run_name='__main__')"
)


def test_a_missing_peer_is_one_sentence_and_no_failure():
    run = subprocess.run([sys.executable, "-c", WITHOUT_PEERS], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "pip install -r benchmarks/requirements.txt" in run.stdout
    assert len(run.stdout.splitlines()) == 1
