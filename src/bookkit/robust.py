"""Do the verdicts hold under other arithmetic and other seeds?"""

from __future__ import annotations

from bookkit.chapters import ROOT, Chapter
from bookkit.errors import UserError
from bookkit.execute import THREADS, ChapterError, run_all
from bookkit.ledger import checks

CONDITIONS: dict[str, dict[str, str]] = {
    "torch without vector instructions": {"ATEN_CPU_CAPABILITY": "default"},
    "torch with AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "NumPy's kernels for an older core": {"OPENBLAS_CORETYPE": "Nehalem"},
    "two threads": {**dict.fromkeys(THREADS, "2"), "OMP_WAIT_POLICY": "passive"},
    **{
        f"seeds moved by {offset}": {"DLOPT_SEED_OFFSET": str(offset)}
        for offset in (1000, 2000, 3000, 4000, 5000)
    },
}
"""Name -> environment.  One thing is changed at a time, not their product."""


def robust(chapters: list[Chapter]) -> None:
    """Execute ``chapters`` under every condition and demand the verdicts of their stored runs.

    Raises:
        UserError: a chapter failed under a condition, or came to another verdict.
    """
    problems: list[str] = []
    for number, (name, extra) in enumerate(CONDITIONS.items()):
        for chapter in chapters:
            problem = _problem(chapter, extra, ROOT / "_build" / "robust" / str(number))
            print(f"  {'differs' if problem else 'same':<8} {chapter.name:<28} {name}")
            if problem:
                problems.append(f"{chapter.name}, {name}: {problem}")
    if problems:
        raise UserError("Not the same verdicts everywhere:\n" + "\n".join(problems))
    print(f"The same verdicts under all {len(CONDITIONS)} conditions.")


def _problem(chapter: Chapter, extra: dict[str, str], folder) -> str:
    """How a run under ``extra`` differs from the stored one; empty if it does not."""
    try:
        (run,) = run_all([chapter], folder=folder, extra=extra)
    except ChapterError as error:
        return str(error)
    before, after = (
        {c.id: c.verdict for c in checks(file).values()} for file in (chapter.path, run.notebook)
    )
    return "" if before == after else f"{before} became {after}"
