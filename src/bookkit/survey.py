"""The survey's sections, in its order, and the chapter that each becomes.

The stems of the chapters' files are fixed, so that links last; a chapter whose file is not in the table of contents
yet is shown as planned.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A section of the survey for which the ledger keeps a table."""

    number: str
    title: str
    """In our words."""

    @property
    def label(self) -> str:
        return place(self.number)


@dataclass(frozen=True)
class PlannedChapter:
    """A chapter of the book, written or not."""

    stem: str
    sections: tuple[str, ...]
    """Where in the survey it comes from."""
    title: str


@dataclass(frozen=True)
class Part:
    """Chapters that belong together."""

    title: str
    chapters: tuple[PlannedChapter, ...]


SECTIONS = (
    Section("1", "Why training works at all"),
    Section("2", "The problem, and two classical ones inside it"),
    Section("3", "Gradient descent: its gradient, and when it converges"),
    Section("4.1", "Gradients that explode or vanish"),
    Section("4.2", "Careful initialization"),
    Section("4.3", "Normalization"),
    Section("4.4", "Changing the architecture"),
    Section("4.5", "Training ultra-deep networks"),
    Section("5.1", "SGD and step-size schedules"),
    Section("5.2", "Theory of SGD"),
    Section("5.3", "Momentum and acceleration"),
    Section("5.4", "Adaptive gradient methods"),
    Section("5.5", "Training on many machines"),
    Section("5.6", "Second-order and other algorithms"),
    Section("6.1", "Tractable non-convex problems"),
    Section("6.2", "The landscape, explored"),
    Section("6.3.1", "The landscape, in theory"),
    Section("6.3.2", "Algorithms, in theory: linear nets, kernels, mean fields"),
    Section("6.4", "Shallow networks"),
    Section("7", "Conclusions"),
    Section("A", "Convergence of gradient descent, in detail"),
    Section("B", "Batch normalization, in detail"),
    Section("C", "The cost of large-scale methods"),
    Section("journal", "Named by the journal version alone"),
)


def _chapters(*rows: tuple[str, str, str]) -> tuple[PlannedChapter, ...]:
    return tuple(PlannedChapter(stem, tuple(sections.split(", ")), title) for stem, sections, title in rows)


PARTS = (
    Part(
        "The problem and its gradient",
        _chapters(
            ("introduction", "1", "Introduction"),
            ("problem-formulation", "2", "Problem formulation"),
            ("backpropagation", "3.1", "Backpropagation"),
            ("gradient-descent", "3.2, A", "Does gradient descent converge?"),
        ),
    ),
    Part(
        "Tricks that make a network trainable",
        _chapters(
            ("explosion-vanishing", "4.1", "Explosion and vanishing"),
            ("initialization", "4.2", "Initialization"),
            ("signal-propagation", "4.2", "Signal propagation"),
            ("dynamical-isometry", "4.2", "Dynamical isometry"),
            ("spectra", "4.2", "Spectra of the Hessian"),
            ("normalization", "4.3, B", "Normalization"),
            ("residual-networks", "4.4", "Residual networks"),
            ("ultra-deep", "4.5", "Ultra-deep networks"),
        ),
    ),
    Part(
        "Algorithms that train it",
        _chapters(
            ("sgd", "5.1", "SGD and its schedules"),
            ("sgd-theory", "5.2", "Theory of SGD"),
            ("momentum", "5.3", "Momentum"),
            ("adaptive-methods", "5.4", "Adaptive methods"),
            ("distributed", "5.5", "Distributed training"),
            ("second-order", "5.6", "Second-order methods"),
            ("large-scale-complexity", "C", "Cost of large-scale methods"),
        ),
    ),
    Part(
        "The landscape",
        _chapters(
            ("tractable-problems", "6.1", "Tractable problems"),
            ("landscape", "6.2", "The shape of the landscape"),
            ("mode-connectivity", "6.2.1", "Mode connectivity"),
            ("lottery-tickets", "6.2.2", "Lottery tickets"),
            ("sharp-flat-minima", "6.2.3", "Sharp and flat minima"),
            ("landscape-theory", "6.3.1", "Landscape theory"),
            ("bad-local-minima", "6.3.1", "Bad local minima"),
        ),
    ),
    Part(
        "Training, in theory",
        _chapters(
            ("linear-networks", "6.3.2", "Deep linear networks"),
            ("neural-tangent-kernel", "6.3.2", "The neural tangent kernel"),
            ("mean-field-and-lazy", "6.3.2", "Mean fields and lazy training"),
            ("shallow-networks", "6.4", "Shallow networks"),
            ("conclusions", "7", "Conclusions"),
        ),
    ),
)

TITLES = {chapter.stem: chapter.title for part in PARTS for chapter in part.chapters}
"""Short titles of all chapters, by stem."""


def place(number: str) -> str:
    """How to name the section ``number`` in a line of text: §4.2, Appendix A, Journal."""
    if number == "journal":
        return "Journal"
    return f"Appendix {number}" if number.isalpha() else f"§{number}"


def section_of(number: str) -> Section:
    """The ledger's section to which the survey's section ``number`` belongs, e.g. 6.2 for ``"6.2.1"``.

    Raises:
        ValueError: the survey has no such section.
    """
    fitting = [
        section for section in SECTIONS if number == section.number or number.startswith(f"{section.number}.")
    ]
    if not fitting:
        raise ValueError(f"the survey has no section {number!r}")
    return max(fitting, key=lambda section: len(section.number))
