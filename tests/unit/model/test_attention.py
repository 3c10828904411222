"""Causal attention as it is served: causal, whole, its weights told, its shape checked."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from small_model import random_layers

from oracle.model.attention import Attention
from oracle.model.network import Ensemble, Network, graph_of
from oracle.model.onnx_file import write_onnx
from oracle.model.recurrent import Recurrent
from oracle.model.runtime import Session

N_FEATURES = 7


def ensemble_of(*trunks: Attention | Recurrent) -> Ensemble:
    networks = tuple(Network(trunk=trunk, dense=(4,)) for trunk in trunks)
    return Ensemble(n_features=N_FEATURES, networks=networks)


def session_of(ensemble: Ensemble) -> Session:
    return Session(write_onnx(graph_of(ensemble, random_layers(ensemble))))


ATTENTION = Attention(kind="attention", units=8, heads=2, blocks=2)


def test_what_comes_after_the_last_real_step_changes_nothing() -> None:
    session = session_of(ensemble_of(ATTENTION, ATTENTION))
    rng = np.random.default_rng(0)
    sequence = rng.normal(size=(4, 9, N_FEATURES)).astype(np.float32)
    length = np.array([1, 4, 8, 9], np.int32)
    before, weights = session.run(sequence, length), session.attention(sequence, length)
    for row, n in enumerate(length):
        sequence[row, n:] = 50.0
    np.testing.assert_allclose(session.run(sequence, length), before, atol=1e-6)
    alone = session.run_many([rows[:n] for rows, n in zip(sequence, length, strict=True)])
    np.testing.assert_allclose(alone, before, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    assert [np.flatnonzero(row)[-1] + 1 for row in weights] == length.tolist()


def test_only_networks_that_all_attend_tell_their_weights() -> None:
    lstm = Recurrent(units=(5,))
    assert session_of(ensemble_of(ATTENTION)).attends
    for trunks in ((lstm,), (ATTENTION, lstm)):
        ensemble = ensemble_of(*trunks)
        assert not ensemble.attends
        session = session_of(ensemble)
        assert not session.attends
        assert session.run(np.zeros((1, 2, N_FEATURES), np.float32), np.array([2], np.int32)).any()


def test_a_manifest_is_read_as_the_trunk_that_it_names() -> None:
    written = ensemble_of(ATTENTION, Recurrent(units=(5,), kind="gru")).model_dump_json()
    assert Ensemble.model_validate_json(written).networks[0].trunk == ATTENTION
    plain = {"trunk": {"units": [5]}, "dense": []}
    assert Network.model_validate(plain).trunk == Recurrent(units=(5,))
    assert str(ATTENTION) == "attention 8 x 2, 2 heads"
    for trunk, told in (
        ({"kind": "attention", "units": 9, "heads": 2}, "a multiple of heads"),
        ({"kind": "attention", "units": [8]}, "units"),
        ({"kind": "attention", "units": 8, "blocks": 99}, "blocks"),
        ({"kind": "os.system", "units": [5]}, "'lstm', 'gru' or 'rnn'"),
        ({"kind": ["attention"], "units": 8}, "kind"),
    ):
        with pytest.raises(ValidationError, match=told):
            Network.model_validate({"trunk": trunk, "dense": []})
