"""The training loop, metrics, callbacks and checkpoints."""

from nnscratch.train.architectures import Architecture, architecture_from
from nnscratch.train.callbacks import (
    BestWeights,
    Callback,
    Checkpoint,
    CSVHistory,
    EarlyStopping,
    LearningRateLog,
)
from nnscratch.train.checkpoint import load_model, save_model
from nnscratch.train.evaluate import evaluate, predict
from nnscratch.train.fit import fit
from nnscratch.train.history import History
from nnscratch.train.interrupt import TrainingInterrupted
from nnscratch.train.language import GPTArchitecture, LSTMArchitecture
from nnscratch.train.metrics import (
    F1,
    MAE,
    MSE,
    R2,
    Accuracy,
    Metric,
    Precision,
    Recall,
    TopK,
    confusion_matrix,
    precision_recall_f1,
)
from nnscratch.train.mlp import MLP
from nnscratch.train.progress import Progress
from nnscratch.train.tracking import MLflow, TensorBoard
from nnscratch.train.trainer import Trainer

__all__ = [
    "F1",
    "MAE",
    "MLP",
    "MSE",
    "R2",
    "Accuracy",
    "Architecture",
    "BestWeights",
    "CSVHistory",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "GPTArchitecture",
    "History",
    "LSTMArchitecture",
    "LearningRateLog",
    "MLflow",
    "Metric",
    "Precision",
    "Progress",
    "Recall",
    "TensorBoard",
    "TopK",
    "Trainer",
    "TrainingInterrupted",
    "architecture_from",
    "confusion_matrix",
    "evaluate",
    "fit",
    "load_model",
    "precision_recall_f1",
    "predict",
    "save_model",
]
