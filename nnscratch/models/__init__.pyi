# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.models.alexnet import AlexNet as AlexNet
from nnscratch.models.alexnet import AlexNet2012 as AlexNet2012
from nnscratch.models.bert import Bert as Bert
from nnscratch.models.bert import BertConfig as BertConfig
from nnscratch.models.cnn import CNN as CNN
from nnscratch.models.generation import generate as generate
from nnscratch.models.gpt2 import GPT2 as GPT2
from nnscratch.models.gpt2 import GPT2Config as GPT2Config
from nnscratch.models.lenet import LeNet as LeNet
from nnscratch.models.lstm import CharLSTM as CharLSTM
from nnscratch.models.lstm import LSTMClassifier as LSTMClassifier
from nnscratch.models.mobilenet import MobileNetV2 as MobileNetV2
from nnscratch.models.resnet import ResNet as ResNet
from nnscratch.models.unet import UNet as UNet
from nnscratch.models.vgg import VGG as VGG
from nnscratch.models.vit import ViT as ViT

__all__ = [
    "AlexNet",
    "AlexNet2012",
    "Bert",
    "BertConfig",
    "CNN",
    "CharLSTM",
    "GPT2",
    "GPT2Config",
    "LSTMClassifier",
    "LeNet",
    "MobileNetV2",
    "ResNet",
    "UNet",
    "VGG",
    "ViT",
    "generate",
]
