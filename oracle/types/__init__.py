"""History, Forecast, Reference, Policy and Decision: the wire format is the in-process type.

All types are frozen pydantic models that refuse unknown fields, NaN and Infinity.
Lower is better for every metric and for the quality score, everywhere.
"""

from __future__ import annotations

from oracle.types.about import About, about
from oracle.types.certificate import Certificate
from oracle.types.context import (
    Geometry,
    RunContext,
    Schedule,
)
from oracle.types.decision import (
    Action,
    Decision,
    Outcome,
    OutcomeColumns,
    Reference,
)
from oracle.types.explanation import Contribution, Explanation
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
    UNION_TAG,
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
from oracle.types.forecast import Curve, Forecast, Learned, ModelInfo, QualityForecast, Scale
from oracle.types.history import History, Run
from oracle.types.policy import (
    GOOD,
    MAX_REFERENCE_RUNS,
    POLICIES,
    QUALITY_WEIGHTS,
    ParetoPolicy,
    Policy,
    PopulationPolicy,
    ThresholdPolicy,
)
from oracle.types.problems import explain, path_of, rule_of
from oracle.types.reason import Reason
from oracle.types.run_names import run_id_of
from oracle.types.suggestion import HowLong, Plane, Suggestion, Suggestions

__all__ = [
    "CHECKPOINT",
    "GOOD",
    "HEAD_LEVELS",
    "LEVELS",
    "MAX_CHECKPOINTS",
    "MAX_REFERENCE_RUNS",
    "MAX_SCHEDULE_POINTS",
    "METRICS",
    "NULLABLE",
    "POLICIES",
    "QUALITY_WEIGHTS",
    "RUN_ID_PATTERN",
    "TARGETS",
    "UNION_TAG",
    "About",
    "Action",
    "Certificate",
    "Contribution",
    "Count",
    "Curve",
    "Decision",
    "Explanation",
    "Finite",
    "Flag",
    "FloatArray",
    "Forecast",
    "Frozen",
    "Geometry",
    "History",
    "HowLong",
    "Learned",
    "Many",
    "ModelInfo",
    "Mqe",
    "MqeOfMean",
    "Name",
    "NonNegative",
    "Outcome",
    "OutcomeColumns",
    "ParetoPolicy",
    "Plane",
    "Policy",
    "PopulationPolicy",
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
    "Suggestion",
    "Suggestions",
    "T",
    "ThresholdPolicy",
    "about",
    "explain",
    "path_of",
    "rule_of",
    "run_id_of",
]
