"""Section 7, sentence by sentence."""

from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dlopt.claims import read_ledger
from dlopt.conclusions.sentences import KINDS, SENTENCES, draw_sentences, verdicts_of
from dlopt.conclusions.verdicts import COLORS

LEDGER = read_ledger(Path(__file__).parents[1] / "book" / "claims.yml")


def test_every_sentence_rests_on_claims_of_the_ledger_and_names_none_twice():
    ids = {claim.id for claim in LEDGER}
    for sentence in SENTENCES:
        assert set(sentence.claims) <= ids
        assert len(set(sentence.claims)) == len(sentence.claims)


def test_the_sentences_come_in_the_order_of_their_kinds():
    order = [KINDS.index(sentence.kind) for sentence in SENTENCES]
    assert order == sorted(order)
    assert set(order) == set(range(len(KINDS)))


def test_a_sentence_has_the_verdicts_of_its_claims():
    known = {claim.id: claim.verdict for claim in LEDGER}
    for sentence in SENTENCES:
        assert sorted(verdicts_of(sentence, LEDGER)) == sorted(known[claim] for claim in sentence.claims)


def test_a_missing_row_is_an_error():
    with pytest.raises(KeyError):
        verdicts_of(SENTENCES[0], [])


def test_a_row_has_a_square_for_every_claim_in_the_color_of_its_verdict():
    axes = Figure().subplots()
    draw_sentences(axes, SENTENCES, LEDGER)
    drawn = {height: [] for height in range(len(SENTENCES))}
    for square in axes.collections:
        ((_, height),) = square.get_offsets()
        drawn[int(height)].append(to_hex(square.get_facecolor()[0]))
    for height, sentence in enumerate(SENTENCES):
        assert drawn[height] == [to_hex(COLORS[verdict]) for verdict in verdicts_of(sentence, LEDGER)]
