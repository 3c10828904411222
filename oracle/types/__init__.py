"""History, Forecast, Reference, Policy and Decision: the wire format is the in-process type.

All types are frozen pydantic models that refuse unknown fields, NaN and Infinity.
Lower is better for every metric and for the quality score, everywhere.
"""

from __future__ import annotations

from oracle.types.context import (
    Geometry,
    RunContext,
    Schedule,
)
from oracle.types.decision import (
    MAX_REFERENCE_RUNS,
    QUALITY_WEIGHTS,
    Action,
    Decision,
    Outcome,
    Policy,
    Reason,
    Reference,
)
from oracle.types.fields import (
    CHECKPOINT,
    HEAD_LEVELS,
    LEVELS,
    MAX_CHECKPOINTS,
    MAX_SCHEDULE_POINTS,
    METRICS,
    NULLABLE,
    RUN_ID_PATTERN,
    TARGETS,
    Count,
    Finite,
    Flag,
    FloatArray,
    Frozen,
    Many,
    Mqe,
    MqeOfMean,
    Name,
    NonNegative,
    Positive,
    Ratio,
    RunId,
    T,
)
from oracle.types.forecast import Curve, Forecast, ModelInfo, QualityForecast, Scale
from oracle.types.history import (
    History,
    Run,
    explain,
    run_id_of,
)

__all__ = [
    "CHECKPOINT",
    "HEAD_LEVELS",
    "LEVELS",
    "MAX_CHECKPOINTS",
    "MAX_REFERENCE_RUNS",
    "MAX_SCHEDULE_POINTS",
    "METRICS",
    "NULLABLE",
    "QUALITY_WEIGHTS",
    "RUN_ID_PATTERN",
    "TARGETS",
    "Action",
    "Count",
    "Curve",
    "Decision",
    "Finite",
    "Flag",
    "FloatArray",
    "Forecast",
    "Frozen",
    "Geometry",
    "History",
    "Many",
    "ModelInfo",
    "Mqe",
    "MqeOfMean",
    "Name",
    "NonNegative",
    "Outcome",
    "Policy",
    "Positive",
    "QualityForecast",
    "Ratio",
    "Reason",
    "Reference",
    "Run",
    "RunContext",
    "RunId",
    "Scale",
    "Schedule",
    "T",
    "explain",
    "run_id_of",
]
