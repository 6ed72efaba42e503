"""Known networks, each a page to read: definitions under the names of the published weights.

A network's file loads when it is first used. Type checkers and editors read the stub beside this
file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from nnscratch.loading import later

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "AlexNet": "alexnet",
    "AlexNet2012": "alexnet",
    "Bert": "bert",
    "BertConfig": "bert",
    "CNN": "cnn",
    "CharLSTM": "lstm",
    "GPT2": "gpt2",
    "GPT2Config": "gpt2",
    "LSTMClassifier": "lstm",
    "LeNet": "lenet",
    "MobileNetV2": "mobilenet",
    "ResNet": "resnet",
    "UNet": "unet",
    "VGG": "vgg",
    "ViT": "vit",
    "generate": "generation",
}
__all__ = sorted(PLACES)
__getattr__ = later(__name__, PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
