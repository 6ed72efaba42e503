"""Data: reading files, splitting rows, and preprocessing that is saved with the model.

A file loads when one of its names is first used: a network of arrays needs no reader of tables.
Type checkers and editors read the stub beside this file, which ``python -m
nnscratch.inspect.stubs`` writes.
"""

from nnscratch.loading import later

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "BatchSampler": "samplers",
    "BytePairTokenizer": "tokenizers",
    "CategoricalColumn": "columns",
    "ChainDataset": "dataset",
    "CharacterTokenizer": "tokenizers",
    "ClassTarget": "target",
    "ColumnKind": "table",
    "Compose": "augmentation",
    "ConcatDataset": "dataset",
    "DataLoader": "loader",
    "Dataset": "dataset",
    "DateColumn": "columns",
    "FilledGapsWarning": "preprocess",
    "ImageDataset": "image_dataset",
    "ImageFolder": "images",
    "IterableDataset": "dataset",
    "LabelledImages": "images",
    "NumberTarget": "target",
    "NumericColumn": "columns",
    "RandomCrop": "augmentation",
    "RandomErasing": "augmentation",
    "RandomHorizontalFlip": "augmentation",
    "RandomSampler": "samplers",
    "RareClassWarning": "split",
    "Reading": "reading",
    "Sampler": "samplers",
    "Screened": "screening",
    "SequentialSampler": "samplers",
    "StackDataset": "dataset",
    "Standardiser": "standardise",
    "Subset": "dataset",
    "SubsetRandomSampler": "samplers",
    "Table": "table",
    "TableEncoder": "preprocess",
    "TableFile": "table_files",
    "TablePreprocessor": "preprocess",
    "TableWarning": "reading",
    "Task": "target",
    "TensorDataset": "dataset",
    "TextFile": "text",
    "TextWindows": "text",
    "Tokenizer": "tokenizers",
    "UnknownCategoryWarning": "preprocess",
    "WeightedRandomSampler": "samplers",
    "WorkerInfo": "workers",
    "as_written": "labels",
    "default_collate": "collate",
    "default_convert": "collate",
    "get_worker_info": "workers",
    "infer_task": "target",
    "load_digits": "images",
    "load_idx_folder": "idx",
    "load_images": "image_sources",
    "random_split": "dataset",
    "read_idx": "idx",
    "read_image": "image_files",
    "read_npz": "npz",
    "read_table": "table_files",
    "read_text": "text",
    "refuse_names": "target",
    "screen": "screening",
    "split_text": "text",
    "target_from_dict": "target",
    "tokenizer_from_dict": "tokenizers",
    "train_test_split_indices": "split",
}
__all__ = sorted(PLACES)
__getattr__ = later(__name__, PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
