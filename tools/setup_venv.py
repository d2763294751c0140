"""Creates .venv with the pinned requirements and the book's packages.

It runs under whatever Python the reader has, so it keeps to what every Python 3 understands.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
READY = os.path.join(VENV, "ready")


def main():
    if sys.version_info < OLDEST:
        sys.exit(
            "The book needs Python {}.{} or newer, and this is {}.{}: name another one, "
            "for example `make book PYTHON=python3.12`.".format(*(OLDEST + tuple(sys.version_info[:2])))
        )
    if _made_elsewhere():
        print("The folder has moved since .venv was made, and .venv cannot: it is made anew.", flush=True)
        shutil.rmtree(VENV)
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(python):
        print("Creating .venv ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        except subprocess.CalledProcessError:
            sys.exit(
                "Python's venv module does not work here: install it (on Debian: python3-venv) and try again."
            )
    print("Installing the pinned requirements into .venv (a few minutes the first time) ...", flush=True)
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        "requirements.txt",
    ]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        sys.exit(
            "The requirements could not be installed (the last lines above say why): "
            "check the network connection and run the same command again."
        )
    with open(READY, "w") as ready:
        ready.write(ROOT + "\n")


def _made_elsewhere():
    """Whether .venv says that it was made for another folder."""
    if not os.path.exists(READY):
        return False
    with open(READY) as ready:
        return ready.read().strip() not in ("", ROOT)


if __name__ == "__main__":
    main()
