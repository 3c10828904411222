"""The circuit breaker."""

from __future__ import annotations

from oracle.hook.circuit import Circuit, circuit_of


def test_it_opens_after_three_failures_in_a_row() -> None:
    circuit = Circuit()
    for _ in range(2):
        circuit.failed()
    assert circuit.closed()
    circuit.succeeded()
    for _ in range(3):
        assert circuit.closed()
        circuit.failed()
    assert not circuit.closed()


def test_after_a_while_one_attempt_is_let_through() -> None:
    circuit = Circuit(open_s=0.0)
    for _ in range(3):
        circuit.failed()
    assert circuit.closed()
    circuit.succeeded()
    assert circuit.closed()


def test_only_one_of_several_runs_probes_an_open_circuit() -> None:
    circuit = Circuit(open_s=0.0)
    for _ in range(3):
        circuit.failed()
    circuit._open_s = 60.0
    assert [circuit.closed() for _ in range(3)] == [True, False, False]


def test_a_resource_has_one_circuit_in_a_process() -> None:
    assert circuit_of("a") is circuit_of("a")
    assert circuit_of("a") is not circuit_of("b")
