"""The two checks of a champion, under the names that jobs use."""

from mlkit.flows.monitoring.drift_watch import DriftChecked
from mlkit.flows.monitoring.drift_watch import check as check_drift
from mlkit.flows.monitoring.performance_watch import PerformanceChecked
from mlkit.flows.monitoring.performance_watch import check as check_performance

__all__ = ("DriftChecked", "PerformanceChecked", "check_drift", "check_performance")
