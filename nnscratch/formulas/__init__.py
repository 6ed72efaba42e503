"""The mathematics: pure functions on raw arrays, each a hand-written forward and backward."""

from nnscratch.formulas.activations import ELU, HARDTANH, LEAKY_RELU, PRELU, RELU, SELU
from nnscratch.formulas.arithmetic import (
    ADD,
    DIVIDE,
    MAXIMUM,
    MINIMUM,
    MULTIPLY,
    POWER,
    SUBTRACT,
    WHERE,
)
from nnscratch.formulas.assignment import ACCUMULATE, COPY_INTO, FILL
from nnscratch.formulas.binary_losses import BCE, BCE_WITH_LOGITS
from nnscratch.formulas.bitwise import BITWISE_AND, BITWISE_OR, BITWISE_XOR
from nnscratch.formulas.class_losses import CROSS_ENTROPY, CROSS_ENTROPY_PROBABILITIES, NLL
from nnscratch.formulas.clipping import CLIP_BY_VALUE, SCALE_BY_NORM, SQUARED_NORM
from nnscratch.formulas.comparisons import (
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    NOT_EQUAL,
)
from nnscratch.formulas.formula import FORMULAS, Formula, formula
from nnscratch.formulas.fused import LINEAR_ACTIVATION
from nnscratch.formulas.gelu import GELU, GELU_TANH
from nnscratch.formulas.indexing import GETITEM, ONE_HOT, TAKE
from nnscratch.formulas.linear import LINEAR
from nnscratch.formulas.losses import HUBER, KL_DIV, L1, MSE, SMOOTH_L1
from nnscratch.formulas.margin_losses import COSINE_EMBEDDING, HINGE_EMBEDDING
from nnscratch.formulas.optimizers import ADADELTA, ADAGRAD, ADAM, NADAM, RMSPROP, SGD
from nnscratch.formulas.placing import ADD_ROWS, PLACE
from nnscratch.formulas.products import MATMUL
from nnscratch.formulas.random import DROPOUT, RANDOM_NORMAL, RANDOM_UNIFORM
from nnscratch.formulas.reductions import (
    ARGMAX,
    ARGMIN,
    MAX,
    MEAN,
    MIN,
    NORM,
    STD,
    SUM,
    SUM_TO,
    VAR,
    VAR_MEAN,
)
from nnscratch.formulas.shaping import BROADCAST_TO, CONCATENATE, RESHAPE, SPLIT, STACK, TRANSPOSE
from nnscratch.formulas.sigmoids import SIGMOID, SILU, SOFTPLUS, SOFTSIGN, TANH
from nnscratch.formulas.softmax import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX
from nnscratch.formulas.unary import (
    ABS,
    CAST,
    CLIP,
    EXP,
    EXPM1,
    FLOOR,
    LOG,
    LOG1P,
    NEGATIVE,
    SQRT,
)

__all__ = [
    "BITWISE_AND",
    "BITWISE_OR",
    "BITWISE_XOR",
    "FORMULAS",
    "ABS",
    "ACCUMULATE",
    "ADADELTA",
    "ADAGRAD",
    "ADAM",
    "ADD",
    "ADD_ROWS",
    "ARGMAX",
    "ARGMIN",
    "BCE",
    "BCE_WITH_LOGITS",
    "BROADCAST_TO",
    "CAST",
    "CLIP",
    "CLIP_BY_VALUE",
    "CONCATENATE",
    "COPY_INTO",
    "COSINE_EMBEDDING",
    "CROSS_ENTROPY",
    "CROSS_ENTROPY_PROBABILITIES",
    "DIVIDE",
    "DROPOUT",
    "ELU",
    "EQUAL",
    "EXP",
    "EXPM1",
    "FILL",
    "FLOOR",
    "GELU",
    "GELU_TANH",
    "GETITEM",
    "GREATER",
    "GREATER_EQUAL",
    "HARDTANH",
    "HINGE_EMBEDDING",
    "HUBER",
    "KL_DIV",
    "L1",
    "LEAKY_RELU",
    "LESS",
    "LESS_EQUAL",
    "LINEAR",
    "LINEAR_ACTIVATION",
    "LOG",
    "LOG1P",
    "LOGSUMEXP",
    "LOG_SOFTMAX",
    "MATMUL",
    "MAX",
    "MAXIMUM",
    "MEAN",
    "MIN",
    "MINIMUM",
    "MSE",
    "MULTIPLY",
    "NADAM",
    "NEGATIVE",
    "NLL",
    "NOT_EQUAL",
    "ONE_HOT",
    "PLACE",
    "POWER",
    "PRELU",
    "RANDOM_NORMAL",
    "RANDOM_UNIFORM",
    "RELU",
    "RESHAPE",
    "RMSPROP",
    "SCALE_BY_NORM",
    "SELU",
    "SGD",
    "SIGMOID",
    "SILU",
    "SMOOTH_L1",
    "SOFTMAX",
    "SOFTPLUS",
    "SOFTSIGN",
    "SQRT",
    "SQUARED_NORM",
    "SPLIT",
    "STACK",
    "SUBTRACT",
    "SUM",
    "SUM_TO",
    "TAKE",
    "TANH",
    "TRANSPOSE",
    "STD",
    "NORM",
    "VAR",
    "VAR_MEAN",
    "WHERE",
    "Formula",
    "formula",
]
