"""Known networks, each a page to read: definitions under the names of the published weights."""

from nnscratch.models.alexnet import AlexNet, AlexNet2012
from nnscratch.models.bert import Bert, BertConfig
from nnscratch.models.cnn import CNN
from nnscratch.models.generation import generate
from nnscratch.models.gpt2 import GPT2, GPT2Config
from nnscratch.models.lenet import LeNet
from nnscratch.models.lstm import CharLSTM, LSTMClassifier
from nnscratch.models.mobilenet import MobileNetV2
from nnscratch.models.resnet import ResNet
from nnscratch.models.unet import UNet
from nnscratch.models.vgg import VGG
from nnscratch.models.vit import ViT

__all__ = [
    "CNN",
    "GPT2",
    "VGG",
    "AlexNet",
    "AlexNet2012",
    "Bert",
    "BertConfig",
    "CharLSTM",
    "GPT2Config",
    "LSTMClassifier",
    "LeNet",
    "MobileNetV2",
    "ResNet",
    "UNet",
    "ViT",
    "generate",
]
