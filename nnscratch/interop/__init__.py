"""Other libraries' weights: safetensors files, in PyTorch's and Hugging Face's names."""
