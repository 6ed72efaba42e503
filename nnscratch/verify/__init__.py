"""Tools that check: gradients, anomalies, hidden copies, training that goes wrong.

They load where they are first used, so that importing ``nnscratch`` stays light.
"""

from __future__ import annotations

from nnscratch.loading import later

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "GradcheckError": "gradients.checking",
    "Report": "gradients.report",
    "Verdict": "gradients.elements",
    "assert_gradients": "gradients.checking",
    "assert_second_derivatives": "gradients.second",
    "audit": "watch.copies",
    "checkup": "checkups.training",
    "detect_anomaly": "watch.anomaly",
    "gradcheck": "gradients.checking",
    "gradgradcheck": "gradients.second",
    "homework": "gradients.lessons",
}
__getattr__ = later(__name__, PLACES)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
