"""The networks that come with torchdeck."""
