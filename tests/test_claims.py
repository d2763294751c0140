"""verify raises unless the outcome and every control are as they must be; the ledger refuses malformed rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from dlopt.claims import ClaimError, LedgerError, read_ledger, verify

ROW = {
    "id": "a-claim", "section": "4.2", "also": [], "equations": [18], "tier": 1, "statement": "It holds.",
    "source": "survey", "chapter": "signal-propagation", "verdict": "planned", "note": "",
}  # fmt: skip


def test_a_claim_that_holds_prints_its_line_and_no_digits(capsys):
    verify("a-claim", "x is small", holds=True, control={"large x": False}, measured={"x": 0.123})
    assert capsys.readouterr().out == "[a-claim] reproduced · x is small\n"


@pytest.mark.parametrize("true", [True, np.True_, torch.tensor(True)])
def test_truth_values_of_every_library_are_accepted(true):
    verify(
        "a-claim",
        "x is small",
        holds=true,
        control={"large x": ~true if not isinstance(true, bool) else False},
    )


def test_a_claim_that_does_not_hold_raises_with_what_was_measured():
    with pytest.raises(ClaimError, match=r"\[a-claim\] does not hold: x is small \(x: 0.5\)"):
        verify("a-claim", "x is small", holds=False, measured={"x": np.float64(0.5)})


def test_a_control_that_holds_raises():
    with pytest.raises(ClaimError, match="the control holds too"):
        verify("a-claim", "x is small", holds=True, control={"large x": False, "huge x": True})


@pytest.mark.parametrize(
    "outcome", [1, 0.0, None, "yes", np.array([True]), torch.tensor([True]), float("nan")]
)
def test_what_is_no_truth_value_is_refused(outcome):
    with pytest.raises(TypeError, match="must be True or False"):
        verify("a-claim", "x is small", holds=outcome)


def test_fails_as_stated_asserts_both_that_the_statement_fails_and_that_the_corrected_one_holds():
    verify("a-claim", "corrected", holds=True, as_stated=False, verdict="fails-as-stated")
    with pytest.raises(ClaimError, match="holds as the survey states it"):
        verify("a-claim", "corrected", holds=True, as_stated=True, verdict="fails-as-stated")
    with pytest.raises(ClaimError, match="does not hold"):
        verify("a-claim", "corrected", holds=False, as_stated=False, verdict="fails-as-stated")
    with pytest.raises(ValueError, match="as_stated goes with"):
        verify("a-claim", "corrected", holds=True, verdict="fails-as-stated")
    with pytest.raises(ValueError, match="as_stated goes with"):
        verify("a-claim", "plain", holds=True, as_stated=False)


@pytest.mark.parametrize("verdict", ["quoted", "planned", "verified"])
def test_a_cell_cannot_decide_what_no_cell_decides(verdict):
    with pytest.raises(ValueError, match="cannot decide the verdict"):
        verify("a-claim", "x is small", holds=True, verdict=verdict)


def test_measured_values_travel_in_the_metadata_as_plain_json(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    measured = {
        "x": np.float32(0.5),
        "n": np.int64(3),
        "t": torch.tensor(2.0),
        "bad": float("nan"),
        "word": "circle",
    }
    verify("a-claim", "x is small", holds=True, control={"large x": np.False_}, measured=measured)
    ((data,), options) = shown[0]
    assert data == {"text/plain": "[a-claim] reproduced · x is small"}
    record = options["metadata"]["dlopt"]
    assert json.loads(json.dumps(record)) == record
    assert record["measured"] == {"x": 0.5, "n": 3, "t": 2.0, "bad": "nan", "word": "circle"}
    assert record["control"] == {"large x": False}


def written(tmp_path, rows):
    path = tmp_path / "claims.yml"
    path.write_text(rows if isinstance(rows, str) else yaml.safe_dump(rows))
    return path


def test_the_rows_are_read_in_order(tmp_path):
    claims = read_ledger(written(tmp_path, [ROW, {**ROW, "id": "another"}]))
    assert [claim.id for claim in claims] == ["a-claim", "another"]
    assert claims[0].equations == (18,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "verified"}, "row 1 (a-claim): the verdict 'verified' is none of reproduced"),
        ({"tier": 4}, "the tier is 4"),
        ({"tier": "1"}, "tier must be of type int"),
        ({"also": "4.3"}, "also must be of type list"),
        ({"section": 4.2}, "section must be of type str"),
        ({"verdict": "partly"}, "the verdict partly needs a note"),
        ({"extra": 1}, "unknown field extra"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, change, message):
    with pytest.raises(LedgerError) as error:
        read_ledger(written(tmp_path, [{**ROW, **change}]))
    assert message in str(error.value)


def test_a_ledger_that_is_no_ledger_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(LedgerError, match=r"claims\.yml is not in"):
        read_ledger(tmp_path / "claims.yml")
    with pytest.raises(LedgerError, match="is not YAML"):
        read_ledger(written(tmp_path, "- id: [unclosed"))
    with pytest.raises(LedgerError, match="must be a list of rows"):
        read_ledger(written(tmp_path, {"id": "a-claim"}))
    with pytest.raises(LedgerError, match="'a-claim' stands twice"):
        read_ledger(written(tmp_path, [ROW, ROW]))
    with pytest.raises(LedgerError, match="section, also"):
        read_ledger(written(tmp_path, [{"id": "a-claim"}]))
