"""Data sets (`datasets`), transforms of whole batches (`batched`), batches (`loading`), and looks (`looking`)."""
