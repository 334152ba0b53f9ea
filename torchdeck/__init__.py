"""torchdeck: a training studio for PyTorch that lives in the terminal."""
