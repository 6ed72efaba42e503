# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.data.augmentation import Compose as Compose
from nnscratch.data.augmentation import RandomCrop as RandomCrop
from nnscratch.data.augmentation import RandomErasing as RandomErasing
from nnscratch.data.augmentation import RandomHorizontalFlip as RandomHorizontalFlip
from nnscratch.data.collate import default_collate as default_collate
from nnscratch.data.collate import default_convert as default_convert
from nnscratch.data.columns import CategoricalColumn as CategoricalColumn
from nnscratch.data.columns import DateColumn as DateColumn
from nnscratch.data.columns import NumericColumn as NumericColumn
from nnscratch.data.dataset import ChainDataset as ChainDataset
from nnscratch.data.dataset import ConcatDataset as ConcatDataset
from nnscratch.data.dataset import Dataset as Dataset
from nnscratch.data.dataset import IterableDataset as IterableDataset
from nnscratch.data.dataset import StackDataset as StackDataset
from nnscratch.data.dataset import Subset as Subset
from nnscratch.data.dataset import TensorDataset as TensorDataset
from nnscratch.data.dataset import random_split as random_split
from nnscratch.data.idx import load_idx_folder as load_idx_folder
from nnscratch.data.idx import read_idx as read_idx
from nnscratch.data.image_dataset import ImageDataset as ImageDataset
from nnscratch.data.image_files import read_image as read_image
from nnscratch.data.image_sources import load_images as load_images
from nnscratch.data.images import ImageFolder as ImageFolder
from nnscratch.data.images import LabelledImages as LabelledImages
from nnscratch.data.images import load_digits as load_digits
from nnscratch.data.labels import as_written as as_written
from nnscratch.data.loader import DataLoader as DataLoader
from nnscratch.data.npz import read_npz as read_npz
from nnscratch.data.preprocess import FilledGapsWarning as FilledGapsWarning
from nnscratch.data.preprocess import TableEncoder as TableEncoder
from nnscratch.data.preprocess import TablePreprocessor as TablePreprocessor
from nnscratch.data.preprocess import UnknownCategoryWarning as UnknownCategoryWarning
from nnscratch.data.reading import Reading as Reading
from nnscratch.data.reading import TableWarning as TableWarning
from nnscratch.data.samplers import BatchSampler as BatchSampler
from nnscratch.data.samplers import RandomSampler as RandomSampler
from nnscratch.data.samplers import Sampler as Sampler
from nnscratch.data.samplers import SequentialSampler as SequentialSampler
from nnscratch.data.samplers import SubsetRandomSampler as SubsetRandomSampler
from nnscratch.data.samplers import WeightedRandomSampler as WeightedRandomSampler
from nnscratch.data.screening import Screened as Screened
from nnscratch.data.screening import screen as screen
from nnscratch.data.split import RareClassWarning as RareClassWarning
from nnscratch.data.split import train_test_split_indices as train_test_split_indices
from nnscratch.data.standardise import Standardiser as Standardiser
from nnscratch.data.table import ColumnKind as ColumnKind
from nnscratch.data.table import Table as Table
from nnscratch.data.table_files import TableFile as TableFile
from nnscratch.data.table_files import read_table as read_table
from nnscratch.data.target import ClassTarget as ClassTarget
from nnscratch.data.target import NumberTarget as NumberTarget
from nnscratch.data.target import Task as Task
from nnscratch.data.target import infer_task as infer_task
from nnscratch.data.target import refuse_names as refuse_names
from nnscratch.data.target import target_from_dict as target_from_dict
from nnscratch.data.text import TextFile as TextFile
from nnscratch.data.text import TextWindows as TextWindows
from nnscratch.data.text import read_text as read_text
from nnscratch.data.text import split_text as split_text
from nnscratch.data.tokenizers import BytePairTokenizer as BytePairTokenizer
from nnscratch.data.tokenizers import CharacterTokenizer as CharacterTokenizer
from nnscratch.data.tokenizers import Tokenizer as Tokenizer
from nnscratch.data.tokenizers import tokenizer_from_dict as tokenizer_from_dict
from nnscratch.data.workers import WorkerInfo as WorkerInfo
from nnscratch.data.workers import get_worker_info as get_worker_info

__all__ = [
    "BatchSampler",
    "BytePairTokenizer",
    "CategoricalColumn",
    "ChainDataset",
    "CharacterTokenizer",
    "ClassTarget",
    "ColumnKind",
    "Compose",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DateColumn",
    "FilledGapsWarning",
    "ImageDataset",
    "ImageFolder",
    "IterableDataset",
    "LabelledImages",
    "NumberTarget",
    "NumericColumn",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomSampler",
    "RareClassWarning",
    "Reading",
    "Sampler",
    "Screened",
    "SequentialSampler",
    "StackDataset",
    "Standardiser",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TableEncoder",
    "TableFile",
    "TablePreprocessor",
    "TableWarning",
    "Task",
    "TensorDataset",
    "TextFile",
    "TextWindows",
    "Tokenizer",
    "UnknownCategoryWarning",
    "WeightedRandomSampler",
    "WorkerInfo",
    "as_written",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "infer_task",
    "load_digits",
    "load_idx_folder",
    "load_images",
    "random_split",
    "read_idx",
    "read_image",
    "read_npz",
    "read_table",
    "read_text",
    "refuse_names",
    "screen",
    "split_text",
    "target_from_dict",
    "tokenizer_from_dict",
    "train_test_split_indices",
]
