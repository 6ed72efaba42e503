# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.train.architectures import Architecture as Architecture
from nnscratch.train.architectures import architecture_from as architecture_from
from nnscratch.train.callbacks import BestWeights as BestWeights
from nnscratch.train.callbacks import CSVHistory as CSVHistory
from nnscratch.train.callbacks import Callback as Callback
from nnscratch.train.callbacks import Checkpoint as Checkpoint
from nnscratch.train.callbacks import EarlyStopping as EarlyStopping
from nnscratch.train.callbacks import LearningRateLog as LearningRateLog
from nnscratch.train.checkpoint import load_model as load_model
from nnscratch.train.checkpoint import save_model as save_model
from nnscratch.train.evaluation import evaluate as evaluate
from nnscratch.train.evaluation import predict as predict
from nnscratch.train.fitting import fit as fit
from nnscratch.train.history import History as History
from nnscratch.train.interrupt import TrainingInterrupted as TrainingInterrupted
from nnscratch.train.language import GPTArchitecture as GPTArchitecture
from nnscratch.train.language import LSTMArchitecture as LSTMArchitecture
from nnscratch.train.metrics import Accuracy as Accuracy
from nnscratch.train.metrics import F1 as F1
from nnscratch.train.metrics import MAE as MAE
from nnscratch.train.metrics import MSE as MSE
from nnscratch.train.metrics import Metric as Metric
from nnscratch.train.metrics import Precision as Precision
from nnscratch.train.metrics import R2 as R2
from nnscratch.train.metrics import Recall as Recall
from nnscratch.train.metrics import TopK as TopK
from nnscratch.train.metrics import confusion_matrix as confusion_matrix
from nnscratch.train.metrics import precision_recall_f1 as precision_recall_f1
from nnscratch.train.mlp import MLP as MLP
from nnscratch.train.progress import Progress as Progress
from nnscratch.train.tracking import MLflow as MLflow
from nnscratch.train.tracking import TensorBoard as TensorBoard
from nnscratch.train.trainer import Trainer as Trainer

__all__ = [
    "Accuracy",
    "Architecture",
    "BestWeights",
    "CSVHistory",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "F1",
    "GPTArchitecture",
    "History",
    "LSTMArchitecture",
    "LearningRateLog",
    "MAE",
    "MLP",
    "MLflow",
    "MSE",
    "Metric",
    "Precision",
    "Progress",
    "R2",
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
