"""Networks as scikit-learn's estimators: ``NeuralNetClassifier`` and ``NeuralNetRegressor``.

They stand wherever scikit-learn takes an estimator, and take the parameters of its
``MLPClassifier`` and ``MLPRegressor``; the extra ``nnscratch[sklearn]`` installs what they need.
"""

from nnscratch.errors import ConfigurationError
from nnscratch.loading import collecting_later

try:
    import sklearn
except ImportError as error:
    raise ConfigurationError(
        "nnscratch.interop.sklearn needs scikit-learn; install it: pip install 'nnscratch[sklearn]'"
    ) from error

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6):
    raise ConfigurationError(
        f"nnscratch.interop.sklearn needs scikit-learn 1.6 or newer, got {sklearn.__version__}; "
        "update it: pip install -U scikit-learn"
    )

with collecting_later():
    from nnscratch.interop.sklearn.classifier import NeuralNetClassifier
    from nnscratch.interop.sklearn.regressor import NeuralNetRegressor

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]
