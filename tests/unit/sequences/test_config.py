"""The workbench's YAML file: the form of the document, and what is refused by its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.errors import InvalidSeries, OracleError
from oracle.sequences.config import Config, read_config

#: As the document has it.
DOCUMENT = """\
logging:
  level: "INFO"
  file: "logs/app.log"

data:
  n_train: 2000
  n_test: 500
  sequence_length: 20
  random_seed: 42
  noise_std: 0.05

model:
  input_dim: 1
  hidden_dim: 32
  output_dim: 1

training:
  epochs: 20
  learning_rate: 0.005
  batch_size: 32
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_the_form_of_the_document(tmp_path: Path) -> None:
    config = read(tmp_path, DOCUMENT)
    assert config.logging.file == "logs/app.log"
    assert (config.data.n_train, config.data.n_test, config.data.sequence_length) == (2000, 500, 20)
    assert (config.data.random_seed, config.data.noise_std) == (42, 0.05)
    assert (config.model.architecture, config.model.hidden_dim) == ("numpy", 32)
    training = config.training
    assert (training.epochs, training.learning_rate, training.batch_size) == (20, 0.005, 32)
    assert training.correction is None


def test_every_key_has_a_default(tmp_path: Path) -> None:
    assert read(tmp_path, "") == read(tmp_path, "data:\nmodel: {}\n") == Config()


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    assert read(tmp_path, "training: {learning_rate: 5e-3}").training.learning_rate == 0.005
    assert read(tmp_path, "training: {clip_norm: 1}").training.clip_norm == 1.0
    assert read(tmp_path, "training: {clip_norm: 1E+1}").training.clip_norm == 10.0


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("trainning: {}", "trainning"),
        ("data: {n_trian: 5}", "data.n_trian"),
        ("training: {epochs: '3'}", "training.epochs"),
        ("training: {epochs: 3.5}", "training.epochs"),
        ("training: {epochs: true}", "training.epochs"),
        ("training: {epochs: 0}", "training.epochs"),
        ("training: {learning_rate: .nan}", "training.learning_rate"),
        ("training: {learning_rate: 0}", "training.learning_rate"),
        ("training: {optimizer: rmsprop}", "training.optimizer"),
        ("training: {correction: {kind: tanh}}", "training.correction.kind"),
        ("training: {correction: {correction_rate: 0}}", "training.correction.correction_rate"),
        ("training: {correction: {kind: raw}}", "training.correction"),
        ("data: {horizon: 101}", "data.horizon"),
        ("data: {horizon: 0}", "data.horizon"),
        ("data: {sequence_length: 0}", "data.sequence_length"),
        ("data: {series: stocks}", "data.series"),
        ("data: {series: csv}", "data.file"),
        ("data: {file: a.csv}", "data.file"),
        ("data: {series: csv, file: a.csv, points: 100}", "data.points"),
        ("data: {series: seasonal, periods: 3}", "data.periods"),
        ("data: {n_train: 5}", "data.n_test"),
        ("data: {n_train: 5, n_test: 5, points: 100}", "data.points"),
        ("data: {noise_std: .inf}", "data.noise_std"),
        ("data: {split: sorted}", "data.split"),
        ("data: {train_share: 1.0}", "data.train_share"),
        ("model: {layers: 2}", "model.layers"),
        ("model: {dropout: 0.2}", "model.dropout"),
        ("model: {quantiles: true}", "model.quantiles"),
        ("logging: {level: LOUD}", "logging.level"),
        ("- data", "config"),
        ("just text", "config"),
        ("3: {}", "3"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(InvalidSeries, match=rf"config\.yaml: .*`{key}` must be"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: [", "valid YAML"),
        ("data: {a: 1, a: 2}", "the key 'a' stands twice"),
        ("? [a, b]\n: 1", "a key is no plain text"),
        ("data: !!python/object/apply:os.system [ls]", "valid YAML"),
        ("data: &a [*a]", "`data` must be an object"),
        ("\x00", "valid YAML"),
    ],
)
def test_what_is_no_yaml_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidSeries, match=message):
        read(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidSeries, match="an existing YAML file"):
        read_config(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"data: \xff\xfe\xe9")
    with pytest.raises(InvalidSeries, match="valid YAML"):
        read_config(path)
    path.write_text("#" * 1_000_001)
    with pytest.raises(InvalidSeries, match="1,000,000 bytes at most"):
        read_config(path)


def test_the_environment_overrides_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANDOM_SEED", "7")
    assert read(tmp_path, DOCUMENT).data.random_seed == 7
    monkeypatch.setenv("RANDOM_SEED", "")
    assert read(tmp_path, DOCUMENT).data.random_seed == 42
    for bad in ("-1", "1.5", "x", str(2**32)):
        monkeypatch.setenv("RANDOM_SEED", bad)
        with pytest.raises(OracleError, match="`RANDOM_SEED` must be a whole number"):
            read(tmp_path, DOCUMENT)
