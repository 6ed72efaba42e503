"""``compare``: a model beside its equal in PyTorch, in Keras, or in another process's log."""

from nnscratch.interop.comparing.comparing import Comparison, compare
from nnscratch.interop.comparing.recording import record_steps
from nnscratch.interop.comparing.steps import StepLog

__all__ = ["Comparison", "StepLog", "compare", "record_steps"]
