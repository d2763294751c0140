"""Section 7 of the survey, sentence by sentence, each with the claims on which it rests.

The sentences are ours and say what the survey's say; :data:`SENTENCES` names for each the claims of the ledger that
bear on it, for or against.  Which claims those are is a reading of the survey, open to dispute; what they are
worth is not: the ledger's verdicts say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from dlopt.claims import Claim
from dlopt.conclusions.verdicts import COLORS

__all__ = ["KINDS", "SENTENCES", "Sentence", "draw_sentences", "verdicts_of"]

KINDS = ("understood", "designed", "found", "open")
"""What theory explains; what it helped to design; what experiments found; what stays open."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of section 7.

    Attributes:
        label: it, in a few words.
        kind: one of :data:`KINDS`.
        claims: ids of the claims that bear on it.
    """

    label: str
    kind: str
    claims: tuple[str, ...]


SENTENCES = (
    Sentence(
        "initialization makes\ntraining stable", "understood",
        (
            "eq17-kaiming", "lecun-toy-ratio", "eq18-variance-map", "mean-field-fixed-point", "edge-of-chaos-bias",
            "hr-fm1-mean-length", "hr-fm2-empirical-variance", "hr-width-budget", "isometry-linear-orthogonal",
            "gaussian-product-spectrum", "pennington-orthogonal-tanh", "isometry-needs-tuning", "delta-orthogonal",
        ),
    ),
    Sentence(
        "overparametrization\nhelps the landscape", "understood",
        (
            "overparam-easier", "jamming-transition", "no-bad-basin-path", "bad-min-not-bad-basin", "fig4-basins",
            "nguyen-connected", "yu-gap", "ding-bad-minimum", "relu-bad-minima-finite", "overparam-gd-global",
            "du-gram-linear-rate",
        ),
    ),
    Sentence(
        "initialization schemes", "designed",
        (
            "eq15-lecun", "eq16-xavier", "eq17-kaiming", "geometric-mean-init", "lsuv", "metainit", "fixup",
            "delta-orthogonal", "autoencoder-isometry", "rnn-gru-isometry",
        ),
    ),
    Sentence(
        "batch normalization", "designed",
        (
            "data-normalization", "bn-motivation-layer-input", "bn-larger-lr", "bn-auto-rate", "bn-ics-santurkar",
            "bn-removes-outlier-eigs", "bn-ols-cai", "bn-length-direction-kohler", "weight-normalization",
            "spectral-norm",
        ),
    ),
    Sentence(
        "Adam", "designed",
        ("eq21-adagrad", "adagrad-rate", "eq22-rmsprop", "eq23-adam", "adagrad-sparse", "reddi-divergence"),
    ),
    Sentence(
        "convolutional kernel", "designed",
        ("cntk-formula", "cntk-77", "cntk-89", "ntk-small-data", "neural-tangents-library"),
    ),
    Sentence(
        "mode connectivity", "found",
        (
            "mode-connectivity", "sublevel-connectivity-logic", "freeman-bruna-linear", "nguyen-connected",
            "kuditipudi-dropout-stable",
        ),
    ),
    Sentence(
        "lottery tickets", "found",
        (
            "network-pruning", "prune-from-scratch", "lottery-ticket", "late-rewinding", "lth-signs-supermask",
            "snip", "luck-matters-student-teacher",
        ),
    ),
    Sentence(
        "which architecture?", "open",
        ("depth-degradation", "densenet", "resnext", "nas-width-search", "imagenet-figures", "narrow-network"),
    ),
    Sentence(
        "why Adam?", "open",
        ("adam-vs-sgd-tuned", "wilson-construction", "tunability", "reddi-divergence", "adaptive-less-kappa"),
    ),
    Sentence(
        "what will perform?", "open",
        ("practice-not-lazy", "cntk-89", "fig3a-wide-minima", "scale-invariant-flatness", "adam-vs-sgd-tuned"),
    ),
    Sentence(
        "methods from theory\nthat win in practice?", "open",
        (
            "svrg-ineffective-dl", "super-convergence", "entropy-sgd", "kfac-35-epochs", "natural-gradient",
            "coin-betting", "sgd-qn",
        ),
    ),
)  # fmt: skip
"""In the survey's order: first the progress, then the challenges."""


def verdicts_of(sentence: Sentence, ledger: Iterable[Claim]) -> list[str]:
    """The verdicts of the sentence's claims, sorted as :data:`dlopt.conclusions.verdicts.COLORS` lists them.

    Raises:
        KeyError: the ledger has no row for one of them.
    """
    known = {claim.id: claim.verdict for claim in ledger}
    return sorted((known[claim] for claim in sentence.claims), key=list(COLORS).index)


def draw_sentences(axes: Axes, sentences: Sequence[Sentence], ledger: Sequence[Claim]) -> None:
    """One row a sentence, one square a claim that bears on it, in the color of its verdict."""
    for height, sentence in enumerate(sentences):
        for place, verdict in enumerate(verdicts_of(sentence, ledger)):
            axes.scatter(place, height, marker="s", s=110, color=COLORS[verdict], linewidth=0)
    axes.set_yticks(range(len(sentences)), [sentence.label for sentence in sentences])
    axes.set(ylim=(len(sentences) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks([])
