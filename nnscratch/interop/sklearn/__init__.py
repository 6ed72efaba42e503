# ruff: noqa: E402 - an older scikit-learn lacks what these import.
from nnscratch.interop.sklearn.classifier import NeuralNetClassifier
from nnscratch.interop.sklearn.regressor import NeuralNetRegressor

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]
