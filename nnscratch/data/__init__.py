"""Data: reading files, splitting rows, and preprocessing that is saved with the model."""

from nnscratch.data.augmentation import (
    Compose,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from nnscratch.data.collate import default_collate, default_convert
from nnscratch.data.columns import CategoricalColumn, DateColumn, NumericColumn
from nnscratch.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from nnscratch.data.idx import load_idx_folder, read_idx
from nnscratch.data.image_dataset import ImageDataset
from nnscratch.data.image_files import read_image
from nnscratch.data.image_sources import load_images
from nnscratch.data.images import ImageFolder, LabelledImages, load_digits
from nnscratch.data.labels import as_written
from nnscratch.data.loader import DataLoader
from nnscratch.data.npz import read_npz
from nnscratch.data.preprocess import (
    FilledGapsWarning,
    TableEncoder,
    TablePreprocessor,
    UnknownCategoryWarning,
)
from nnscratch.data.reading import Reading, TableWarning
from nnscratch.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from nnscratch.data.screening import Screened, screen
from nnscratch.data.split import RareClassWarning, train_test_split_indices
from nnscratch.data.standardise import Standardiser
from nnscratch.data.table import ColumnKind, Table
from nnscratch.data.table_files import TableFile, read_table
from nnscratch.data.target import (
    ClassTarget,
    NumberTarget,
    Task,
    infer_task,
    refuse_names,
    target_from_dict,
)
from nnscratch.data.text import TextFile, TextWindows, read_text, split_text
from nnscratch.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    Tokenizer,
    tokenizer_from_dict,
)
from nnscratch.data.workers import WorkerInfo, get_worker_info

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
