"""Data sets (`datasets`), transforms of whole batches (`batched`), batches (`loading`), looks at all that (`looking`)."""
