"""What labels, attempts and audits say about quality: functions from frame to frame. Nothing here asks the service."""

from __future__ import annotations

from refonte_frames.quality.agreement import (
    Agreement,
    ambiguity,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    pair_agreement,
    straight_lining,
)
from refonte_frames.quality.attempts import item_quality, learning_curve, scorecard, speeders, time_per_attempt
from refonte_frames.quality.audits import (
    audit_outcomes,
    auditor_rates,
    audits_for_width,
    audits_needed,
    error_costs,
    first_pass_yield,
    rework,
)
from refonte_frames.quality.boxes import box_accuracy, box_agreement, box_iou
from refonte_frames.quality.consensus import DawidSkene, accuracy, confusion, dawid_skene, majority_vote
from refonte_frames.quality.control import control_chart
from refonte_frames.quality.delivery import callback_health
from refonte_frames.quality.labels import annotations_from, labels_from
from refonte_frames.quality.rates import labeler_rates, pooled_rate, shrink_rates, wilson
from refonte_frames.quality.report import report
from refonte_frames.quality.turnaround import burn_down, survival_curve, throughput, turnaround

__all__ = [
    "Agreement",
    "DawidSkene",
    "accuracy",
    "ambiguity",
    "annotations_from",
    "audit_outcomes",
    "auditor_rates",
    "audits_for_width",
    "audits_needed",
    "box_accuracy",
    "box_agreement",
    "box_iou",
    "burn_down",
    "callback_health",
    "cohen_kappa",
    "confusion",
    "control_chart",
    "dawid_skene",
    "error_costs",
    "first_pass_yield",
    "fleiss_kappa",
    "item_quality",
    "krippendorff_alpha",
    "labeler_rates",
    "labels_from",
    "learning_curve",
    "majority_vote",
    "pair_agreement",
    "pooled_rate",
    "report",
    "rework",
    "scorecard",
    "shrink_rates",
    "speeders",
    "straight_lining",
    "survival_curve",
    "throughput",
    "time_per_attempt",
    "turnaround",
    "wilson",
]
