"""The training loop, metrics, callbacks and checkpoints.

A file loads when one of its names is first used. Type checkers and editors read the stub beside
this file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from nnscratch.loading import later

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "Accuracy": "metrics",
    "Architecture": "architectures",
    "BestWeights": "callbacks",
    "CSVHistory": "callbacks",
    "Callback": "callbacks",
    "Checkpoint": "callbacks",
    "EarlyStopping": "callbacks",
    "F1": "metrics",
    "GPTArchitecture": "language",
    "History": "history",
    "LSTMArchitecture": "language",
    "LearningRateLog": "callbacks",
    "MAE": "metrics",
    "MLP": "mlp",
    "MLflow": "tracking",
    "MSE": "metrics",
    "Metric": "metrics",
    "Precision": "metrics",
    "Progress": "progress",
    "R2": "metrics",
    "Recall": "metrics",
    "TensorBoard": "tracking",
    "TopK": "metrics",
    "Trainer": "trainer",
    "TrainingInterrupted": "interrupt",
    "architecture_from": "architectures",
    "confusion_matrix": "metrics",
    "evaluate": "evaluation",
    "fit": "fitting",
    "load_model": "checkpoint",
    "precision_recall_f1": "metrics",
    "predict": "evaluation",
    "save_model": "checkpoint",
}
__all__ = sorted(PLACES)
__getattr__ = later(__name__, PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
